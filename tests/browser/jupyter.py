"""Actions of a user of JupyterLab: open a notebook, run it, and read what it shows."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

DEADLINE_S = 120  # a busy machine draws eleven widgets slowly
_LOOK_S = 0.1
_RESTORE_S = 45  # until a saved widget appears, with the start of a kernel on a busy machine
_HANDLE = 16  # px, its width
_PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"


def until(condition: Callable[[], Any], say: Callable[[], str] = lambda: "", deadline_s: float = DEADLINE_S) -> Any:
    """Wait until the condition returns something true, and return it. After the deadline, fail with `say`."""
    clock, never = threading.Event(), int(deadline_s / _LOOK_S)
    for _ in range(never):
        found = condition()
        if found:
            return found
        clock.wait(_LOOK_S)
    raise AssertionError(f"not within {deadline_s:.0f} s: {say()}")


class Jupyter:
    """A Jupyter server on a folder of notebooks, and its REST API."""

    def __init__(self, folder: Path, port: int, prefix: str = ""):
        self.folder, self.port, self.token = folder, port, secrets.token_hex(8)
        self.url = f"http://127.0.0.1:{port}{prefix}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"token {self.token}"

    def answers(self) -> bool:
        try:
            return self._session.get(f"{self.url}/api/status", timeout=5).ok
        except requests.RequestException:
            return False

    def shut_down(self) -> None:
        self._session.post(f"{self.url}/api/shutdown", timeout=10)

    def kernel(self, path: str) -> dict[str, Any] | None:
        sessions = self._session.get(f"{self.url}/api/sessions", timeout=10).json()
        return next((found["kernel"] for found in sessions if found["path"] == path), None)

    def idle(self, path: str) -> bool:
        return (self.kernel(path) or {}).get("execution_state") == "idle"

    def end_kernel(self, path: str) -> None:
        for found in self._session.get(f"{self.url}/api/sessions", timeout=10).json():
            if found["path"] == path:
                self._session.delete(f"{self.url}/api/sessions/{found['id']}", timeout=10)

    def choose_theme(self, name: str) -> None:
        """Set the theme of pages that are opened later."""
        url = f"{self.url}/lab/api/settings/@jupyterlab/apputils-extension:themes"
        self._session.put(url, json={"raw": json.dumps({"theme": name})}, timeout=10).raise_for_status()

    def show_all_cells(self) -> None:
        """Draw all cells of notebooks that are opened from now on, also those outside of the window."""
        url = f"{self.url}/lab/api/settings/@jupyterlab/notebook-extension:tracker"
        self._session.put(url, json={"raw": json.dumps({"windowingMode": "none"})}, timeout=10).raise_for_status()

    def write(self, path: str, notebook: dict[str, Any]) -> None:
        (self.folder / path).write_text(json.dumps(notebook))

    def read(self, path: str) -> dict[str, Any]:
        """The notebook in a file. Waits while Jupyter is writing the file."""
        loaded: dict[str, Any] = until(lambda: self._whole(path), lambda: f"{path} is not a complete notebook")
        return loaded

    def _whole(self, path: str) -> dict[str, Any] | None:
        try:
            return dict(json.loads((self.folder / path).read_text()))
        except ValueError:
            return None


def notebook(*cells: str) -> dict[str, Any]:
    """A notebook with these code cells."""
    made = [{"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
            for n, text in enumerate(cells)]
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}, "cells": made}


class Notebook:
    """One notebook in a tab of the browser."""

    def __init__(self, page: Any, jupyter: Jupyter, path: str):
        self.page, self.jupyter, self.path = page, jupyter, path
        self.panel = page.locator(_PANEL)

    def open(self, workspace: str = "") -> None:
        """Open the notebook in an empty workspace, or in a saved one with its layout."""
        place = f"workspaces/{workspace}/" if workspace else ""
        reset = "" if workspace else "&reset"
        self.page.goto(f"{self.jupyter.url}/lab/{place}tree/{self.path}?token={self.jupyter.token}{reset}")
        self.panel.locator(".jp-Cell").first.wait_for(timeout=DEADLINE_S * 1000)

    def open_saved(self, text: str | re.Pattern[str]) -> None:
        """Open the notebook until it shows this text of a saved widget, at most four times.

        JupyterLab restores saved widgets once, while the kernel connects. Where that connection is interrupted, which a
        busy machine does, it restores nothing until the page is opened again.
        """
        for _ in range(3):
            self.open()
            try:
                until(self._showing(text).is_visible, deadline_s=_RESTORE_S)
            except AssertionError:
                continue
            return
        self.open()
        self.shows(text)

    def run_all(self) -> None:
        """Run all cells and wait for their end. A run before the kernel is ready may be lost, so it is repeated."""
        until(lambda: self.jupyter.idle(self.path), lambda: f"kernel of {self.path}: {self.jupyter.kernel(self.path)}")
        self._menu("Run", "Run All Cells")
        try:
            until(self._begun, deadline_s=15)
        except AssertionError:
            self._menu("Run", "Run All Cells")
        until(self._done, lambda: f"prompts of {self.path}: {self._prompts()}")

    def start_new_kernel(self) -> None:
        """Restart a kernel that has stopped, which JupyterLab does without a question, and clear all outputs."""
        self._menu("Kernel", "Restart Kernel and Clear Outputs of All Cells…")
        until(lambda: self.jupyter.idle(self.path) and set(self._prompts()) == {"[ ]:"},
              lambda: f"kernel of {self.path}: {self.jupyter.kernel(self.path)}, prompts: {self._prompts()}")

    def run_cell(self, number: int) -> None:
        """Run one cell whose outputs are cleared, and wait until it has run."""
        self.panel.locator(".jp-CodeCell").nth(number).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        until(lambda: self._prompts()[number] not in ("[*]:", "[ ]:"),
              lambda: f"cell {number} of {self.path}: {self._prompts()}")

    def restart_and_run_all(self) -> None:
        """Restart the kernel and run all cells, with the button of the toolbar."""
        self._menu("Kernel", "Restart Kernel and Run All Cells…")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        until(lambda: "[*]:" in self._prompts(), lambda: f"prompts of {self.path}: {self._prompts()}")
        until(self._done, lambda: f"prompts of {self.path}: {self._prompts()}")

    def save(self) -> None:
        before = (self.jupyter.folder / self.path).stat().st_mtime_ns
        self.page.keyboard.press("Control+s")
        until(lambda: (self.jupyter.folder / self.path).stat().st_mtime_ns > before)

    def errors(self) -> list[str]:
        found: list[str] = self.panel.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()
        return found

    def drag(self, percent: int) -> None:
        """Drag the slider's handle with the mouse."""
        self.handle.hover()  # scrolls to it, and waits until it no longer moves
        begin = int(self.handle.input_value())
        self.page.mouse.move(*self.place_of(begin))
        self.page.mouse.down()
        self.page.mouse.move(*self.place_of(percent), steps=12)
        self.page.mouse.up()

    @property
    def handle(self) -> Any:
        """The handle of the first traffic slider."""
        return self.panel.get_by_role("slider", name="canary percent").first

    def place_of(self, percent: int) -> tuple[float, float]:
        """The position of the handle on the page at a percent."""
        along = self.handle.bounding_box()
        return along["x"] + _HANDLE / 2 + (along["width"] - _HANDLE) * percent / 100, along["y"] + along["height"] / 2

    def button(self, name: str) -> Any:
        """A button of the notebook by its name."""
        return self.panel.get_by_role("button", name=name, exact=True)

    def shows(self, text: str | re.Pattern[str]) -> None:
        """Wait until the notebook shows this text, in which the cells of a table are not separated."""
        self._showing(text).wait_for(timeout=DEADLINE_S * 1000)

    def _showing(self, text: str | re.Pattern[str]) -> Any:
        return self.panel.locator(".jp-OutputArea-output").filter(has_text=text).first

    def _menu(self, menu: str, item: str) -> None:
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=item, exact=True).click()

    def _prompts(self) -> list[str]:
        found: list[str] = self.panel.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        return [text.strip() for text in found]

    def _begun(self) -> bool:
        return any(text != "[ ]:" for text in self._prompts())

    def _done(self) -> bool:
        return self.jupyter.idle(self.path) and not {"[ ]:", "[*]:"} & set(self._prompts())
