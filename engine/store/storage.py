"""Where a store's objects lie: a folder of a file system, or a prefix of object storage that fsspec can reach.

Both store an object whole or not at all. A local object is on the disk when `write` returns; object storage answers
for its own durability. Names of objects are relative to the store, with '/' between their parts.
"""

import os
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.errors import InputError, NearfieldError, StoreError

ROOT = "zarr.json"
LARGEST_OBJECT_BYTES = 2**28 + 2**10
_LARGEST_JSON_BYTES = 2**24
_CHECKED_FOLDERS = 10_000
_IN_BUCKETS = ("s3", "s3a", "gs", "gcs")


def storage_at(path: "str | os.PathLike[str] | Storage") -> "Storage":
    """The storage that a path or URL names. Raises InputError for one that names none, or that holds credentials."""
    if isinstance(path, LocalStorage | ObjectStorage):
        return path
    text = os.fspath(path)
    if "\0" in text or not text:
        raise InputError(f"store: given {text!r}, needed a path or a URL such as s3://bucket/prefix")
    if "::" in text and "://" in text:
        raise InputError("store: the URL has more than a prefix: needed such as s3://bucket/prefix")
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", text):
        return LocalStorage(Path(text))
    protocol, _, rest = text.partition(":")
    protocol = protocol.lower()
    if not rest.startswith("//"):
        if isinstance(path, os.PathLike):
            raise InputError(f"store: given a path that was a {protocol} URL: give URLs as text, not as a Path")
        return LocalStorage(Path(text))
    if protocol in ("file", "local"):
        return LocalStorage(Path(rest.removeprefix("//")))
    host = rest.removeprefix("//").partition("/")[0]
    if "@" in host and ":" in host.rpartition("@")[0]:
        raise InputError(
            f"store: the URL {protocol}://***@{host.rpartition('@')[2]} holds a user and a password: leave them out, "
            f"credentials come from the environment"
        )
    if "?" in text or "#" in text:
        raise InputError(f"store: the {protocol} URL has more than a prefix: needed such as s3://bucket/prefix")
    if not rest.strip("/"):
        raise InputError(f"store: given {text!r}, needed a prefix, such as s3://bucket/prefix")
    return ObjectStorage(f"{protocol}:{rest.rstrip('/')}")


def limit_of(key: str) -> int:
    """How many bytes an object may hold: a hostile one must not fill the memory."""
    return _LARGEST_JSON_BYTES if key.endswith(".json") else LARGEST_OBJECT_BYTES


