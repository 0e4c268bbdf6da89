"""A prefix of object storage that fsspec can reach, as storage. It answers for its own durability."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from engine.errors import InputError, StoreError
from engine.store.objects import ROOT, limit_of, too_large
from engine.store.patience import is_passing, patiently

_IN_BUCKETS = ("s3", "s3a", "gs", "gcs")


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
        return bool(patiently(lambda: self._files.exists(self._path(key))))

    def names(self) -> list[str]:
        try:
            found = patiently(lambda: self._files.ls(self._root, detail=False))
        except FileNotFoundError:
            self._require_bucket()
            return []
        return [name.rstrip("/").rpartition("/")[2] for name in found]

    def _require_bucket(self) -> None:
        bucket = self._root.strip("/").partition("/")[0]
        if self.protocol in _IN_BUCKETS and not self._files.exists(bucket):
            raise StoreError(f"{self.location}: there is no bucket {bucket!r}: create it, or choose another URL")

    def objects(self, prefix: str = "") -> Iterator[str]:
        found = patiently(lambda: self._files.find(self._path(prefix) if prefix else self._root))
        yield from sorted(path.removeprefix(f"{self._root}/") for path in found)

    def read(self, key: str) -> bytes:
        try:
            data = patiently(lambda: self._files.cat_file(self._path(key), start=0, end=limit_of(key) + 1))
        except Exception as error:
            if not _is_of_nothing(error):
                raise
            data = b""
        return self._checked(key, data)

    def read_many(self, keys: list[str]) -> Iterator[bytes]:
        """The bytes of many objects, fetched many at a time. Raises FileNotFoundError for one that is not there."""
        for key, data in zip(keys, self.read_found(keys), strict=True):
            if data is None:
                raise FileNotFoundError(2, "No such object", key)
            yield data

    def read_found(self, keys: list[str]) -> Iterator[bytes | None]:
        """The bytes of many objects, fetched many at a time; None for one that is not there."""
        for first in range(0, len(keys), 512):
            some = keys[first : first + 512]
            paths = [self._path(key) for key in some]
            ends = [limit_of(key) + 1 for key in some]
            found = self._files.cat_ranges(paths, [0] * len(some), ends, on_error="return")
            for key, data in zip(some, found, strict=True):
                if isinstance(data, FileNotFoundError):
                    yield None
                elif isinstance(data, Exception):
                    yield self._again(key, data)
                else:
                    yield self._checked(key, data)

    def _again(self, key: str, error: Exception) -> bytes | None:
        """One of many objects, alone and with patience; None for one that is not there."""
        if not is_passing(error) and not _is_of_nothing(error):
            raise error
        try:
            return self.read(key)
        except FileNotFoundError:
            return None

    def _checked(self, key: str, data: bytes) -> bytes:
        if len(data) > limit_of(key):
            raise too_large(self.location, key)
        return data

    def write(self, key: str, data: bytes, *, durable: bool = True) -> None:
        patiently(lambda: self._files.pipe_file(self._path(key), data))

    def create(self, key: str, data: bytes) -> bool:
        """As locally; on S3 and what speaks its language by If-None-Match, which the server must know."""
        try:
            patiently(lambda: self._files.pipe_file(self._path(key), data, mode="create"))
        except FileExistsError:
            return self.read(key) == data  # an earlier try that seemed to fail: of two drivers no two write the same
        return True

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError):
            patiently(lambda: self._files.rm_file(self._path(key)))

    def write_many(self, objects: Mapping[str, bytes], last: Mapping[str, bytes] | None = None) -> None:
        """Store objects, in no order, and then those of `last`: object storage answers a write when it is durable."""
        self._piped(objects)
        self._piped(last or {})

    def _piped(self, objects: Mapping[str, bytes]) -> None:
        """All at once; where one of them fails for a moment, one after the other."""
        try:
            self._files.pipe({self._path(key): data for key, data in objects.items()})
        except Exception as error:
            if not is_passing(error):
                raise
            for key, data in objects.items():
                self.write(key, data)

    def establish(self, objects: Mapping[str, bytes], folder: str) -> bool:
        """Make the store, its root last: without one it is not there. The caller holds the lock."""
        for key in list(self.objects()):
            if not key.startswith("lock."):
                self.delete(key)
        self._piped({key: data for key, data in objects.items() if key != ROOT})
        self.write(ROOT, objects[ROOT])
        return True

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"


def _is_of_nothing(error: Exception) -> bool:
    """S3 refuses any range of an object that holds no byte."""
    said = f"{error} {error.__cause__}"
    return "InvalidRange" in said or "not satisfiable" in said
