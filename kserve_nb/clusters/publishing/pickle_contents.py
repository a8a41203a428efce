"""The version and the names that a pickled model refers to, found in its bytes. Nothing is loaded, so no code runs."""

from __future__ import annotations

import bz2
import io
import lzma
import math
import pickle
import re
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

MOST_BYTES = 64 << 20  # so many bytes of a model are read, after decompression
# A short string has its length before it. The optional opcode after it stores it for later use.
_STORED = rb"(?:\x94|q.|r....)?"
_VERSION = re.compile(
    rb"[\x8cX]\x10(?:\x00\x00\x00)?_sklearn_version" + _STORED + rb"[\x8cX](.)(?:\x00\x00\x00)?(\d[\w.+-]*)", re.DOTALL)
_NAME = rb"[A-Za-z_][\w.]*"
_OWN_GLOBAL = re.compile(rb"c__main__\n(" + _NAME + rb")\n")  # protocols 0 to 3
_GLOBAL = re.compile(rb"c(" + _NAME + rb")\n" + _NAME + rb"\n")
_BYTES_OF_CHARACTER = 4  # in an array of texts
_HAS_OBJECTS = 1  # a flag of a NumPy dtype
_MOST_WALKED = 8 << 20  # of a pickle without its arrays: so many bytes are followed opcode by opcode
_NEW_PROTOCOLS = (b"\x80\x04", b"\x80\x05")  # these protocols do not write names as 0 to 3 do
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
    >>> contents_of(unpacked(pickle.dumps({"_sklearn_version": "1.5.2", "call": print})))
    PickleContents(scikit_learn='1.5.2', modules=frozenset({'builtins'}), own_names=())
    """

    scikit_learn: str = ""  # empty if the pickle does not record it
    modules: frozenset[str] = frozenset()  # top-level names; unknown for pickles of Python 3.7 and older
    own_names: tuple[str, ...] = ()  # functions and classes of `__main__`, which no other program has


@dataclass(frozen=True)
class Unpacked:
    """The bytes of a pickle or a joblib file after decompression."""

    start: bytes  # the first MOST_BYTES
    length: int  # the number of all bytes
    tail: bytes  # the last byte
    complete: bool = True  # whether the compressed data end where they should

    @cached_property
    def names(self) -> tuple[tuple[str, str], ...]:
        """The module and the name of each object that the reader imports. The name is empty if it is a reference."""
        own = [("__main__", found[1].decode()) for found in _OWN_GLOBAL.finditer(self.start)]
        return (*own, *((found[2].decode(), (found[4] or b"").decode())
                        for found in _STACK_GLOBAL.finditer(self.start) if found[1][0] == len(found[2])))

    @property
    def modules(self) -> frozenset[str]:
        """The packages of these objects."""
        return frozenset(module.partition(".")[0] for module, _ in self.names)


def unpacked(data: bytes) -> Unpacked:
    """Decompress a file if it is compressed. Of a large file only the start is kept.

    >>> unpacked(zlib.compress(b"hello"))
    Unpacked(start=b'hello', length=5, tail=b'o', complete=True)
    """
    stream = next((make() for start, make in _DECOMPRESSORS if data.startswith(start)), None)
    try:
        if stream is not None:
            return _decompressed(stream, data)
    except (OSError, zlib.error, lzma.LZMAError):  # the first bytes looked compressed, but the file is not
        pass
    return Unpacked(data[:MOST_BYTES], len(data), data[-1:])


def contents_of(file: Unpacked) -> PickleContents:
    """What a pickle or a joblib file contains. It is searched as bytes, so a few may be missed."""
    version = _VERSION.search(file.start)
    own = dict.fromkeys(name for module, name in file.names if module == "__main__")
    return PickleContents(version[2][:version[1][0]].decode() if version else "", file.modules, tuple(own))


def problem_of(file: Unpacked) -> str:
    """Why these bytes are not a complete pickle of an object with a class; empty if they may be one.

    >>> problem_of(unpacked(b""))
    'it is empty'
    >>> problem_of(unpacked(b"hello"))
    'it is not a pickle, or it is cut off'
    """
    if not file.length and file.complete:
        return "it is empty"
    if not file.complete:
        return "its compressed data are cut off"
    if not _is_whole(file):
        return "it is not a pickle, or it is cut off"
    modules = file.modules
    if not file.start.startswith(_NEW_PROTOCOLS):
        modules |= {found[1].decode().partition(".")[0] for found in _GLOBAL.finditer(file.start)}
    return "" if modules - _WITHOUT_ESTIMATORS else "it contains no estimator"


def _decompressed(stream: Any, data: bytes) -> Unpacked:
    part = start = stream.decompress(data, MOST_BYTES)
    length, tail = len(part), part[-1:]
    while part and not stream.eof:  # the rest of a large model, to see that it is complete
        part = stream.decompress(getattr(stream, "unconsumed_tail", b""), MOST_BYTES)
        length, tail = length + len(part), part[-1:] or tail
    return Unpacked(start, length, tail, stream.eof)


def _is_whole(file: Unpacked) -> bool:
    """Whether a pickle goes from its first opcode to its last one. Of a very large one only the ends are checked."""
    try:
        _Walker(_Source(file)).load()
    except _TooLongError:
        return file.start.startswith(b"\x80") and file.tail == b"."
    except Exception:  # wrong bytes can fail in any way
        return False
    return True


class _TooLongError(Exception):
    """A pickle has more opcodes than the bytes that are read contain."""


class _Source:
    """The bytes of a file, as a stream for an unpickler. Raises EOFError at the end of the file."""

    def __init__(self, file: Unpacked):
        self._stream, self._length, self._skipped = io.BytesIO(file.start), file.length, 0

    def read(self, size: int) -> bytes:
        return self._checked(self._stream.read(size), size)

    def readinto(self, buffer: bytearray) -> int:
        buffer[:] = self.read(len(buffer))
        return len(buffer)

    def readline(self) -> bytes:
        line = self._stream.readline()
        return self._checked(line, len(line) + (not line.endswith(b"\n")))

    def skip(self, size: int) -> None:
        if self._stream.tell() + size > self._length:
            raise EOFError
        self._skipped += size
        self._stream.seek(size, io.SEEK_CUR)

    def _checked(self, found: bytes, size: int) -> bytes:
        position = self._stream.tell()
        if position - self._skipped > _MOST_WALKED or position + size - len(found) > MOST_BYTES:
            raise _TooLongError
        if len(found) < size:
            raise EOFError
        return found


class _Inert:
    """A substitute for each object in a pickle, so that nothing of it is imported or called."""

    args: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *args: Any, **_options: Any) -> _Inert:
        made = object.__new__(cls if isinstance(cls, type) else _Inert)
        made.args = args
        return made

    def __call__(self, *_args: Any, **_options: Any) -> _Inert:
        return _Inert()

    def __setitem__(self, _key: Any, _value: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def append(self, _value: Any) -> None: ...

    add = extend = append


class _Array(_Inert):
    """joblib's `NumpyArrayWrapper`. The bytes of the array follow it in the file, between two opcodes."""


