"""Rewrites the links in the repository's Markdown, which work on GitHub and in JupyterLab, for the site. Pure.

The site keeps the repository's folders, so most links need no change. The README is the start page. A link to a source
file leads to the text of the file, which the site contains. JupyterLab's anchors become those of headings on the site.
"""

from __future__ import annotations

import html
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path

START = "index.md"  # the page that the README becomes
SOURCES = "source"  # the folder of the site with source files as text
_FENCE = r"^ {0,3}(?P<marks>```+|~~~+).*?^ {0,3}(?P=marks)[ \t]*$"
_LINK = r"(?<!!)\[(?P<text>(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\((?P<target>[^()\s]+)\)"
_PART = re.compile(f"{_FENCE}|{_LINK}", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")
_PUNCTUATION = re.compile(r"[^\w\- ]")


@dataclass
class Links:
    """Rewrites the links of pages, and collects the source files that they lead to."""

    root: Path  # the repository
    pages: frozenset[str]  # the documents of the site, with their suffixes, relative to the root
    sources: set[str] = field(default_factory=set)

    def rewritten(self, text: str, page: str) -> str:
        """The page's text with its links changed; code blocks stay as they are."""
        folder = posixpath.dirname(page)
        return _PART.sub(lambda part: part[0] if part["marks"] else self._link(part, page, folder), text)

    def _link(self, link: re.Match[str], page: str, folder: str) -> str:
        text, target = link["text"], link["target"]
        if re.match(r"[a-z]+:", target):
            return link[0]
        path, _, anchor = target.partition("#")
        full = posixpath.normpath(posixpath.join(folder, path)) if path else page
        full = START if full == "README.md" else full
        if full not in self.pages:
            return self._source(text, full, folder, link[0])
        name = posixpath.relpath(full, folder or ".") if path else ""
        return f"[{text}]({name}{'#' + slug(anchor) if anchor else ''})"

    def _source(self, text: str, full: str, folder: str, original: str) -> str:
        """A link to the text of a source file; for a folder of the package, to the text that states its purpose."""
        if (self.root / full).is_dir():
            full = f"{full}/__init__.py"
        if not (self.root / full).is_file():
            return original  # Sphinx reports it
        self.sources.add(full)
        target = posixpath.relpath(f"{SOURCES}/{full}.txt", folder or ".")
        shown = _CODE.sub(lambda code: f"<code>{html.escape(code[1])}</code>", text)
        return f'<a href="{target}">{shown}</a>'


def slug(anchor: str) -> str:
    """The id of a heading, from GitHub's or JupyterLab's anchor of it.

    >>> slug("Continue-tomorrow,-or-start-over")
    'continue-tomorrow-or-start-over'
    """
    return _PUNCTUATION.sub("", anchor).lower()


def heading_slug(title: str) -> str:
    """The id of a heading from its text, as GitHub forms it."""
    return slug(title.strip()).replace(" ", "-")


def copy_sources(links: Links, target: Path) -> None:
    """Write each source file that a page leads to as a text file."""
    for name in sorted(links.sources):
        copy = target / SOURCES / f"{name}.txt"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((links.root / name).read_bytes())