class LocalStorage:
    """A folder. Nothing is read or written through a link inside it, which could lead anywhere."""

    is_local = True

    def __init__(self, root: Path) -> None:
        self.root, self.location = root, str(root)
        self._checked = {""}

    @property
    def absolute(self) -> str:
        """What names this storage in another process, whatever its working directory."""
        return str(self.root.absolute())

    def is_empty(self) -> bool:
        """Nothing is there, or an empty folder. Raises StoreError for a file."""
        if not self.root.exists():
            return True
        if not self.root.is_dir():
            raise StoreError(f"{self.location} is a file, and a store is a folder: choose another path")
        return not any(self.root.iterdir())

    def exists(self, key: str) -> bool:
        return self._file(key).exists()

    def names(self) -> list[str]:
        """What lies at the top."""
        return os.listdir(self.root)

    def objects(self, prefix: str = "") -> Iterator[str]:
        """Every object below a prefix, sorted in each folder; a link to a folder counts as one, and is not entered."""
        top = self.root / prefix if prefix else self.root
        with os.scandir(top) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            key = f"{prefix}/{entry.name}" if prefix else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self.objects(key)
            else:
                yield key

    def require_plain(self, key: str) -> None:
        """Refuse an object that is a link, a pipe or too large. Raises FileNotFoundError where there is none."""
        status = os.lstat(self._file(key))
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise StoreError(f"{self.location}: {key} is not a plain file: remove it, a store holds no links or pipes")
        if status.st_size > limit_of(key):
            raise _too_large(self.location, key)

    def read(self, key: str) -> bytes:
        """An object's bytes. Raises FileNotFoundError, and StoreError for one that is too large or no plain file."""
        self.require_plain(key)
        return (self.root / key).read_bytes()

    def read_many(self, keys: list[str]) -> Iterator[bytes]:
        return map(self.read, keys)

    def write(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Store an object in one step: it is there whole or not at all, and on the disk if `durable`."""
        file = self._file(key)
        partial = self._partial(file, data, durable)
        try:
            partial.replace(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def create(self, key: str, data: bytes) -> bool:
        """Store an object unless there is one: of several who try at once, one is told True. For what may be lost."""
        file = self._file(key)
        partial = self._partial(file, data, durable=False)
        try:
            os.link(partial, file)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
        return True

    @staticmethod
    def _partial(file: Path, data: bytes, durable: bool) -> Path:
        partial = file.with_name(f"{file.name}.{uuid.uuid4().hex}.partial")
        try:
            with open(partial, "xb") as stream:
                stream.write(data)
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        return partial

    def delete(self, key: str) -> None:
        """Remove an object, or the link in its place; none is fine."""
        self._require_inside(key)
        (self.root / key).unlink(missing_ok=True)

    def flush(self, keys: list[str]) -> None:
        """Wait until objects are on the disk; an array of nothing but fill values leaves no object."""
        with ThreadPoolExecutor(min(len(keys), 16)) as pool:  # the system then writes them together
            list(pool.map(self._flush, keys))

    def _flush(self, key: str) -> None:
        with suppress(FileNotFoundError):
            descriptor = os.open(self.root / key, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def establish(self, objects: Mapping[str, bytes], folder: str) -> bool:
        """Make the store, whole, in one rename, with an empty folder; False if another process was first."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{self.root.name}.", suffix=".partial", dir=self.root.parent))
        try:
            draft.chmod(0o755)
            (draft / folder).mkdir()
            for key, data in objects.items():
                (draft / key).parent.mkdir(parents=True, exist_ok=True)
                (draft / key).write_bytes(data)
            LocalStorage(draft).flush(list(objects))
            draft.rename(self.root)
        except BaseException as error:
            shutil.rmtree(draft, ignore_errors=True)
            if isinstance(error, OSError) and self.root.is_dir() and any(self.root.iterdir()):
                return False
            raise
        return True

    def zarr(self, *, read_only: bool) -> Any:
        from zarr.storage import LocalStore

        return LocalStore(self.root, read_only=read_only)

    def _file(self, key: str) -> Path:
        self._require_inside(key)
        file = self.root / key
        if file.is_symlink():
            raise StoreError(f"{self.location}: {key} is a link: remove it, a store holds no links")
        return file

    def _require_inside(self, key: str) -> None:
        """Refuse an object whose folder is a link. Folders are looked at once: a store that was sent stays still."""
        folder = os.path.dirname(key)
        if ".." in key.split("/"):
            raise StoreError(f"{self.location}: {key!r} names something outside the store")
        while folder not in self._checked:
            if (self.root / folder).is_symlink():
                raise StoreError(f"{self.location}: {folder} is a link: remove it, a store holds no links")
            if len(self._checked) > _CHECKED_FOLDERS:
                self._checked = {""}
            self._checked.add(folder)
            folder = os.path.dirname(folder)


