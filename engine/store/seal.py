"""Seals: a digest at the end of a small JSON object, over every byte before it.

    {"point":[0],…,"digest":"325b564b588246861d8441766028dcf1"}

A digest over bytes notices what a digest over meanings would let pass, and costs a microsecond to check.
"""

import hashlib

_BEGIN, _END = b',"digest":"', b'"}'
_HEX = 32
_LENGTH = len(_BEGIN) + _HEX + len(_END)


def digest(data: bytes) -> str:
    """128 bits as hexadecimal text."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def sealed(body: bytes) -> bytes:
    """A JSON table, not empty, with its digest as the last entry.

    >>> sealed(b'{"a":1}')
    b'{"a":1,"digest":"8fef35b69ffd5eee960e5eed655bcc93"}'
    """
    return body[:-1] + _BEGIN + digest(body[:-1]).encode() + _END


def has_seal(data: bytes) -> bool:
    """Whether it ends as a sealed table does; objects of format 1 do not."""
    return data.endswith(_END) and data[-_LENGTH:].startswith(_BEGIN)


def is_intact(data: bytes) -> bool:
    """Whether it is sealed, and no byte has changed since."""
    body = data[:-_LENGTH]
    return has_seal(data) and data[len(body) + len(_BEGIN) : -len(_END)] == digest(body).encode()
