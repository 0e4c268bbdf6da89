"""Random numbers by address: the same address gives the same numbers, any other address independent ones."""

import hashlib
import itertools

import numpy as np
import pytest

from engine.streams import Streams

ADDRESSES = [(7, "user", 0), (8, "user", 0), (7, "sensor", 0), (7, "user", 1), (7, "user", 2)]


def numbers(seed: int, name: str, block: int, size: int = 100_000) -> np.ndarray:
    return Streams(seed, block)(name).random(size)


def test_an_address_gives_the_same_numbers_whatever_was_drawn_before() -> None:
    streams = Streams(7, 3)
    first = streams("user").random(5)
    streams("sensor").normal(size=1000)
    np.testing.assert_array_equal(streams("user").random(5), first)
    np.testing.assert_array_equal(Streams(7, 3)("user").random(5), first)


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(ADDRESSES, 2)))
def test_addresses_that_differ_are_uncorrelated(one: tuple[int, str, int], other: tuple[int, str, int]) -> None:
    x, y = numbers(*one), numbers(*other)
    for lag in (0, 1, 4):
        correlation = np.corrcoef(x[lag:], y[: x.size - lag])[0, 1]
        assert abs(correlation) < 4 / np.sqrt(x.size)


def test_overlapping_streams_would_be_noticed() -> None:
    x = numbers(7, "user", 0)
    assert np.corrcoef(x[4:], x[:-4])[0, 1] == pytest.approx(0, abs=4 / np.sqrt(x.size))
    assert np.corrcoef(x[4:], numbers(7, "user", 0)[4:])[0, 1] == pytest.approx(1)


def test_first_numbers_of_blocks_are_uniform() -> None:
    """Counters differ in one word only: mean 1/2, variance 1/12 over 4000 blocks, within 4 standard errors."""
    first = np.array([numbers(0, "user", block, 1)[0] for block in range(4000)])
    assert abs(first.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / first.size)
    assert abs(first.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / first.size)


def philox(key: list[int], counter: list[int]) -> list[int]:
    """Philox4x64-10 of Salmon, Moraes, Dror, Shaw (SC 2011), one block of four words."""
    (k0, k1), (c0, c1, c2, c3) = key, counter
    for _ in range(10):
        low, high = 0xD2E7470EE14C6C93 * c0, 0xCA5A826395121157 * c2
        c0, c1, c2, c3 = (high >> 64) ^ c1 ^ k0, high % 2**64, (low >> 64) ^ c3 ^ k1, low % 2**64
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) % 2**64, (k1 + 0xBB67AE8584CAA73B) % 2**64
    return [c0, c1, c2, c3]


@pytest.mark.parametrize(("seed", "name", "block"), [(0, "user", 0), (7, "sensor range", 12_345)])
def test_scheme_is_philox_keyed_by_seed_and_name(seed: int, name: str, block: int) -> None:
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    key = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")]
    # NumPy counts up before it draws.
    expected = philox(key, [1, 0, 0, block]) + philox(key, [2, 0, 0, block])
    assert Streams(seed, block)(name).bit_generator.random_raw(8).tolist() == expected


def test_numbers_are_the_ones_of_stored_results() -> None:
    """A change here changes every result ever stored."""
    assert numbers(0, "user_range", 0, 3).tolist() == [
        0.08569549076285932,
        0.5433995093938817,
        0.6865709394631537,
    ]
