"""Text that a cluster, a gateway or a file supplied: made safe to print, and shortened to what matters. Pure.

Any field of an object can hold terminal escape sequences, markup, or characters that reverse the direction of the
text. Whatever the package did not write itself passes through `safe` before a terminal, or `safe_html` before a
browser.
"""

from __future__ import annotations

import json
import re
import unicodedata
from html import escape
from typing import Any

# ECMA-48: CSI sequences, strings that end with BEL or ST (OSC, DCS, SOS, PM, APC), other escapes; 7 and 8 bit forms.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])(?:[^\x07\x1b\x9c]|\x1b(?!\\))*(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]?"
)
_KEPT = "\n\t"
# Zero-width joiners are left alone: emoji and several scripts need them. These change the direction of other text.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = {"\r\n": "\n", "\u2028": "\n", "\u2029": "\n"}
_LOG_HEAD = re.compile(r"^[\d-]{10} [\d:.,]{8,} \d+ \S+ [A-Z]+ \[[^\]]*\] ")  # the start of a line of KServe's loggers


def safe(text: str) -> str:
    r"""The text without anything that a terminal or a browser would act on instead of showing it.

    Removes terminal escape sequences, control characters and marks that change the writing direction. Line breaks
    and tabs stay.

    >>> safe("\x1b[31mred\x1b[0m \x1b]0;title\x07and \u202eback")
    'red and back'
    """
    for found, kept in _LINE_BREAKS.items():
        text = text.replace(found, kept)
    text = _ESCAPES.sub("", text)
    return "".join(char for char in text if char in _KEPT or not _acts(char))


def safe_html(text: str) -> str:
    """The text as HTML content or as the value of a quoted attribute.

    >>> safe_html("</script><b onclick='x'>")
    '&lt;/script&gt;&lt;b onclick=&#x27;x&#x27;&gt;'
    """
    return escape(safe(text), quote=True)


def safe_json(value: Any) -> str:
    r"""The value as JSON that can stand inside a `<script>` element: no text in it ends the element.

    >>> safe_json({"name": "</script>"})
    '{"name": "\\u003c/script\\u003e"}'
    """
    text = json.dumps(value)  # ASCII: line separators and direction marks are \u escapes
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def last_line(text: str) -> str:
    """The last line of a message that can be a whole log: it tells what failed. Time and source are cut off.

    >>> last_line("Traceback …\\n2026-11-23 09:15:23.120 7 kserve ERROR [model.py:load():3] no model.joblib")
    'no model.joblib'
    """
    return _LOG_HEAD.sub("", (text.strip().splitlines() or [""])[-1])


def _acts(char: str) -> bool:
    return char in _DIRECTION or unicodedata.category(char) in ("Cc", "Cs")
