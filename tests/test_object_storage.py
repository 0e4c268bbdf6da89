"""A store on object storage is the local one: the same bits, the same commands, the same verdicts.

The server is moto's: a simulation of S3 in memory that speaks its protocol over HTTP on loopback. It shows that our
requests are right, not how Amazon's or another maker's servers behave under load or partition.
"""

import json
import sys
import uuid
from pathlib import Path

import fsspec
import pytest
import toy
from compare import differences

import engine
from engine import InputError, StoreError
from engine.store.integrity import Problem, verify
from engine.store.lock import Lock
from engine.store.repair import repair
from engine.store.storage import LocalStorage, storage_at
from engine.store.store import Store
from jobs import main as command_line

SECRETS = ("not-for-the-log", "AKIATESTING")


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    """A prefix that nobody uses yet, in the memory of this process and on the server."""
    base = "memory:/" if request.param == "memory" else request.getfixturevalue("s3")
    return f"{base}/{uuid.uuid4().hex}/toy.zarr"


@pytest.fixture
def bucket(s3: str) -> str:
    return f"{s3}/{uuid.uuid4().hex}/toy.zarr"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("local") / "toy.zarr"
    engine.run(toy.small, path, serial=True)
    return path


def test_a_run_a_resumption_and_growth_give_the_local_bits(url: str, local: Path) -> None:
    reports = engine.iterate(toy.small.replace(realizations=20), url, serial=True)
    next(reports), next(reports), next(reports)
    reports.close()
    assert int(engine.open_results(url).complete.sum()) == 16
    engine.run(engine.load_sweep(url), url, serial=True)
    results = engine.run(toy.small, url, serial=True)
    assert results.complete.all()
    assert [name for name in differences(url, local) if not name.startswith("receipt")] == []
    assert engine.replay(url, 13, offset=2.0).attrs["stored"] == "equal"
    assert not [name for name in storage_at(url).names() if name.startswith("lock")]


def test_ray_workers_write_there_what_a_serial_run_writes(bucket: str, local: Path, local_ray: None) -> None:
    assert engine.run(toy.small, bucket, workers=2).complete.all()
    assert differences(bucket, local) == []


def test_memory_is_refused_for_several_processes(local_ray: None) -> None:
    with pytest.raises(InputError, match="lies in the memory of one process: run serially"):
        engine.run(toy.small, f"memory://{uuid.uuid4().hex}", workers=1)


def test_damage_is_named_and_repaired(url: str, local: Path) -> None:
    engine.run(toy.small, url, serial=True)
    assert not [item for item in verify(url) if isinstance(item, Problem)]
    files, root = fsspec.core.url_to_fs(url)
    chunk = bytearray(files.cat_file(f"{root}/power/c/1/2/0"))
    chunk[5] ^= 1
    files.pipe_file(f"{root}/power/c/1/2/0", bytes(chunk))
    files.pipe_file(f"{root}/peak/c/0/0", b"")
    files.rm_file(f"{root}/peak/c/2/1")
    files.pipe_file(f"{root}/receipts/2.4.json", b"{")
    problems = [item for item in verify(url) if isinstance(item, Problem)]
    assert [item.chunk for item in problems] == ["peak/c/0/0", "power/c/1/2/0", "peak/c/2/1", "receipts/2.4.json"]
    for point, what in ((1, "chunk power/c/1/2/0"), (2, "the receipt receipts/2.4.json")):
        with pytest.raises(StoreError, match=rf"{what} of .* is damaged"):
            engine.open_results(url).power[point].load()
    assert repair(url, problems) == []
    assert not engine.open_results(url).complete[0, :8].any()
    engine.run(toy.small, url, serial=True)
    assert differences(url, local) == []


def test_a_store_that_was_half_made_is_made_anew_and_a_foreign_prefix_left_alone(url: str, local: Path) -> None:
    """The root comes last: a driver killed before leaves its lock and arrays without a root."""
    files, root = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{root}/power/zarr.json", b"{}")
    with pytest.raises(StoreError, match="is not a nearfield store"):
        engine.run(toy.small, url, serial=True)
    dead = Lock(storage_at(url))
    dead.acquire()
    dead._holder.pid = 2**22 + 1  # above the largest that Linux gives
    storage_at(url).write("lock.0.json", dead._record())
    dead._stopped.set()
    engine.run(toy.small, url, serial=True)
    assert differences(url, local) == []


def test_of_two_creations_of_one_object_one_succeeds(url: str) -> None:
    """What the lock rests on: If-None-Match, on S3."""
    storage = storage_at(url)
    assert [storage.create("lock.0.json", data) for data in (b"first", b"second")] == [True, False]
    assert storage.read("lock.0.json") == b"first"


