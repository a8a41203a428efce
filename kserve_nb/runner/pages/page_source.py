"""The Markdown text of a page, from a file or from an https address, within limits of size and time."""

from __future__ import annotations

import time
from pathlib import Path

import requests

MOST_BYTES = 1 << 20
_ANSWER_S = 10.0  # for the connection, and between two parts of the response
_DEADLINE_S = 30.0  # for all of it
_PART_BYTES = 1 << 14
_SOURCE_HINT = "Name the page's Markdown source (.md or .mdx), such as its raw address on GitHub."


class PageError(Exception):
    """A page cannot be read; the message names it, says why, and what to do."""


def page_text(source: str, session: requests.Session | None = None) -> str:
    """The text of a page. Raises PageError.

    Args:
        source: the path of a file, or an https address.
        session: sends the request; a new one by default.
    """
    if "://" in source:
        if not source.startswith("https://"):
            raise PageError(f"Cannot read {source}: only https addresses are read. Use https, or name a file.")
        content = _downloaded(source, session or requests.Session())
    else:
        content = _file(Path(source))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PageError(f"Cannot read {source}: it is not UTF-8 text. {_SOURCE_HINT}") from None
    if text.lstrip()[:15].lower().startswith(("<!doctype html", "<html")):
        raise PageError(f"Cannot read {source}: it is an HTML page. {_SOURCE_HINT}")
    return text


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise PageError(f"Cannot read {path}: {error.strerror}. Name a Markdown file or an https address.") from None
    return _limited(str(path), content)


def _downloaded(url: str, session: requests.Session) -> bytes:
    deadline, content = time.monotonic() + _DEADLINE_S, b""
    try:
        with session.get(url, stream=True, timeout=_ANSWER_S) as response:
            if not response.url.startswith("https://"):
                raise PageError(f"Cannot read {url}: it redirects to {response.url}, "
                                "and only https addresses are read.")
            if not response.ok:
                raise PageError(f"Cannot read {url}: the server answered {response.status_code} {response.reason}. "
                                "Check the address.")
            for part in response.iter_content(_PART_BYTES):
                content = _limited(url, content + part)
                if time.monotonic() > deadline:
                    raise PageError(f"Cannot read {url}: the download took longer than {_DEADLINE_S:.0f} s. "
                                    "Try again later.")
    except (requests.RequestException, ValueError) as error:
        raise PageError(f"Cannot read {url}: {_reason(error)}. Check the address and your network.") from None
    return content


def _limited(source: str, content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise PageError(f"Cannot read {source}: it is larger than {MOST_BYTES >> 20} MiB. {_SOURCE_HINT}")
    return content


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return f"the server did not answer within {_ANSWER_S:.0f} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not valid"
    if isinstance(error, requests.ConnectionError):
        return "there is no connection to the server"
    return str(error) or type(error).__name__
