"""Shared fixtures: one Ray for all tests that need one, started when the first does."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _private_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is written into the home of whoever runs the tests."""
    old = dict(os.environ)
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "MPLBACKEND": "agg"}
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))
    yield
    os.environ.clear()
    os.environ.update(old)


@pytest.fixture(scope="session")
def local_ray(_private_settings: None) -> Iterator[None]:
    """A Ray of seven workers, whatever the machine has; runs inside use it."""
    import ray

    ray.init("local", num_cpus=7, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()
