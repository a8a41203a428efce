"""Random writes of ConfigMaps, and a record of those that the server has acknowledged."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import requests

from kserve_nb.clusters import Record, folder

NAMESPACE = "data"
TIMEOUT_S = 60
ABSENT = None


def session_for(record: Record) -> requests.Session:
    """An HTTP session with the credential of a cluster."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(folder(record.name) / "tls.crt")
    session.headers["Authorization"] = f"Bearer {record.token}"
    return session


@dataclass
class Writer:
    """Writes its own objects at random. `may_be` has the values that each object can have by what was acknowledged.

    It has one value for an object whose last write was answered, and two for one whose write got no answer.
    """

    record: Record
    number: int
    writes: int = 0
    unanswered: int = 0
    may_be: dict[str, set[str | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.number)
        self._session = session_for(self.record)
        self._url = f"https://127.0.0.1:{self.record.api_port}/api/v1/namespaces/{NAMESPACE}/configmaps"

    def write(self) -> None:
        """One random write, and its effect on `may_be`."""
        name = f"w{self.number}-{self._random.randrange(20)}"
        before = self.may_be.setdefault(name, {ABSENT})
        value = str(self._random.randrange(10**9)) * self._random.choice((1, 1, 1, 500))
        verb = self._random.choice(("POST", "PUT", "PATCH", "DELETE"))
        self.writes += 1
        after = ABSENT if verb == "DELETE" else value
        try:
            answer = self._send(verb, name, value)
        except requests.RequestException:  # the server was killed: it may have written, or not
            self.unanswered += 1
            self._session = session_for(self.record)
            self.may_be[name] = before | {after}
            return
        assert answer.status_code < 500, answer.text
        if answer.ok:
            assert (before != {ABSENT}) or verb == "POST", f"{verb} of absent {name}: {answer.status_code}"
            self.may_be[name] = {after}
        elif answer.status_code == 404:
            assert ABSENT in before, f"{name} is lost: {answer.text}"
            self.may_be[name] = {ABSENT}
        else:
            assert answer.status_code == 409 and verb == "POST" and before != {ABSENT}, answer.text
            self.may_be[name] = before - {ABSENT}

    def _send(self, verb: str, name: str, value: str) -> requests.Response:
        url = self._url if verb == "POST" else f"{self._url}/{name}"
        body: dict[str, Any] = {"metadata": {"name": name}, "data": {"value": value}}
        kind = "application/merge-patch+json" if verb == "PATCH" else "application/json"
        return self._session.request(verb, url, data=None if verb == "DELETE" else json.dumps(body),
                                     headers={"Content-Type": kind}, timeout=TIMEOUT_S)

    def lost(self, stored: dict[str, str]) -> list[str]:
        """The objects of this writer whose stored value is not an acknowledged one."""
        return [f"{name} is {stored.get(name)!r:.40}, not one of {sorted(map(repr, values))!r:.80}"
                for name, values in self.may_be.items() if stored.get(name) not in values]


@dataclass
class Counter:
    """Increments one shared object with optimistic concurrency, as controllers do."""

    record: Record
    done: int = 0  # acknowledged increments
    unanswered: int = 0

    def increment(self, session: requests.Session) -> None:
        """Read, add one, and write with the version that was read; a conflict is retried."""
        url = f"https://127.0.0.1:{self.record.api_port}/api/v1/namespaces/{NAMESPACE}/configmaps/counter"
        while True:
            try:
                body = session.get(url, timeout=TIMEOUT_S).json()
            except requests.RequestException:
                continue
            body["data"]["value"] = str(int(body["data"]["value"]) + 1)
            try:
                answer = session.put(url, data=json.dumps(body), headers={"Content-Type": "application/json"},
                                     timeout=TIMEOUT_S)
            except requests.RequestException:
                self.unanswered += 1
                return
            if answer.status_code != 409:
                answer.raise_for_status()
                self.done += 1
                return
