"""Groups of places that look alike: all of the places, with what is near; and how large a group's bound will be."""

from typing import Any

import numpy as np
import pytest

from engine.numerics.like_groups import like_groups, mistaken
from engine.numerics.weiss_weinstein import weiss_weinstein


def test_every_place_is_in_one_group_of_as_many() -> None:
    seen = np.random.default_rng(1).normal(size=(96, 3))
    seen.setflags(write=False)
    for depth in (0, 1, 4):
        groups = like_groups(seen, depth)
        assert groups.shape == (2**depth, 96 // 2**depth)
        assert np.array_equal(np.sort(groups.ravel()), np.arange(96))


def test_places_of_a_group_look_alike() -> None:
    """Four clusters, their places in turn, far apart along two axes."""
    random = np.random.default_rng(2)
    cluster = np.arange(80) % 4
    seen = random.normal(size=(80, 5)) + np.stack([60.0 * (cluster // 2), 25.0 * (cluster % 2)] + 3 * [0 * cluster], -1)
    assert sorted(tuple(set(cluster[one])) for one in like_groups(seen, 2)) == [(0,), (1,), (2,), (3,)]


def test_what_is_expected_of_a_group_is_its_bound_where_few_look_alike(given: Any, host: Any) -> None:
    random = np.random.default_rng(3)
    seen, weight, places = 4 * random.normal(size=(12, 4)), random.dirichlet(np.ones(12)), random.normal(size=(2, 12))
    apart = np.sum((seen[:, None] - seen) ** 2, axis=-1)
    bound = weiss_weinstein(np.sqrt(weight[:, None] * weight) * np.exp(-apart / 8), places)
    found = host(mistaken(given(seen), given(weight), given(places)))
    assert np.allclose(found, bound, rtol=0.1)
    pairs = [
        (places[:, g] - places[:, h]) ** 2 * weight[g] * weight[h] / (weight[g] + weight[h]) * np.exp(-apart[g, h] / 4)
        for g in range(12)
        for h in range(g)
    ]
    assert found == pytest.approx(np.sum(pairs, axis=0))