def test_a_second_driver_is_refused(url: str) -> None:
    first = engine.iterate(toy.small, url, serial=True)
    next(first)
    with pytest.raises(StoreError, match=r"is in use by another driver \(process \d+ on .*, since 20"):
        engine.run(toy.small, url, serial=True)
    assert len(list(first)) == 15


def nearfield(words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["nearfield", *words.split()])
    with pytest.raises(SystemExit) as stopped:
        command_line.main()
    return int(stopped.value.code or 0)


def test_every_command_takes_a_url_and_no_secret_is_stored_or_said(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = ""
    for words, expected in (
        (f"run toy:small --store {bucket} --dry-run", "new"),
        (f"run toy:small --store {bucket} --serial --realizations 12", "36/36 realizations"),
        (f"run --store {bucket} --serial --realizations 40", "120/120 realizations"),
        (f"run toy:small --store {bucket} --dry-run", "exists"),
        (f"reproduce toy:small --store {bucket} --serial", "toy.png and toy.svg"),
        (f"status {bucket}", "120/120 realizations, 15/15 tasks"),
        (f"verify {bucket}", "15 receipts checked, 0 damaged objects"),
        (f"plot {bucket} -o s.svg", "drawn: s.svg"),
        (f"replay {bucket} --index 7 --point offset=1", "equal bit for bit"),
    ):
        assert nearfield(words, monkeypatch) == 0, words
        printed = capsys.readouterr()
        assert expected in printed.out + printed.err
        said += printed.out + printed.err
    storage = storage_at(bucket)
    stored = b"".join(storage.read(key) for key in storage.objects())
    assert not any(secret in said or secret.encode() in stored for secret in SECRETS)


def test_refused_credentials_are_one_line(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)  # from now on the server asks who is there
    with pytest.raises(StoreError, match="cannot create the store s3://.*: the credentials were refused") as caught:
        engine.run(toy.small, bucket, serial=True)
    assert not any(secret in str(caught.value) for secret in SECRETS)
    with pytest.raises(StoreError, match="cannot open the store s3://.*: the credentials were refused"):
        engine.open_results(bucket)


def test_missing_bucket_credentials_and_endpoint_are_one_line(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs

    with pytest.raises(StoreError, match="there is no bucket 'nobucket': create it"):
        engine.run(toy.small, "s3://nobucket/a", serial=True)
    with pytest.raises(StoreError, match="no store at s3://bucket/nowhere: check the path"):
        engine.open_results("s3://bucket/nowhere")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr(s3fs.S3FileSystem, "cachable", False)
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        with pytest.raises(StoreError, match="no credentials were found"):
            engine.open_results("s3://bucket/a")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match="its endpoint cannot be reached"):
        engine.open_results("s3://bucket/a")


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("s3://user:secret@bucket/a", r"the URL s3://\*\*\*@bucket holds a user and a password"),
        ("s3://bucket/a?token=secret", "more than a prefix"),
        ("simplecache::s3://user:secret@bucket/a", "more than a prefix"),
        ("nowhere://bucket/a", "Protocol not known: nowhere"),
        ("s3://", "needed a prefix"),
        ("http://[", r"given 'http://\[', needed a URL such as s3://bucket/prefix \(Invalid IPv6 URL\)"),
        (Path("s3://user:secret@bucket/a"), "was a s3 URL: give URLs as text"),
        ("", "needed a path or a URL"),
    ],
)
def test_what_is_no_place_for_a_store_is_one_line(location: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        engine.run(toy.small, location, serial=True)
    assert "secret" not in str(caught.value)


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(InputError, match=r"pip install 'nearfield\[s3\]'"):
        engine.open_results("s3://bucket/a")


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    engine.run(toy.small, f"file://{tmp_path}/f.zarr", serial=True)
    assert isinstance(storage_at(f"file://{tmp_path}/f.zarr"), LocalStorage)
    assert Store(tmp_path / "f.zarr").grid.n_tasks == 15


def test_an_object_too_large_to_be_honest_is_not_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.run(toy.small, url, serial=True)
    files, root = fsspec.core.url_to_fs(url)
    attributes = json.loads(files.cat_file(f"{root}/zarr.json"))
    attributes["attributes"]["about"] = "x" * 2**24
    files.pipe_file(f"{root}/zarr.json", json.dumps(attributes).encode())
    with pytest.raises(StoreError, match="too large|more than 16 MiB"):
        engine.open_results(url)
