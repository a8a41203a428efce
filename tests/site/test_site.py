"""The built site is complete: pages, anchors, links, outputs, and nothing of another host, also in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

import kserve_nb
from kserve_nb import widgets
from kserve_nb.doctor import titles
from tests.browser.lab import NoChromiumError, chromium
from website import checking
from website.contents import SECTIONS, sections

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")
ROOT = Path(__file__).parents[2]
LONG = pytest.mark.long
_NEXT = "net::ERR_ABORTED"  # by the next page
NAMED = [page.name for section in SECTIONS for page in section.pages]
# Pages with what is wide: tables, long lines of code, pictures, outputs, signatures.
WIDE = ("index", "notebooks/index", "notebooks/03_canary", "notebooks/timeline", "notebooks/summary-card",
        "docs/summary-card", "docs/api", "docs/architecture", "docs/canary-page-corrected", "docs/differences",
        "docs/doctor", "docs/timings")  # fmt: skip


def text(site: Path, page: str) -> str:
    return (site / f"{page}.html").read_text(encoding="utf-8")


def test_every_link_leads_to_a_page_and_nothing_is_loaded_from_another_host(site: Path) -> None:
    assert checking.problems(site) == []


def test_each_page_of_the_contents_and_each_notebook_is_there(site: Path) -> None:
    notebooks = [f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")]

    assert len(notebooks) > 10
    assert [name for name in (*NAMED, *notebooks) if not (site / f"{name}.html").is_file()] == []


def test_each_markdown_page_is_in_a_menu(site: Path) -> None:
    files = [path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")) if path.name != "README.md"]
    lists = "".join(text(site, section.name) for section in SECTIONS)
    names = [path.relative_to(ROOT).with_suffix(".html").as_posix() for path in files]

    assert [name for name in names if f'href="{name}"' not in lists] == []


def test_a_page_that_is_not_in_the_table_is_the_last_of_the_guide() -> None:
    guide, *others = sections(["docs/doctor", "docs/new"])

    assert [page.name for page in guide.pages][-1] == "docs/new"
    assert tuple(others) == SECTIONS[1:]


def test_each_rule_of_the_doctor_has_an_anchor(site: Path) -> None:
    page = text(site, "docs/doctor")

    assert [id_ for id_ in titles() if f'id="{id_.lower()}"' not in page] == []


def test_each_public_name_is_documented(site: Path) -> None:
    page = text(site, "docs/api")
    names = [f"kserve_nb.{name}" if name not in widgets.__all__ else f"kserve_nb.widgets.{name}"
             for name in {*kserve_nb.__all__, *widgets.__all__}]  # fmt: skip

    assert [name for name in names if f'id="{name}"' not in page and f">{name.rpartition('.')[2]}<" not in page] == []


def test_a_widget_is_its_last_picture(site: Path) -> None:
    page = text(site, "notebooks/03_canary")

    assert "the last picture" in page
    assert "widget-view" not in page


def test_timings_are_those_of_the_run(site: Path) -> None:
    assert re.search(r"03_canary.*?1\.5.*?first", text(site, "docs/timings"), re.DOTALL)


@pytest.mark.parametrize("name", [pytest.param("", id="stub"), pytest.param("build/site", id="complete", marks=LONG)])
def test_pages_fit_a_phone_and_load_nothing_from_another_host(site: Path, name: str) -> None:
    """At a width of 390 px. The complete site is the one that `make site` has built."""
    folder = ROOT / name if name else site
    pages = [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts] if name else _some(site)

    with phone() as page:
        failed = _opened(page, folder, pages)
        shown = _scrubbed(page, folder)

    assert len(pages) >= len(WIDE)
    assert failed == []
    assert shown[0] != shown[1]


@contextmanager
def phone() -> Iterator[Any]:
    """A tab of a browser with the width of a phone."""
    with sync_playwright() as playwright:
        try:
            with chromium(playwright) as browser:
                yield browser.new_page(viewport={"width": 390, "height": 844})
        except NoChromiumError as missing:
            pytest.skip(str(missing))


def _some(site: Path) -> list[Path]:
    return [site / f"{name}.html" for name in WIDE]


def _opened(page: Any, folder: Path, pages: Iterable[Path]) -> list[str]:
    """Open the pages; return the elements that are too wide, errors, and requests to another host."""
    failed: list[str] = []
    page.on("request", lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or failed.append(asked.url))
    page.on("requestfailed", lambda asked: asked.failure == _NEXT or failed.append(f"{page.url}: {asked.url}"))
    page.on("pageerror", lambda error: failed.append(f"{page.url}: {error}"))
    for path in pages:
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        width = page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        failed += [f"{path.relative_to(folder)} is {width} px wide"] if width > 390 else []
    return failed


def _scrubbed(page: Any, folder: Path) -> list[str]:
    """The texts of the embedded timeline at its end and at its beginning."""
    page.goto((folder / "docs/timeline.html").as_uri())
    frame = page.frame_locator("iframe.timeline")
    end = frame.locator("#then").inner_text()
    frame.locator("#at").press("Home")
    return [end, frame.locator("#then").inner_text()]
