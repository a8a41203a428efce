"""Begin an attempt at the course: with the same values as before, new ones, or those of a given seed."""

from __future__ import annotations

import os

from kserve_nb.tasks.learner_progress import LearnerProgress

SAME, NEW = "same", "new"
_DRAWN = "KSERVE_NB_ATTEMPT"  # the seed that this process has drawn: connecting again draws no other values


def begin(progress: LearnerProgress, attempt: str, notebook: str = "") -> None:
    """Record the notebook, if its name is known, and choose the values of the tasks.

    `new` draws once in a process, so that the values stay the same when a cell is run again.
    """
    if notebook:
        progress.note_opened(notebook)
    if attempt == SAME:
        return
    if attempt == NEW:
        attempt = os.environ.get(_DRAWN) or progress.draw_seed()
        os.environ[_DRAWN] = attempt
    progress.begin_attempt(attempt)
