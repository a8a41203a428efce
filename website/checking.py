"""Checks a built site: every link leads to a page and an anchor of it, and nothing is loaded from another host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
          "embed": "src", "link": "href", "object": "data", "input": "src", "use": "href"}  # fmt: skip
_HINTS = {"canonical", "alternate", "license", "author", "help", "next", "prev", "search", "index", "genindex"}
_CSS_URL = re.compile(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)")
_SCRIPT_URL = re.compile(r"(?:import|from|fetch|src\s*=|open)\s*\(?\s*['\"`]((?:https?:)?//[^'\"`\s]+)")
_KEPT = {"http://www.w3.org/2000/svg"}  # the name of a format is not an address


@dataclass
class _Page(HTMLParser):
    """The links, the loaded files and the anchors of one page."""

    path: Path
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    styles: list[str] = field(default_factory=list)
    _inside: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._inside = tag
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        self.styles.append(values.get("style", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        relation = set(values.get("rel", "").split())
        if tag in _LOADS and values.get(_LOADS[tag]) and not relation & _HINTS:
            self.loads.append(values[_LOADS[tag]])
        self.loads += [part.split()[0] for part in values.get("srcset", "").split(",") if part.strip()]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.styles.append(data)
        elif self._inside == "script":
            self.loads += _SCRIPT_URL.findall(data)


def problems(site: Path) -> list[str]:
    """Each problem as one line; none if the site is complete and loads nothing from another host."""
    files = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]  # a theme's templates
    pages = {path: _Page(path) for path in files}
    found = [line for page in pages.values() for line in (*_broken(page, pages, site), *_foreign(page, site))]
    for path in sorted(site.rglob("*.css")):
        urls = set(_CSS_URL.findall(path.read_text(encoding="utf-8"))) - _KEPT
        found += [f"{path.relative_to(site)} loads {url} from another host" for url in sorted(urls)]
    return found


def _broken(page: _Page, pages: dict[Path, _Page], site: Path) -> Iterator[str]:
    for link in dict.fromkeys([*page.links, *page.loads]):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file():
            yield f"{page.path.relative_to(site)} has a link to {link}, which does not exist"
        elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors | {"top"}:
            yield f"{page.path.relative_to(site)} has a link to {link}: the page has no such anchor"


def _foreign(page: _Page, site: Path) -> Iterator[str]:
    loads = [link for link in page.loads if urlsplit(link).netloc]
    for url in dict.fromkeys([*loads, *_CSS_URL.findall("\n".join(page.styles))]):
        if url not in _KEPT:
            yield f"{page.path.relative_to(site)} loads {url} from another host"
