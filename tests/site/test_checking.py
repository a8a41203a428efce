"""Tests of the check of a built site: the problems that it reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from website import checking


def problems(folder: Path, body: str, css: str = "") -> list[str]:
    (folder / "index.html").write_text(f"<html><body id='here'>{body}</body></html>")
    (folder / "other.html").write_text("<html><body><h1 id='title'>other</h1></body></html>")
    (folder / "site.css").write_text(css)
    return checking.problems(folder)


@pytest.mark.parametrize("body", [
    "<a href='other.html#title'>a</a>", "<a href='#here'>a</a>",
    "<a href='https://kserve.github.io'>a link is not loaded</a>",
    "<svg xmlns='http://www.w3.org/2000/svg'></svg>", "<link rel='canonical' href='https://example.com/'>",
    "<img src='data:image/png;base64,AA=='>", "<pre>import('https://example.com/x.js')</pre>",
])  # fmt: skip
def test_nothing_is_reported_for_what_works(tmp_path: Path, body: str) -> None:
    assert problems(tmp_path, body) == []


@pytest.mark.parametrize(("body", "word"), [
    ("<a href='none.html'>a</a>", "does not exist"), ("<a href='other.html#none'>a</a>", "no such anchor"),
    ("<a href='#none'>a</a>", "no such anchor"), ("<img src='none.png'>", "does not exist"),
    ("<script src='https://example.com/a.js'></script>", "another host"),
    ("<img src='//example.com/a.png'>", "another host"),
    ("<img srcset='https://example.com/a.png 2x'>", "another host"),
    ("<link rel='stylesheet' href='https://example.com/a.css'>", "another host"),
    ("<iframe src='https://example.com/'></iframe>", "another host"),
    ("<style>@import 'https://example.com/a.css';</style>", "another host"),
    ("<p style='background: url(https://example.com/a.png)'>a</p>", "another host"),
    ("<script>import('https://example.com/a.js')</script>", "another host"),
])  # fmt: skip
def test_each_problem_is_reported_once(tmp_path: Path, body: str, word: str) -> None:
    found = problems(tmp_path, body)

    assert len(found) == 1 and word in found[0] and found[0].startswith("index.html")


def test_a_style_sheet_that_loads_a_font_is_reported(tmp_path: Path) -> None:
    found = problems(tmp_path, "", "@font-face { src: url('https://example.com/a.woff') }")

    assert found == ["site.css loads https://example.com/a.woff from another host"]
