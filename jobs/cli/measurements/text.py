"""The text of a file: UTF-8, UTF-16 or UTF-32 by its mark, UTF-16 without one, else Windows' Latin-1; or no text."""

import codecs
import re
from pathlib import Path

from engine import InputError

_MARKS = (  # those of UTF-32 begin as UTF-16's does
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another zip archive: save it as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save it as CSV",
    b"\x1f\x8b": "compressed: unpack it first",
    b"%PDF": "a PDF: export the table as CSV",
    b"CDF\x01": "NetCDF: name it .nc",
    b"CDF\x02": "NetCDF: name it .nc",
    b"\x89HDF": "NetCDF 4: name it .nc",
    b"PAR1": "Parquet: name it .parquet",
}
_LOOKED_AT = 4096
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


def text_of(path: Path) -> str:
    """A file's text, with \\n between lines. Raises InputError for what cannot be read or is no text."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    for begins, what in _OTHER_FORMATS.items():
        if content.startswith(begins):
            raise InputError(f"{path}: given what is {what}; needed text")
    text = _decoded(path, content).removesuffix("\x1a")  # DOS's end of a file
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise InputError(f"{path}: line {line}: given the control character {found[0]!r}, needed text: is it binary?")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\N{MINUS SIGN}", "-").replace("\ufeff", "")


def _decoded(path: Path, content: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None) or _unmarked(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            reason = f"byte {error.start + 1} is none of {encoding.upper()}, which its beginning says that it is"
            raise InputError(f"{path}: given text that is cut or damaged: {reason}; needed the whole file") from None
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _unmarked(content: bytes) -> str:
    """UTF-16 shows by its zeros: every other byte of a table is one."""
    head = content[:_LOOKED_AT]
    for encoding, zeros, others in (("utf-16-be", head[::2], head[1::2]), ("utf-16-le", head[1::2], head[::2])):
        if zeros.count(0) > 0.8 * len(zeros) and others.count(0) == 0:
            return encoding
    return "utf-8"
