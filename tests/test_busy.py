"""How busy workers were, and that the simulation of them is one of the real loop."""

from pathlib import Path

import busy
import pytest
from compare import differences

import engine
from engine import Sweep


def test_the_share_is_of_what_all_had_begun_and_none_had_ended() -> None:
    times = {0: [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)], 1: [(0.5, 1.5), (2.0, 4.0)]}
    found, seconds = busy.share(times)  # from 0.5 to 3: the first all of it, the second but for half a second
    assert (found, seconds) == (pytest.approx((2.5 + 2.0) / 5.0), 2.5)
    assert busy.share({0: [(0.0, 1.0)], 1: [(0.0, 1.0)]}) == (1.0, 1.0)


@pytest.mark.slow
def test_simulated_workers_store_what_a_serial_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    if ray.is_initialized():
        pytest.skip("another file's Ray is still up")
    monkeypatch.setattr(busy, "WORKERS", 8)
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent.parent}:{Path(__file__).parent}")  # workers inherit it
    found = busy.measured(tmp_path / "s.zarr", 48, 0.5)
    assert (found["workers"], found["tasks"]) == (8, 48)
    assert 0.5 < found["busy"] <= 1.0
    engine.run(Sweep(busy.Sleeps(seconds=0.0), realizations=48, block=1, chunk=1), tmp_path / "good.zarr", serial=True)
    assert differences(tmp_path / "s.zarr", tmp_path / "good.zarr") == []
