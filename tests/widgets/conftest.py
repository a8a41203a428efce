"""The same small servers as the unit tests have."""

from tests.unit.conftest import api, gateway, rollout

__all__ = ["api", "gateway", "rollout"]
