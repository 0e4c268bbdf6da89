"""Where a store's objects lie: a folder of a file system, or a prefix of object storage that fsspec can reach.

Both store an object whole or not at all. Names of objects are relative to the store, with '/' between their parts.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from engine.errors import InputError, NearfieldError, StoreError
from engine.store.local import LocalStorage
from engine.store.object_storage import ObjectStorage
from engine.store.objects import ROOT, limit_of

__all__ = ["ROOT", "LocalStorage", "ObjectStorage", "Storage", "limit_of", "reported", "storage_at"]

Storage = LocalStorage | ObjectStorage


def storage_at(path: str | os.PathLike[str] | Storage) -> Storage:
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
    try:
        urlsplit(text)
    except ValueError as error:
        raise InputError(f"store: given {text[:200]!r}, needed a URL such as s3://bucket/prefix ({error})") from None
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