_Unpickler: Any = pickle._Unpickler  # a subclass of the C implementation cannot follow the opcodes


class _Walker(_Unpickler):  # type: ignore[misc]  # typeshed declares only a part of it
    """Follows the opcodes of a pickle and the arrays between them. Imports and calls nothing that the pickle names."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Unpickler.dispatch)

    def __init__(self, source: _Source):
        self._source = source
        super().__init__(source)

    def find_class(self, _module: str, name: str) -> type[_Inert]:
        return _Array if name == "NumpyArrayWrapper" else _Inert

    def get_extension(self, _code: int) -> None:
        self.append(_Inert)

    def load_build(self) -> None:
        """Give an object its state. After joblib's wrapper of an array, skip the array as joblib reads it."""
        super().load_build()
        if isinstance(self.stack[-1], _Array):
            self._skip_array(self.stack[-1].state)

    dispatch[pickle.BUILD[0]] = load_build

    def _skip_array(self, wrapper: dict[str, Any]) -> None:
        type_, flags = wrapper["dtype"].args[0], wrapper["dtype"].state[7]
        if flags & _HAS_OBJECTS:  # an array of objects is a pickle within the pickle
            _Walker(self._source).load()
            return
        if wrapper.get("numpy_array_alignment_bytes") is not None:  # since joblib 1.2
            self._source.read(self._source.read(1)[0])
        item = int(type_[1:]) * (_BYTES_OF_CHARACTER if type_[0] == "U" else 1)
        self._source.skip(math.prod(wrapper["shape"]) * item)

