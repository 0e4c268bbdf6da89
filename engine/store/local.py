"""A folder of a file system as storage. An object is on the disk when `write` returns."""

import functools
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from engine.errors import StoreError
from engine.store.objects import limit_of, too_large

_CHECKED_FOLDERS = 10_000


class LocalStorage:
    """A folder. Nothing is read or written through a link inside it, which could lead anywhere."""

    is_local = True

    def __init__(self, root: Path) -> None:
        self.root, self.location = root, str(root)
        self._text = str(root)
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
        self._require_inside(key)
        status = os.lstat(f"{self._text}/{key}")
        if stat.S_ISLNK(status.st_mode):
            raise StoreError(f"{self.location}: {key} is a link: remove it, a store holds no links")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise StoreError(f"{self.location}: {key} is not a plain file: remove it, a store holds no links or pipes")
        if status.st_size > limit_of(key):
            raise too_large(self.location, key)

    def read(self, key: str) -> bytes:
        """An object's bytes. Raises FileNotFoundError, and StoreError for one that is too large or no plain file."""
        self.require_plain(key)
        descriptor = os.open(f"{self._text}/{key}", os.O_RDONLY)
        with open(descriptor, "rb", buffering=0) as stream:
            return stream.read()

    def read_many(self, keys: list[str]) -> Iterator[bytes]:
        return map(self.read, keys)

    def read_found(self, keys: list[str]) -> Iterator[bytes | None]:
        """The bytes of many objects; None for one that is not there."""
        for key in keys:
            try:
                yield self.read(key)
            except (FileNotFoundError, NotADirectoryError):
                yield None

    def write(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Store an object in one step: it is there whole or not at all, and on the disk if `durable`."""
        file = self._file(key)
        partial = self._partial(file, data, durable)
        try:
            partial.replace(file)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        if durable:
            _flush(str(file.parent))  # until the folder is on the disk, the file may be one that nobody finds

    def write_many(self, objects: Mapping[str, bytes], last: Mapping[str, bytes] | None = None) -> None:
        """Store objects, each in one step, in no order, and then those of `last`: none of them is there before the
        others are on the disk. All are, with their folders, when it returns.
        """
        folders: set[str] = set()
        first, then = self._drafts(objects), self._drafts(last or {})
        drafts = [*first, *then]
        try:
            for partial, key in drafts:
                _draft(partial, objects[key] if key in objects else (last or {})[key], folders)
            _flush_all(partial for partial, _ in drafts)
            self._named(first, folders)
            if then:
                self._named(then, set())
        except BaseException:
            for partial, _ in drafts:
                with suppress(OSError):
                    os.unlink(partial)
            raise

    def _drafts(self, objects: Mapping[str, bytes]) -> list[tuple[str, str]]:
        """Where each object is written before it gets its name, and the object."""
        for key in objects:
            self._require_inside(key)
        return [(f"{self._text}/{key}.{os.urandom(8).hex()}.partial", key) for key in objects]

    def _named(self, drafts: list[tuple[str, str]], folders: set[str]) -> None:
        """Give drafts their names, and wait until their folders have them, and the others too."""
        for partial, key in drafts:
            os.replace(partial, f"{self._text}/{key}")
        _flush_all(folders | {os.path.dirname(partial) for partial, _ in drafts})

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

    def establish(self, objects: Mapping[str, bytes], folder: str) -> bool:
        """Make the store, whole, in one rename, with an empty folder; False if another process was first."""
        parent = self.root.absolute().parent
        above = {parent, *(folder.parent for folder in (parent, *parent.parents) if not folder.exists())}
        parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{self.root.name}.", suffix=".partial", dir=self.root.parent))
        try:
            draft.chmod(0o755)
            (draft / folder).mkdir()
            for key, data in objects.items():
                (draft / key).parent.mkdir(parents=True, exist_ok=True)
                (draft / key).write_bytes(data)
            _flush_all(str(path) for path in (draft, *draft.rglob("*")))
            draft.rename(self.root)
        except BaseException as error:
            shutil.rmtree(draft, ignore_errors=True)
            if isinstance(error, OSError) and self.root.is_dir() and any(self.root.iterdir()):
                return False
            raise
        _flush_all(map(str, above))
        return True

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


def _draft(partial: str, data: bytes, folders: set[str]) -> None:
    """Write a file that is to be renamed. `folders`: those in which a folder was made for it are added."""
    try:
        _write_new(partial, data)
    except FileNotFoundError:
        folder = os.path.dirname(partial)
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
            folders.add(folder)
        os.makedirs(os.path.dirname(partial), exist_ok=True)
        _write_new(partial, data)


def _write_new(path: str, data: bytes) -> None:
    with open(path, "xb", buffering=0) as stream:
        view = memoryview(data)
        while view:
            view = view[stream.write(view) :]


def _flush(path: str) -> None:
    """Wait until a file or a folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_all(paths: Iterable[str]) -> None:
    """Together, so that the system writes them together."""
    names = list(paths)
    waiting = [_pool().submit(_flush, name) for name in names[1:]]
    for name in names[:1]:  # by this thread
        _flush(name)
    for one in waiting:
        one.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(16, thread_name_prefix="flush")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads
