"""Send the request of a curl command with the requests library, so that curl need not be installed."""

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
    """A curl command that got no answer or cannot be read. `code` is the exit code that curl has for it."""

    def __init__(self, code: int, message: str):
        super().__init__(f"curl: ({code}) {message}")
        self.code = code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CurlError(_USAGE, f"{message}. %curl supports -v -i -s -S -H -d -X and a URL.")


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
    """Send the request of a curl command, and return the head of the answer and its body.

    With -v the head also has the request, with `>` and `<` in front of the lines as curl prints them.

    Args:
        folder: the folder of the files of `-d @file`.

    Raises:
        CurlError: no answer came, a file is missing, or an option is not supported.
    """
    options = _parser().parse_args(list(words))
    request = prepare(words, folder)
    with requests.Session() as session:
        session.trust_env = False  # a proxy of the environment does not know the ingress
        try:
            answer = session.send(request, timeout=_TIMEOUT_S, allow_redirects=False)
        except requests.exceptions.SSLError:
            raise CurlError(_NO_TLS, f"{options.url}: the server does not use TLS at this port. Use http://") from None
        except requests.RequestException:
            where = urlsplit(options.url)
            raise CurlError(
                _UNREACHABLE,
                f"Failed to connect to {where.hostname} port {where.port or 80}: "
                "no answer. Compare INGRESS_HOST and INGRESS_PORT with the output of kserve-nb status.",
            ) from None
    head = [f"HTTP/1.1 {answer.status_code} {responses.get(answer.status_code, '')}".rstrip()]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    if options.verbose:
        return "\n".join([*_request_lines(request), *(f"< {line}" for line in head), "< "]), answer.text
    return "\n".join([*head, ""]), answer.text


def prepare(words: Sequence[str], folder: Path) -> requests.PreparedRequest:
    """The HTTP request that a curl command would send.

    Raises:
        CurlError: a file is missing, the URL has no host, or an option is not supported.
    """
    options = _parser().parse_args(list(words))
    body = None if options.data is None else _body(options.data, folder)
    headers = {"Host": urlsplit(options.url).netloc, "User-Agent": "curl", "Accept": "*/*"}
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"  # curl's default for -d
    for header in options.header:
        name, _, value = header.partition(":")
        headers = {key: kept for key, kept in headers.items() if key.lower() != name.strip().lower()}
        headers[name.strip()] = value.strip()
    url = options.url if "://" in options.url else f"http://{options.url}"
    request = requests.Request(options.request or ("GET" if body is None else "POST"), url, headers, data=body)
    try:
        return request.prepare()
    except requests.exceptions.InvalidURL:
        raise CurlError(
            _BAD_URL, f"{url}: this URL has no host. INGRESS_HOST and INGRESS_PORT may be empty: see lab.ingress."
        ) from None


def _body(data: str, folder: Path) -> bytes:
    if not data.startswith("@"):
        return data.encode()
    file = folder / data[1:]
    try:
        return file.read_bytes().replace(b"\n", b"").replace(b"\r", b"")  # as curl -d does with a file
    except OSError:
        missing = f"{data[1:]}: there is no such file. Create it first: %%writefile {data[1:]}"
        raise CurlError(_NO_FILE, missing) from None


def _request_lines(request: requests.PreparedRequest) -> list[str]:
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