class ObjectStorage:
    """A prefix of object storage, by its URL. Credentials and endpoint come from the environment of each process."""

    is_local = False

    def __init__(self, url: str) -> None:
        self.location = self.absolute = url
        self.protocol = urlsplit(url).scheme
        try:
            from fsspec.core import url_to_fs

            # A listing kept from before would hide what other processes have stored since.
            self._files, self._root = url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise InputError(
                f"{url} needs a package that is missing ({error}): pip install 'nearfield[s3]' for s3://, or what "
                f"fsspec asks for"
            ) from None
        except ValueError as error:
            raise InputError(f"store: given {url!r}, needed a path or a URL that fsspec knows: {error}") from None

    def is_empty(self) -> bool:
        """Nothing is there but the lock of a driver, and what one left that died while it made the store."""
        names = self.names()
        return not names or (ROOT not in names and any(name.startswith("lock.") for name in names))

    def exists(self, key: str) -> bool:
        return bool(self._files.exists(self._path(key)))

    def names(self) -> list[str]:
        try:
            found = self._files.ls(self._root, detail=False)
        except FileNotFoundError:
            self._require_bucket()
            return []
        return [name.rstrip("/").rpartition("/")[2] for name in found]

    def _require_bucket(self) -> None:
        bucket = self._root.strip("/").partition("/")[0]
        if self.protocol in _IN_BUCKETS and not self._files.exists(bucket):
            raise StoreError(f"{self.location}: there is no bucket {bucket!r}: create it, or choose another URL")

    def objects(self, prefix: str = "") -> Iterator[str]:
        found = self._files.find(self._path(prefix) if prefix else self._root)
        yield from sorted(path.removeprefix(f"{self._root}/") for path in found)

    def read(self, key: str) -> bytes:
        return self._checked(key, self._files.cat_file(self._path(key), start=0, end=limit_of(key) + 1))

    def read_many(self, keys: list[str]) -> Iterator[bytes]:
        """The bytes of many objects, fetched many at a time."""
        for first in range(0, len(keys), 512):
            some = keys[first : first + 512]
            paths = [self._path(key) for key in some]
            ends = [limit_of(key) + 1 for key in some]
            for key, data in zip(some, self._files.cat_ranges(paths, [0] * len(some), ends), strict=True):
                if isinstance(data, Exception):
                    raise data
                yield self._checked(key, data)

    def _checked(self, key: str, data: bytes) -> bytes:
        if len(data) > limit_of(key):
            raise _too_large(self.location, key)
        return data

    def write(self, key: str, data: bytes, *, durable: bool = True) -> None:
        self._files.pipe_file(self._path(key), data)

    def create(self, key: str, data: bytes) -> bool:
        """As locally; on S3 and what speaks its language by If-None-Match, which the server must know."""
        try:
            self._files.pipe_file(self._path(key), data, mode="create")
        except FileExistsError:
            return False
        return True

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(self._path(key))

    def flush(self, keys: list[str]) -> None:
        """Object storage answers a write when it is durable."""

    def establish(self, objects: Mapping[str, bytes], folder: str) -> bool:
        """Make the store, its root last: without one it is not there. The caller holds the lock."""
        for key in list(self.objects()):
            if not key.startswith("lock."):
                self.delete(key)
        self._files.pipe({self._path(key): data for key, data in objects.items() if key != ROOT})
        self.write(ROOT, objects[ROOT])
        return True

    def zarr(self, *, read_only: bool) -> Any:
        from zarr.storage import FsspecStore

        return FsspecStore.from_url(self.location, storage_options={"use_listings_cache": False}, read_only=read_only)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


Storage = LocalStorage | ObjectStorage


def _too_large(location: str, key: str) -> StoreError:
    return StoreError(
        f"{location}: {key} holds more than {limit_of(key) / 2**20:.0f} MiB, the most that is read: it is damaged, or "
        f"no part of a store"
    )


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Turn what a file system or an object storage raises into one line."""
    try:
        yield
    except NearfieldError:
        raise
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        raise StoreError(f"{what}: {reason}; nothing stored was lost, mend it and run the same again") from error


def _reason(error: Exception) -> str | None:
    """Why storage failed, in words; None for an error that is not storage's."""
    kind = type(error)
    remote = kind.__module__.split(".")[0] in ("botocore", "aiobotocore", "aiohttp", "s3fs", "gcsfs", "adlfs")
    cause = type(error.__cause__).__module__.startswith("botocore")
    if remote and ("Credential" in kind.__name__ or "Token" in kind.__name__):
        return "no credentials were found (for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)"
    if remote and ("Connect" in kind.__name__ or "Timeout" in kind.__name__ or "Closed" in kind.__name__):
        return "its endpoint cannot be reached (for S3: AWS_ENDPOINT_URL and the network)"
    if cause and isinstance(error, PermissionError):
        return f"the credentials were refused ({' '.join(str(error).split())[:200]})"
    if isinstance(error, OSError):
        return " ".join(str(error.strerror or error).split())[:300]
    return f"{kind.__name__}: {' '.join(str(error).split())[:200]}" if remote else None
