"""The current context of a kubeconfig file, and the headers with which its user impersonates another."""

from __future__ import annotations

from pathlib import Path

from kserve_nb.values import kubeconfig
from kserve_nb.values.kubeconfig import KubeContext

_HEADERS = {"as": "Impersonate-User", "as-uid": "Impersonate-Uid"}


def current(path: Path) -> KubeContext:
    """The current context of the file; one without a name if the file cannot be read or has none."""
    try:
        return kubeconfig.parse(path.read_text(encoding="utf-8")).context()
    except (OSError, ValueError, LookupError):
        return KubeContext("")


def impersonation(context: KubeContext) -> dict[str, str]:
    """The headers for `as`, `as-uid` and `as-groups`, which kubectl sends and the official client ignores.

    Raises:
        ValueError: a field cannot be sent. Without it, the cluster could allow more than the file does.

    >>> impersonation(KubeContext("mine", user={"as": "reader"}))
    {'Impersonate-User': 'reader'}
    """
    groups = context.user.get("as-groups") or []
    if len(groups) > 1 or context.user.get("as-user-extra"):
        raise ValueError(
            f"Cannot use context {context.name!r}: several as-groups, and as-user-extra, are not supported. "
            "Choose another context: connect(\"attach\", context=…)."
        )
    found = {header: str(context.user[key]) for key, header in _HEADERS.items() if context.user.get(key)}
    return found | ({"Impersonate-Group": str(groups[0])} if groups else {})
