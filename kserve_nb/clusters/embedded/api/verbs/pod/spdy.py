"""The part of SPDY/3.1 that port-forward uses: streams with headers and data. As in Kubernetes, without flow control.

https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

_CONTROL, _FIN = 0x80030000, 1
_LONGEST_DATA = 2**24 - 1

# The dictionary for the compression of headers (2.6.10.1): words after their lengths, then plain text.
_WORDS = (
    "options", "head", "post", "put", "delete", "trace", "accept", "accept-charset", "accept-encoding",
    "accept-language", "accept-ranges", "age", "allow", "authorization", "cache-control", "connection",
    "content-base", "content-encoding", "content-language", "content-length", "content-location", "content-md5",
    "content-range", "content-type", "date", "etag", "expect", "expires", "from", "host", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "location",
    "max-forwards", "pragma", "proxy-authenticate", "proxy-authorization", "range", "referer", "retry-after",
    "server", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via", "warning",
    "www-authenticate", "method", "get", "status",
)
_WORDS_AFTER = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.")
_DICTIONARY = b"".join(
    struct.pack(">I", len(word)) + word.encode() for word in (*_WORDS, *_WORDS_AFTER)) + _TEXT.encode()


class Frame(IntEnum):
    """The types of control frames that port-forward uses."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    PING = 6


class Opened(NamedTuple):
    """Event: the peer opens a stream."""

    stream: int
    headers: Mapping[str, str]


class Data(NamedTuple):
    """Event: the peer sends data on a stream; with `last`, it sends nothing more."""

    stream: int
    data: bytes
    last: bool


class Reset(NamedTuple):
    """Event: the peer closes a stream in both directions."""

    stream: int


class Ping(NamedTuple):
    """Event: a ping frame, to be answered with the same frame."""

    frame: bytes


Event = Opened | Data | Reset | Ping


class Connection:
    """The server's side of a connection, without I/O: it decodes bytes into events, and encodes frames as bytes."""

    def __init__(self) -> None:
        self._buffer = b""
        self._inflate = zlib.decompressobj(zdict=_DICTIONARY)
        self._deflate = zlib.compressobj(zdict=_DICTIONARY)

    def receive(self, data: bytes) -> Iterator[Event]:
        """Decode bytes from the peer. Raises ValueError if they are not SPDY."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from(">II", self._buffer)
            end = 8 + (second & 0xFFFFFF)
            if len(self._buffer) < end:
                return
            frame, self._buffer = self._buffer[:end], self._buffer[end:]
            event = self._event(first, second >> 24, frame)
            if event is not None:
                yield event

    def accept(self, stream: int) -> bytes:
        """The frame that accepts a stream which the peer has opened."""
        block = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return struct.pack(">III", _CONTROL | Frame.SYN_REPLY, len(block) + 4, stream) + block

    def send(self, stream: int, data: bytes, *, last: bool = False) -> bytes:
        """The frame that sends data on a stream; `last` closes the server's side of it."""
        assert len(data) <= _LONGEST_DATA
        return struct.pack(">II", stream, (_FIN << 24 if last else 0) | len(data)) + data

    def _event(self, first: int, flags: int, frame: bytes) -> Event | None:
        if not first & 0x80000000:
            return Data(first, frame[8:], bool(flags & _FIN))
        if first & 0xFFFF0000 != _CONTROL:
            raise ValueError("the peer does not speak SPDY/3")
        match first & 0xFFFF:
            case Frame.SYN_STREAM if len(frame) >= 18:
                return Opened(struct.unpack_from(">I", frame, 8)[0] & 0x7FFFFFFF, self._headers(frame[18:]))
            case Frame.RST_STREAM if len(frame) >= 12:
                return Reset(struct.unpack_from(">I", frame, 8)[0])
            case Frame.PING:
                return Ping(frame)
        return None

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            data = self._inflate.decompress(block, 64 * 1024)
            count, place, found = struct.unpack_from(">I", data)[0], 4, []
            for _ in range(2 * min(count, 100)):
                length = struct.unpack_from(">I", data, place)[0]
                found.append(data[place + 4:place + 4 + length].decode())
                place += 4 + length
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise ValueError(f"unreadable SPDY headers: {error}") from None
        return {name.lower(): value for name, value in zip(found[::2], found[1::2], strict=True)}
