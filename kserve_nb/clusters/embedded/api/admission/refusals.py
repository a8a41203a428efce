"""How webhooks refuse an object."""

from __future__ import annotations

from kserve_nb.clusters.embedded.objects import StatusError


def denied(webhook: str, message: str, *, code: int = 403, reason: str = "Forbidden") -> StatusError:
    """What the API server answers when a webhook says no.

    controller-runtime denies with 403 Forbidden and fails with a bare code; Knative's webhooks answer 400 BadRequest.
    """
    return StatusError(code, reason, f'admission webhook "{webhook}" denied the request: {message}')
