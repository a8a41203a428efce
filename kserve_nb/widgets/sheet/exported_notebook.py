"""Shows the last state of each widget on the HTML page that nbconvert makes of a notebook.

nbconvert shows a widget with scripts from the internet, and shows nothing if they cannot be loaded. JupyterLab saves
the last state of all widgets in the notebook; this preprocessor puts it in their place. `jupyter_nbconvert_config.json`
beside the course's notebooks, and the options of `kserve-nb lab`, switch it on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode

from kserve_nb.widgets.sheet.sheet import static_html

_STATES = "application/vnd.jupyter.widget-state+json"
_VIEW = "application/vnd.jupyter.widget-view+json"
_MODEL = "IPY_MODEL_"  # the prefix of a reference from one widget to another


class LastPictures(Preprocessor):
    """Replaces each widget of this package by its last picture, as HTML that needs no script."""

    def preprocess(self, notebook: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """The notebook with pictures in place of widgets."""
        states = notebook.metadata.get("widgets", {}).get(_STATES, {}).get("state", {})
        for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
            view = output.get("data", {}).get(_VIEW)
            picture = "".join(_pictures(states, view["model_id"])) if view else ""
            if picture:
                del output["data"][_VIEW]
                output["data"]["text/html"] = static_html(picture)
        return notebook, resources


def _pictures(states: Mapping[str, Any], model: str) -> Iterator[str]:
    """The saved picture of a widget, and the pictures of the widgets in it."""
    state = states.get(model, {}).get("state", {})
    if "content" in state:
        yield state["content"]
    for child in state.get("children", ()):
        yield from _pictures(states, child.removeprefix(_MODEL))
