"""Why a rollout cannot be changed, or does not become ready."""

from __future__ import annotations


class NotReadyError(TimeoutError):
    """A rollout that did not finish in time, or that failed; the message quotes the controller."""


class NotPossibleError(RuntimeError):
    """A change that makes no sense in the rollout's present state, or would do harm. Nothing was written.

    >>> from kserve_nb import NotPossibleError
    >>> try:
    ...     rollout.host("latest")
    ... except NotPossibleError as error:
    ...     print(error)
    sklearn-iris: no traffic target has the tag latest; rollout.tag() adds it.
    """


class ChangedError(RuntimeError):
    """Somebody else changed the InferenceService after it was read. Nothing was written."""
