"""A stand-in for the browser: finds a control by its label, as a user does, and sends the event to the widget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import count
from typing import Any

VOID = {"input", "br", "hr", "meta", "path"}
_IDS = count(1)


@dataclass
class Element:
    """One element of a widget's HTML."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.all()

    @property
    def is_disabled(self) -> bool:
        return "disabled" in self.attributes or self.attributes.get("aria-disabled") == "true"


class Page(HTMLParser):
    """A widget's HTML as a tree. Fails if an element is not closed."""

    def __init__(self, html: str):
        super().__init__()
        self.root = Element("root")
        self._open = [self.root]
        self.feed(html)
        assert self._open == [self.root], [element.tag for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def buttons(widget: Any) -> dict[str, Element]:
    """The visible buttons, by label."""
    return {e.text: e for e in Page(widget.content).root.all() if e.tag == "button"}


def is_enabled(widget: Any, label: str) -> bool:
    return not buttons(widget)[label].is_disabled


def control(widget: Any, label: str) -> Element:
    """A range, list, checkbox or text box, by its label."""
    for element in Page(widget.content).root.all():
        if element.attributes.get("aria-label") == label and element.tag == "input":
            return element
        if element.tag == "label" and "".join(c for c in element.children if isinstance(c, str)).strip(" %") == label:
            return next(e for e in element.all() if e.tag in ("input", "select", "textarea"))
    raise AssertionError(f"no control {label!r} in {widget.content}")


def press(widget: Any, label: str) -> None:
    """Press a button. Fails if it does not exist or is disabled."""
    shown = buttons(widget)
    assert label in shown, f"no button {label!r}, but {list(shown)}"
    assert not shown[label].is_disabled, f"{label!r} cannot be pressed: {shown[label].attributes.get('title')}"
    report(widget, "click", shown[label].attributes["data-click"], shown[label].attributes.get("data-value", ""))


def drag(widget: Any, percent: int, label: str = "canary percent") -> None:
    """Move the handle of a slider."""
    found = next(e for e in Page(widget.content).root.all()
                 if e.attributes.get("type") == "range" and e.attributes.get("aria-label") == label)
    assert not found.is_disabled
    report(widget, "input", found.attributes["data-input"], str(percent))


def type_into(widget: Any, label: str, text: str) -> None:
    """Type into a text box, and leave it."""
    found = control(widget, label) if label != "canary percent" else number_box(widget)
    assert not found.is_disabled
    report(widget, "change", found.attributes["data-change"], text)


def number_box(widget: Any) -> Element:
    return next(e for e in Page(widget.content).root.all() if e.attributes.get("data-change") == "number")


def choose(widget: Any, label: str, option: str) -> None:
    """Choose from a list by the words of the option."""
    found = control(widget, label)
    values = {e.text: e.attributes["value"] for e in found.all() if e.tag == "option"}
    assert option in values, f"no option {option!r}, but {list(values)}"
    report(widget, "change", found.attributes["data-change"], values[option])


def tick(widget: Any, label: str) -> None:
    """Click a checkbox."""
    found = control(widget, label)
    report(widget, "change", found.attributes["data-change"], str("checked" not in found.attributes).lower())


def text_of(widget: Any) -> str:
    """The text that a widget shows."""
    return Page(widget.content).root.text


def part(widget: Any, key: str) -> Element:
    """The element of a widget with this `data-key`."""
    return next(e for e in Page(widget.content).root.all() if e.attributes.get("data-key") == key)


def report(widget: Any, type_: str, name: str, value: str) -> None:
    widget._handle_custom_msg({"type": type_, "name": name, "value": value, "id": f"test {next(_IDS)}"}, [])
