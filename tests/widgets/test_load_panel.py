"""The panel of a load: by button and in code, one line for each percent, and the picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kserve_nb.gates.load_generator import LoadError, LoadResult, Shot
from kserve_nb.gates.load_phases import LoadChange, distinct, phases
from kserve_nb.rollout.rollout import Rollout
from kserve_nb.widgets import LoadPanel
from tests.fake_api import FakeApi
from tests.widgets.page import is_enabled, press, text_of
from tests.widgets.seen import until
from tests.widgets.test_task_card import route

NAMES = ("sklearn-iris-predictor-00001", "sklearn-iris-predictor-00002")
SHOTS = tuple(Shot(n / 10, n / 10, n / 10 + 0.01, NAMES[n % 2]) for n in range(40))


class Loaded:
    """A fake GatedRollout whose load is answered at once, while traffic moves."""

    def __init__(self, rollout: Rollout, meanwhile: Callable[[], Any] = lambda: None):
        self._rollout, self._meanwhile = rollout, meanwhile
        self.sent: list[tuple[float, float]] = []
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rollout, name)

    async def load(self, *, rate: float, duration_s: float, on_start: Callable[[], Any]) -> LoadResult:
        if self.error:
            raise self.error
        self.sent.append((rate, duration_s))
        on_start()
        await asyncio.to_thread(self._meanwhile)
        return LoadResult(SHOTS, rate, NAMES[1], 10, 10)


@pytest.fixture
def loaded(api: FakeApi, rollout: Rollout) -> Loaded:
    api.load("02-canary-10")
    return Loaded(rollout)


@pytest.fixture
def panel(loaded: Loaded) -> Iterator[LoadPanel]:
    shown = LoadPanel(loaded)  # type: ignore[arg-type]
    until(shown, lambda snapshot: snapshot.state == "live")
    yield shown
    shown.close()


def test_before_the_first_request_it_shows_how_to_send_some(panel: LoadPanel) -> None:
    assert panel.text == "sklearn-iris: no load yet. Call panel.run()"
    assert "no requests yet" in panel.content and panel.phases == ()


def test_code_sends_and_the_panel_shows_line_and_picture(panel: LoadPanel, loaded: Loaded) -> None:
    result = asyncio.run(panel.run(rate=20, duration_s=4))

    assert result.failed == 0 and loaded.sent == [(20, 4)]
    assert "requested 10 % · routed 10 % · observed 50.0 %" in panel.text and "0 of 40 requests failed" in panel.text
    assert "second 3: 5 answers of 00002" in panel.content and "<svg" in panel.html
    assert is_enabled(panel, "50 a second")


def test_a_change_meanwhile_is_a_phase_and_a_line(panel: LoadPanel, loaded: Loaded, api: FakeApi) -> None:
    def move() -> None:
        route(api, 50)
        until(panel, lambda snapshot: snapshot.routed.get(NAMES[1]) == 50)

    loaded._meanwhile = move
    asyncio.run(panel.run())

    assert [change.requested_percent for change in distinct(panel._changes)][-1] == 50
    assert ">50 %</text>" in panel.content


def test_a_button_sends_and_shows_an_error(panel: LoadPanel, loaded: Loaded) -> None:
    async def pressed() -> None:
        press(panel, "50 a second")
        assert not is_enabled(panel, "20 a second")
        await asyncio.wait([panel._running])  # type: ignore[list-item]
        await asyncio.sleep(0)

    asyncio.run(pressed())
    assert loaded.sent == [(50, 10)]

    loaded.error = LoadError("Cannot send load to a gateway of others.")
    asyncio.run(pressed())
    assert "Cannot send requests: Cannot send load to a gateway of others." in text_of(panel)


def test_until_returns_when_the_load_has_run_so_long_or_has_ended(panel: LoadPanel) -> None:
    async def waited() -> LoadResult:
        load = panel.start(duration_s=4)
        await panel.until(1e6)
        return await load

    assert asyncio.run(waited()).failed == 0


def test_requests_near_a_change_count_in_no_phase() -> None:
    found = phases(LoadResult(SHOTS, 10, NAMES[1], 10, 10), (LoadChange(0, 10, 10), LoadChange(2, None, 100)))

    assert [len(phase.result.shots) for phase in found] == [16, 15]
    assert [str(phase).partition(" · ")[0] for phase in found] == ["0–2 s: requested 10 %",
                                                                  "2–4 s: requested no percent"]
