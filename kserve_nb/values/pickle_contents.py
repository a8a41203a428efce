"""What a pickled model refers to, found in the bytes of its file. Nothing is loaded, so none of its code runs."""

from __future__ import annotations

import bz2
import lzma
import pickletools
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

MOST_BYTES = 64 << 20  # that are read of a model, after decompression
# A short string has its length before it. The optional opcode after it stores it for later use.
_STORED = rb"(?:\x94|q.|r....)?"
_VERSION = re.compile(
    rb"[\x8cX]\x10(?:\x00\x00\x00)?_sklearn_version" + _STORED + rb"[\x8cX](.)(?:\x00\x00\x00)?(\d[\w.+-]*)", re.DOTALL)
_NAME = rb"[A-Za-z_][\w.]*"
_OWN_GLOBAL = re.compile(rb"c__main__\n(" + _NAME + rb")\n")  # protocols 0 to 3
_GLOBAL = re.compile(rb"c(" + _NAME + rb")\n" + _NAME + rb"\n")
_ARRAYS = b"NumpyArrayWrapper"  # joblib writes the bytes of an array after such an object, between the opcodes
_MOST_WALKED = 8 << 20
_NEW_PROTOCOLS = (b"\x80\x04", b"\x80\x05")  # they do not write names as protocols 0 to 3 do
_WITHOUT_ESTIMATORS = {"numpy", "joblib", "copy_reg", "copyreg", *sys.stdlib_module_names}
_STACK_GLOBAL = re.compile(  # since protocol 4; the name may be a reference to an earlier string
    rb"\x8c(.)(" + _NAME + rb")" + _STORED + rb"(?:\x8c(.)(" + _NAME + rb")" + _STORED + rb"|h.|j....)\x93", re.DOTALL)
# How joblib compresses, by the first bytes of a file.
_DECOMPRESSORS: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)), (b"x", zlib.decompressobj), (b"BZ", bz2.BZ2Decompressor),
    (b"\xfd7zXZ", lzma.LZMADecompressor), (b"]\x00\x00", lzma.LZMADecompressor))


@dataclass(frozen=True)
class PickleContents:
    """The scikit-learn version that wrote a pickle, and what its reader has to import.

    >>> import pickle
    >>> contents_of(pickle.dumps({"_sklearn_version": "1.5.2", "call": print}))
    PickleContents(scikit_learn='1.5.2', modules=frozenset({'builtins'}), own_names=())
    """

    scikit_learn: str = ""  # empty if the pickle does not record it
    modules: frozenset[str] = frozenset()  # top-level names; not known of pickles of Python 3.7 and older
    own_names: tuple[str, ...] = ()  # functions and classes of `__main__`, which no other program has


def contents_of(data: bytes) -> PickleContents:
    """What a pickle or a joblib file contains, compressed or not. It is searched as bytes, so a few may be missed."""
    plain = _decompressed(data)[:MOST_BYTES]
    version = _VERSION.search(plain)
    names = list(_globals(plain))
    own = dict.fromkeys(name for module, name in names if module == "__main__")
    return PickleContents(version[2][:version[1][0]].decode() if version else "",
                          frozenset(module.partition(".")[0] for module, _ in names), tuple(own))


def problem_of(data: bytes) -> str:
    """Why these bytes are no complete pickle of an object with a class; empty if they may be one.

    >>> problem_of(b"")
    'it is empty'
    >>> problem_of(b"hello")
    'it is not a pickle, or it is cut off'
    """
    if not data:
        return "it is empty"
    plain, tail, complete = _unpacked(data)
    if not complete:
        return "its compressed data are cut off"
    if not _is_whole(plain, tail):
        return "it is not a pickle, or it is cut off"
    modules = {module.partition(".")[0] for module, _ in _globals(plain)}
    if not plain.startswith(_NEW_PROTOCOLS):
        modules |= {found[1].decode().partition(".")[0] for found in _GLOBAL.finditer(plain)}
    return "" if modules - _WITHOUT_ESTIMATORS else "it contains no estimator"


def _is_whole(plain: bytes, tail: bytes) -> bool:
    """Whether a pickle goes from its first opcode to its last one. With arrays of joblib only the ends are checked."""
    if len(plain) > _MOST_WALKED or _ARRAYS in plain:
        return plain.startswith(b"\x80") and tail == b"."
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(plain))
    except (ValueError, LookupError, OverflowError, EOFError):
        return False


def _unpacked(data: bytes) -> tuple[bytes, bytes, bool]:
    """The decompressed bytes up to a limit, the last byte, and whether the compressed data are complete."""
    stream = _decompressor(data)
    if stream is None:
        return data[:MOST_BYTES], data[-1:], True
    try:
        part: bytes = stream.decompress(data, MOST_BYTES)
        plain, tail = part, part[-1:]
        while part and not stream.eof:  # the rest of a large model, to see that it is complete
            part = stream.decompress(getattr(stream, "unconsumed_tail", b""), MOST_BYTES)
            tail = part[-1:] or tail
    except (OSError, zlib.error, lzma.LZMAError):  # it only looked compressed
        return data[:MOST_BYTES], data[-1:], True
    return plain, tail, stream.eof


def _globals(plain: bytes) -> Iterator[tuple[str, str]]:
    """The module and the name of each object that the reader imports. The name is empty if it is a reference."""
    for found in _OWN_GLOBAL.finditer(plain):
        yield "__main__", found[1].decode()
    for found in _STACK_GLOBAL.finditer(plain):
        if found[1][0] == len(found[2]):
            yield found[2].decode(), (found[4] or b"").decode()


def _decompressed(data: bytes) -> bytes:
    stream = _decompressor(data)
    if stream is None:
        return data
    try:
        plain: bytes = stream.decompress(data, MOST_BYTES)
        return plain
    except (OSError, zlib.error, lzma.LZMAError):  # it only looked compressed
        return data


def _decompressor(data: bytes) -> Any:
    """A new decompressor for a file that begins with these bytes, None if it is not compressed."""
    return next((make() for start, make in _DECOMPRESSORS if data.startswith(start)), None)
