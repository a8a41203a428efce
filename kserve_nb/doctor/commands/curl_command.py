"""A pasted curl command: the request that it would send, and the address."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from kserve_nb.doctor.commands.curl_options import CurlOption, parse
from kserve_nb.doctor.commands.shell_words import read_words

_DATA = ("data", "data-ascii", "data-raw", "data-binary", "data-urlencode", "json", "form", "form-string")
_MAGIC = ("verbose", "include", "silent", "show-error", "header", "data", "request", "url")  # what %curl accepts
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class CurlCommand:
    """A curl command. Options that do not affect the route are kept, and printed again in a corrected command."""

    line: str
    options: tuple[CurlOption, ...]
    folder: Path = field(default_factory=Path.cwd)
    unset: tuple[str, ...] = ()  # variables without a value
    piped: bool = False  # its body may come from another program
    curly: bool = False  # it is written with typographic quotes

    @classmethod
    def read(cls, line: str, variables: Mapping[str, str], folder: Path) -> CurlCommand:
        """The command as a shell and curl read it. Raises CommandError when it cannot be read."""
        found = read_words(line, variables)
        return cls(" ".join(line.split()), parse(found.words), folder, found.unset, found.piped, found.curly)

    # --- what it sends -----------------------------------------------------------------------------------------

    def values(self, *names: str) -> list[str]:
        """The values of these options, in their order."""
        return [option.value or "" for option in self.options if option.name in names]

    def has(self, name: str) -> bool:
        """Whether the command has this option."""
        return any(option.name == name for option in self.options)

    @cached_property
    def url(self) -> SplitResult:
        """The command's first URL; curl adds http if it has no scheme."""
        text = next(iter(self.values("url")), "")
        try:
            return urlsplit(text if "://" in text or not text else f"http://{text}")
        except ValueError:  # an open bracket: curl refuses it as well
            return urlsplit("")

    @property
    def scheme(self) -> str:
        """The scheme of the URL: http or https."""
        return self.url.scheme or "http"

    @property
    def address(self) -> str:
        """HOST:PORT to which the command connects, after --resolve and --connect-to; empty when the URL has no host."""
        if not _hostname(self.url) or not _port(self.url):
            return ""
        host, port = _hostname(self.url), _port(self.url)
        for value in self.values("resolve"):
            name, _, rest = value.lstrip("+-").partition(":")
            at, _, address = rest.partition(":")
            if name in (host, "*") and at in (str(port), "*"):
                return f"{address.partition(',')[0].strip('[]')}:{port}"
        for value in self.values("connect-to"):
            parts = value.split(":")
            if len(parts) == 4 and parts[0] in (host, "") and parts[1] in (str(port), ""):
                return f"{parts[2] or host}:{parts[3] or port}"
        return self.url.netloc.rpartition("@")[2]

    @property
    def host(self) -> str:
        """The Host header, without a port."""
        return self.header("host", self.url.netloc.rpartition("@")[2]).partition(":")[0].strip()

    @property
    def path(self) -> str:
        """Path and query."""
        query = "&".join(filter(None, (self.url.query, *(self._payload if self.has("get") else ()))))
        return (self.url.path or "/") + (f"?{query}" if query else "")

    @property
    def method(self) -> str:
        """The HTTP method."""
        requested = self.values("request")
        if requested:
            return requested[-1].upper()
        if self.has("head"):
            return "HEAD"
        if self.has("upload-file"):
            return "PUT"
        return "POST" if self.sends_body else "GET"

    @property
    def headers(self) -> dict[str, str]:
        """All headers except Host, by the names with which they are written."""
        users = [base64.b64encode(value.encode()).decode() for value in self.values("user")]
        rows = [("User-Agent", value) for value in self.values("user-agent")]
        rows += [("Referer", value) for value in self.values("referer")]
        rows += [("Cookie", value) for value in self.values("cookie") if "=" in value]  # otherwise a file of cookies
        rows += [("Authorization", f"Bearer {value}") for value in self.values("oauth2-bearer")]
        rows += [("Authorization", f"Basic {value}") for value in users]
        found = dict(rows) | ({"Content-Type": self.content_type} if self.content_type else {})
        for header in self.values("header"):
            name, colon, value = header.partition(":")
            if colon and name.strip().lower() not in ("host", "content-type"):
                found[name.strip()] = value.strip()
        return found

    @property
    def content_type(self) -> str:
        """The Content-Type; for -d curl's default is the type of a web form."""
        default = ""
        if self.has("json"):
            default = "application/json"
        elif self.has("form") or self.has("form-string"):
            default = "multipart/form-data"
        elif self.sends_body:
            default = _FORM
        return self.header("content-type", default)

    @property
    def option_files(self) -> list[str]:
        """The files from which curl would read options or headers: -K FILE, -H @FILE."""
        return [*self.values("config"), *(value[1:] for value in self.values("header") if value.startswith("@"))]

    def header(self, name: str, default: str = "") -> str:
        """The last value of a header."""
        rows = [header.partition(":") for header in self.values("header")]
        return next((value.strip() for key, _, value in reversed(rows) if key.strip().lower() == name), default)

    @property
    def sends_body(self) -> bool:
        """Whether the command has an option for a body."""
        return not self.has("get") and any(option.name in _DATA for option in self.options)

    @property
    def body(self) -> str:
        """The body; empty when a file is missing or it comes from standard input."""
        return "" if self.has("get") else ("" if self.has("json") else "&").join(self._payload)

    @property
    def body_unknown(self) -> bool:
        """Whether the body comes from standard input, so that it cannot be examined."""
        return any(value.startswith("@-") for value in self.values("data", "data-binary", "data-ascii", "json"))

    @property
    def missing_file(self) -> str:
        """A file of -d @FILE that is not in the folder."""
        names = [value[1:] for value in self.values("data", "data-ascii", "data-binary", "json")
                 if value.startswith("@") and value != "@-"]  # fmt: skip
        names += [value for value in self.values("upload-file") if value not in ("-", ".")]
        return next((name for name in names if not (self.folder / name).is_file()), "")

    @cached_property
    def _payload(self) -> tuple[str, ...]:
        return tuple(self._value(option) for option in self.options if option.name in _DATA)

    def _value(self, option: CurlOption) -> str:
        value = option.value or ""
        if option.name == "data-urlencode":
            name, equals, text = value.rpartition("=")
            return f"{name}{equals}{quote(text)}"
        if not value.startswith("@") or option.name in ("data-raw", "form-string", "form"):
            return value
        try:
            text = (self.folder / value[1:]).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return text if option.name == "data-binary" else text.replace("\n", "").replace("\r", "")

    # --- another command ---------------------------------------------------------------------------------------

    def with_header(self, name: str, value: str) -> CurlCommand:
        """The same command with this header in place of its own."""
        kept = self._without(lambda o: o.name == "header" and _header_name(o.value or "") == name.lower())
        return replace(self, options=(CurlOption("-H", "header", f"{name}: {value}"), *kept))

    def with_url(self, url: str) -> CurlCommand:
        """The same command with this URL; options that redirect the connection are dropped."""
        kept = self._without(lambda o: o.name in ("url", "resolve", "connect-to", "proxy", "insecure"))
        return replace(self, options=(*kept, CurlOption("", "url", url)))

    def with_address(self, address: str) -> CurlCommand:
        """The same command, sent to this address over http."""
        return self.with_url(f"http://{address}{self.url.path}" + (f"?{self.url.query}" if self.url.query else ""))

    def with_path(self, path: str) -> CurlCommand:
        """The same command with another path."""
        return self.with_url(f"{self.scheme}://{self.url.netloc}{path}")

    def with_json(self, body: str) -> CurlCommand:
        """The same command as a POST with this body."""
        kept = self._without(lambda o: o.name in (*_DATA, "request", "get", "head", "upload-file"))
        return replace(self, options=(*kept, CurlOption("-d", "data", body))).with_header(
            "Content-Type", "application/json")

    def with_method(self, method: str) -> CurlCommand:
        """The same command with another method: GET and POST follow from the body, so -X is dropped for them."""
        kept = self._without(lambda o: o.name in ("request", "get", "head"))
        changed = replace(self, options=kept)
        if changed.method == method:
            return changed
        return replace(self, options=(CurlOption("-X", "request", method), *kept))

    def _without(self, drop: Callable[[CurlOption], bool]) -> tuple[CurlOption, ...]:
        return tuple(option for option in self.options if not drop(option))

    def shell(self) -> str:
        """The command for a terminal."""
        return shlex.join(["curl", *self._words(self.options)])

    def cell(self) -> str:
        """The command for a notebook: %curl with the options that it accepts."""
        kept = [CurlOption("-d", "data", option.value) if option.name in _DATA else option for option in self.options]
        if self.has("json"):
            kept = list(self.with_header("Content-Type", self.content_type).options)
            kept = [CurlOption("-d", "data", o.value) if o.name == "json" else o for o in kept]
        return "%" + shlex.join(["curl", *self._words([o for o in kept if o.name in _MAGIC])])

    @staticmethod
    def _words(options: Sequence[CurlOption]) -> list[str]:
        return [word for option in options for word in option.words]


def _header_name(header: str) -> str:
    return header.partition(":")[0].strip().lower()


def _hostname(url: SplitResult) -> str:
    try:
        return url.hostname or ""
    except ValueError:
        return ""


def _port(url: SplitResult) -> int:
    try:
        return url.port or (443 if url.scheme == "https" else 80)
    except ValueError:  # not a number: an empty variable, or a placeholder
        return 0
