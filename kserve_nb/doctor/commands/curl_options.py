"""curl's options: their names, and whether a value follows. Source: `curl --help all` of curl 8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kserve_nb.magics.command_line import CommandError

# Short option → long name. An option that takes a value is also in _WITH_VALUE.
_SHORT = {
    "0": "http1.0", "4": "ipv4", "6": "ipv6", "A": "user-agent", "B": "use-ascii", "C": "continue-at",
    "D": "dump-header",
    "E": "cert", "F": "form", "G": "get", "H": "header", "I": "head", "J": "remote-header-name", "K": "config",
    "L": "location", "M": "manual", "N": "no-buffer", "O": "remote-name", "P": "ftp-port", "Q": "quote",
    "R": "remote-time", "S": "show-error", "T": "upload-file", "U": "proxy-user", "V": "version", "X": "request",
    "Y": "speed-limit", "Z": "parallel", "a": "append", "b": "cookie", "c": "cookie-jar", "d": "data", "e": "referer",
    "f": "fail", "g": "globoff", "h": "help", "i": "include", "j": "junk-session-cookies", "k": "insecure",
    "l": "list-only", "m": "max-time", "n": "netrc", "o": "output", "p": "proxytunnel", "q": "disable", "r": "range",
    "s": "silent", "t": "telnet-option", "u": "user", "v": "verbose", "w": "write-out", "x": "proxy", "y": "speed-time",
    "z": "time-cond", "#": "progress-bar",
}  # fmt: skip
_WITH_VALUE = {
    "user-agent", "continue-at", "dump-header", "cert", "form", "header", "config", "ftp-port", "quote", "upload-file",
    "proxy-user", "request", "speed-limit", "cookie", "cookie-jar", "data", "referer", "max-time", "output", "range",
    "telnet-option", "user", "write-out", "proxy", "speed-time", "time-cond", "data-ascii", "data-binary", "data-raw",
    "data-urlencode", "json", "url", "url-query", "resolve", "connect-to", "connect-timeout", "retry", "retry-delay",
    "retry-max-time", "noproxy", "cacert", "capath", "key", "key-type", "cert-type", "pass", "ciphers", "interface",
    "local-port", "limit-rate", "max-filesize", "max-redirs", "oauth2-bearer", "unix-socket", "abstract-unix-socket",
    "form-string", "proxy-header", "preproxy", "socks4", "socks5", "socks5-hostname", "dns-servers", "doh-url",
    "output-dir", "stderr", "trace", "trace-ascii", "tls-max", "aws-sigv4", "hostpubmd5", "keepalive-time",
    "expect100-timeout", "happy-eyeballs-timeout-ms", "rate", "variable", "proto", "proto-default", "proto-redir",
    "pinnedpubkey", "create-file-mode", "curves", "engine", "login-options", "netrc-file", "parallel-max", "postquote",
    "prequote", "proxy-cacert", "service-name", "delegation", "crlfile", "dns-interface", "dns-ipv4-addr",
    "etag-compare", "etag-save", "ech", "alt-svc", "hsts", "egd-file", "random-file",
}  # fmt: skip
_FLAGS = {
    "anyauth", "basic", "ca-native", "cert-status", "compressed", "compressed-ssh", "create-dirs", "crlf", "digest",
    "disable-epsv", "disallow-username", "doh-insecure", "fail-early", "fail-with-body", "false-start", "form-escape",
    "ftp-create-dirs", "globoff", "haproxy-protocol", "http0.9", "http1.1", "http2", "http2-prior-knowledge", "http3",
    "http3-only", "ignore-content-length", "location-trusted", "negotiate", "netrc-optional", "next", "no-alpn",
    "no-clobber", "no-keepalive", "no-npn", "no-progress-meter", "no-sessionid", "ntlm", "parallel-immediate",
    "path-as-is", "post301", "post302", "post303", "proxy-anyauth", "proxy-basic", "proxy-insecure", "raw",
    "remote-name-all", "remove-on-error", "retry-all-errors", "retry-connrefused", "sasl-ir", "ssl", "ssl-reqd",
    "ssl-no-revoke", "styled-output", "suppress-connect-headers", "tcp-fastopen", "tcp-nodelay", "tlsv1", "tlsv1.0",
    "tlsv1.1", "tlsv1.2", "tlsv1.3", "tr-encoding", "trace-time", "xattr", "proxy-http2", "progress-meter", "buffer",
    "keepalive",
}  # fmt: skip


@dataclass(frozen=True)
class CurlOption:
    """One option with its value, or the URL: then the name is `url`."""

    spelling: str  # as it was written: -H, --header; empty for a URL without an option
    name: str
    value: str | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """The option as words of a command line."""
        return tuple(word for word in (self.spelling, self.value) if word)


def parse(words: Sequence[str]) -> tuple[CurlOption, ...]:
    """The options of a command line without the word curl. Raises CommandError for an unknown one."""
    rest = list(words)
    found: list[CurlOption] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            found += [CurlOption("", "url", value) for value in rest]
            break
        if word.startswith("--"):
            found.append(_long(word, rest))
        elif word.startswith("-") and len(word) > 1:
            found += _short(word[1:], rest)
        else:
            found.append(CurlOption("", "url", word))
    return tuple(found)


def _long(word: str, rest: list[str]) -> CurlOption:
    name, equals, value = word[2:].partition("=")
    if name in _WITH_VALUE:
        return CurlOption(f"--{name}", name, value if equals else _value(word, rest))
    if name.removeprefix("no-") in _FLAGS or name in _FLAGS or name in _SHORT.values():
        return CurlOption(f"--{name}", name)
    raise CommandError(f"curl: option {word}: is unknown.")


def _short(letters: str, rest: list[str]) -> list[CurlOption]:
    """A word such as -sSL, -XPOST or -H."""
    found: list[CurlOption] = []
    for number, letter in enumerate(letters):
        if letter not in _SHORT:
            raise CommandError(f"curl: option -{letter}: is unknown.")
        name = _SHORT[letter]
        if name in _WITH_VALUE:
            value = letters[number + 1 :] or _value(f"-{letter}", rest)
            return [*found, CurlOption(f"-{letter}", name, value)]
        found.append(CurlOption(f"-{letter}", name))
    return found


def _value(word: str, rest: list[str]) -> str:
    if not rest:
        raise CommandError(f"curl: option {word}: requires parameter.")
    return rest.pop(0)
