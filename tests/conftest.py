"""Shared fixtures: one Ray and one S3 server for all tests that need one, started when the first does."""

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _private_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is written into the home of whoever runs the tests."""
    old = dict(os.environ)
    os.environ |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "MPLBACKEND": "agg"}
    os.environ["HOME"] = str(tmp_path_factory.mktemp("home"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    # Set before any Ray starts, whose workers inherit it; and no test can reach another object storage than ours.
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "AKIATESTING", "AWS_SECRET_ACCESS_KEY": "not-for-the-log",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
    }  # fmt: skip
    yield
    os.environ.clear()
    os.environ.update(old)


@pytest.fixture(scope="session")
def s3(_private_settings: None) -> Iterator[str]:
    """URL of a bucket on an S3 server on loopback: moto's simulation, in memory, over real HTTP."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]), verbose=False)
    server.start()
    s3fs.S3FileSystem().mkdir("bucket")
    yield "s3://bucket"
    server.stop()


@pytest.fixture(scope="session")
def local_ray(_private_settings: None) -> Iterator[None]:
    """A Ray of seven workers, whatever the machine has; runs inside use it."""
    import ray

    ray.init("local", num_cpus=7, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished store, which nobody changes."""
    import toy

    import engine

    path = tmp_path_factory.mktemp("honest") / "toy.zarr"
    engine.run(toy.small, path, serial=True)
    return path


@pytest.fixture
def stored(honest: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return shutil.copytree(honest, tmp_path / "toy.zarr")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of the test's own, which modules that it writes may be imported from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
