"""Read the tutorial's own curl line and send it by requests: a fresh machine need not have curl."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from http.client import responses
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import requests

from kserve_nb.magics.command_line import CommandError

_TIMEOUT_S = 60
_USAGE, _BAD_URL, _UNREACHABLE, _NO_FILE, _NO_TLS = 2, 3, 7, 26, 35  # curl's own exit codes


class CurlError(CommandError):
    """No answer came, or the line cannot be read; `code` is curl's exit code for it."""

    def __init__(self, code: int, message: str):
        super().__init__(f"curl: ({code}) {message}")
        self.code = code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CurlError(_USAGE, f"{message}. Known here: -v -i -s -H -d -X and a URL.")


def _parser() -> _Parser:
    parser = _Parser(prog="curl", add_help=False, allow_abbrev=False)
    parser.add_argument("-v", "--verbose", action="store_true")
    for short, long in (("-i", "--include"), ("-s", "--silent"), ("-S", "--show-error")):
        parser.add_argument(short, long, action="store_true")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data", "--data-binary", "--data-raw")
    parser.add_argument("-X", "--request")
    parser.add_argument("url")
    return parser


def curl(words: Sequence[str], folder: Path) -> tuple[str, str]:
    """Do what `curl WORDS` does, and return what it shows beside the body, and the body.

    With -v the first holds the request after `>` and the head of the answer after `<`, as curl writes them;
    else the head of the answer alone.

    Args:
        folder: where `-d @file` is looked for.

    Raises:
        CurlError: no answer came, a file is missing, or an option is not known here.
    """
    asked = _parser().parse_args(list(words))
    request = prepare(words, folder)
    with requests.Session() as session:
        session.trust_env = False  # the ingress is where the address says, not behind a proxy
        try:
            answer = session.send(request, timeout=_TIMEOUT_S, allow_redirects=False)
        except requests.exceptions.SSLError:
            raise CurlError(_NO_TLS, f"{asked.url}: no TLS is spoken there. Ask it by http://") from None
        except requests.RequestException:
            where = urlsplit(asked.url)
            raise CurlError(
                _UNREACHABLE,
                f"Failed to connect to {where.hostname} port {where.port or 80}: "
                "no answer. Compare INGRESS_HOST and INGRESS_PORT with kserve-nb status.",
            ) from None
    head = [f"HTTP/1.1 {answer.status_code} {responses.get(answer.status_code, '')}".rstrip()]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    if asked.verbose:
        return "\n".join([*_asked(request), *(f"< {line}" for line in head), "< "]), answer.text
    return "\n".join([*head, ""]), answer.text


def prepare(words: Sequence[str], folder: Path) -> requests.PreparedRequest:
    """The request that `curl WORDS` would send.

    Raises:
        CurlError: a file is missing, the URL names no host, or an option is not known here.
    """
    asked = _parser().parse_args(list(words))
    body = None if asked.data is None else _body(asked.data, folder)
    headers = {"Host": urlsplit(asked.url).netloc, "User-Agent": "curl", "Accept": "*/*"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"  # what curl says when nobody says otherwise
    for header in asked.header:
        name, _, value = header.partition(":")
        headers = {key: kept for key, kept in headers.items() if key.lower() != name.strip().lower()}
        headers[name.strip()] = value.strip()
    url = asked.url if "://" in asked.url else f"http://{asked.url}"
    request = requests.Request(asked.request or ("GET" if body is None else "POST"), url, headers, data=body)
    try:
        return request.prepare()
    except requests.exceptions.InvalidURL:
        raise CurlError(_BAD_URL, f"{url}: no host in this URL. Are INGRESS_HOST and INGRESS_PORT empty?") from None


def _body(data: str, folder: Path) -> bytes:
    if not data.startswith("@"):
        return data.encode()
    file = folder / data[1:]
    try:
        return file.read_bytes().replace(b"\n", b"").replace(b"\r", b"")  # as curl -d does with a file
    except OSError:
        raise CurlError(_NO_FILE, f"{data[1:]}: no such file. Write it first: %%writefile {data[1:]}") from None


def _asked(request: requests.PreparedRequest) -> list[str]:
    where = urlsplit(request.url or "")
    names = dict(request.headers)
    host = names.pop("Host", "")
    return [
        f"* Connected to {where.hostname} port {where.port or 80}",
        f"> {request.method} {request.path_url} HTTP/1.1",
        f"> Host: {host}",
        *(f"> {name}: {value}" for name, value in names.items()),
        "> ",
    ]
