"""Why a rollout cannot be changed, or does not become ready."""

from __future__ import annotations

import asyncio

from kserve_nb.values.text.readable_error import ReadableError, wrapped


class NotReadyError(ReadableError, TimeoutError):
    """A rollout that did not finish in time, or that failed; the message quotes the controller.

    >>> try:
    ...     raise NotReadyError("sklearn-iris: 00002 does not become ready")
    ... except NotReadyError as failed:
    ...     print(failed)
    sklearn-iris: 00002 does not become ready
    """


class NotPossibleError(ReadableError, RuntimeError):
    """A change that makes no sense in the rollout's present state, or would do harm. Nothing was written.

    >>> from kserve_nb import NotPossibleError
    >>> try:
    ...     rollout.host("latest")
    ... except NotPossibleError as error:
    ...     print(error)
    sklearn-iris: no traffic target has the tag latest; rollout.tag() adds it.
    """


class ChangedError(ReadableError, RuntimeError):
    """Somebody else changed the InferenceService after it was read. Nothing was written."""


class WaitInterrupted(asyncio.CancelledError):
    """A wait that was interrupted; in a notebook it shows one line. The rollout itself goes on."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback."""
        return wrapped(str(self))
