"""Hooks for every test session: they check that the passed tests have run every rule of the doctor."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kserve_nb.doctor import Finding, Rule, titles

DOCTOR_TESTS = {path.name for path in (Path(__file__).parent / "unit").glob("test_doctor_*.py")}
_WORKER_KEY = "doctor_rules"  # under which a pytest-xdist worker hands its rules to the controller
_found: set[str] = set()  # by the test that runs now: "K03" and "K03 in kserve_nb.doctor.rules.cluster_rules"
_run: set[str] = set()  # by all tests that have passed
_modules: set[str] = set()


def pytest_configure() -> None:
    """Record the rule of each finding, and the module that made it. Switch off the learner's progress."""
    os.environ.setdefault("KSERVE_NB_PROGRESS", "off")
    original = Finding.__init__

    def record(self: Finding, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        _found.update((self.rule.id, f"{self.rule.id} in {sys._getframe(1).f_globals['__name__']}"))

    Finding.__init__ = record  # type: ignore[method-assign]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the modules that are slow as a whole in a run without slow tests: to import them takes seconds."""
    if config.option.markexpr != "not slow" or not collection_path.match("test_*.py"):
        return None
    return "\npytestmark = pytest.mark.slow" in collection_path.read_text(encoding="utf-8") or None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect no garbage while tests are collected, nor later what was imported: it is visited in vain each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def executed_notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the course's notebooks as executed: one test writes them, and another one measures them."""
    return tmp_path_factory.mktemp("executed")


@pytest.fixture(autouse=True)
def ended_feeds() -> Iterator[None]:
    """End the feeds that a test has started and left open: each has threads that try to reach the API server again."""
    yield
    subscription = sys.modules.get("kserve_nb.observe.feed.subscription")
    for feeds in tuple(subscription._FEEDS.values()) if subscription else ():
        for feed in tuple(feeds.values()):
            feed.close()
        feeds.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Count a test's findings only when it passes."""
    _found.clear()
    yield
    _run.update(_found)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note which modules have been run."""
    _modules.add(report.nodeid.partition("::")[0].rpartition("/")[2])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the rules that a worker of pytest-xdist has run."""
    _run.update(getattr(node, "workeroutput", {}).get(_WORKER_KEY, ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session that ran all unit tests of the doctor and left a rule without one."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_WORKER_KEY] = sorted(_run)
    elif _missed(session):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the rules without a test."""
    if missed := _missed(terminalreporter._session):
        terminalreporter.write_line(f"rules of the doctor that no unit test has found: {', '.join(missed)}", red=True)


def _missed(session: pytest.Session) -> list[str]:
    """The rules without a test; none when the session ran only a part of the doctor's tests, or a test failed."""
    options = session.config.option
    partial = options.keyword or getattr(options, "lf", False) or session.testsfailed or not _modules >= DOCTOR_TESTS
    return [] if partial else sorted(_expected() - _run)


def _expected() -> set[str]:
    """All rules, and each pair of a rule and a module with code for it."""
    modules = {name: vars(module) for name, module in sys.modules.items() if name.startswith("kserve_nb.doctor.")}
    used = {f"{value.id} in {name}" for name, names in modules.items() for value in names.values()
            if isinstance(value, Rule)}  # fmt: skip
    return set(titles()) | used
