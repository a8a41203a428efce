"""Rules that judge the facts. A module's checks are registered by the decorators of `fact_check`.

A new rule is a `declare(…)` and a decorated function in the module of its topic; nothing else has to name it. May
import the facts, the findings, the message tables and `rollout`.
"""

from __future__ import annotations

from kserve_nb.doctor.fact_check import FactCheck
from kserve_nb.doctor.rules import (
    cluster_rules,
    gateway_rules,
    installation_rules,
    pod_rules,
    rollout_rules,
    session_rules,
    trap_rules,
)

_MODULES = (cluster_rules, installation_rules, pod_rules, gateway_rules, rollout_rules, trap_rules, session_rules)
CHECKS = tuple(value for module in _MODULES for value in vars(module).values() if isinstance(value, FactCheck))
