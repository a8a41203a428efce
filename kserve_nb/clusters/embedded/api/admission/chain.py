"""What happens to an object on its way into the store: defaulting and mutating webhooks, then validation.

The order is the API server's: built-in defaults and mutating webhooks change the object, then the built-in rules and
the schema, then the validating webhooks look at what would be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from kserve_nb.clusters.embedded.api.admission import (
    core_kinds,
    custom_resource_definitions,
    knative_webhook,
    kserve_webhook,
    pod_admission,
)
from kserve_nb.clusters.embedded.api.admission.refusals import denied
from kserve_nb.clusters.embedded.api.schema import structural_schemas
from kserve_nb.clusters.embedded.kinds import (
    CONFIGURATION,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    INFERENCE_SERVICE,
    INGRESS,
    KINDS,
    KNATIVE_SERVICE,
    NAMESPACE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_AUTOSCALER,
    REPLICA_SET,
    REVISION,
    ROUTE,
    SERVERLESS_SERVICE,
    SERVICE,
)
from kserve_nb.clusters.embedded.objects import Kind, Object, Objects

Default = Callable[[Object, Object | None, Objects], Object]
Validate = Callable[[Object, Object | None], None]

_KNATIVE_KINDS = (KNATIVE_SERVICE, CONFIGURATION, REVISION, ROUTE, POD_AUTOSCALER, INGRESS, SERVERLESS_SERVICE)


def _refuse_idle(kind: Kind, new: Object, old: Object | None) -> None:
    """Refuse what a real cluster acts on and this one would only keep."""
    raise denied("embedded-cluster.kserve-nb.dev", f"an embedded cluster runs InferenceServices alone: nothing here "
                 f"would act on the {kind.kind} {new['metadata'].get('name', '')!r}. Use a kind cluster for it.")


def _knative_default(kind: Kind) -> Default:
    return lambda new, old, objects: knative_webhook.default(kind, new, old)


_DEFAULTS: Mapping[Kind, Default] = {
    CUSTOM_RESOURCE_DEFINITION: custom_resource_definitions.default,
    NAMESPACE: core_kinds.default_namespace,
    POD: pod_admission.default,
    DEPLOYMENT: core_kinds.default_deployment,
    REPLICA_SET: core_kinds.default_replica_set,
    SERVICE: core_kinds.default_service,
    PERSISTENT_VOLUME_CLAIM: core_kinds.default_claim,
    INFERENCE_SERVICE: kserve_webhook.default,
    **{kind: _knative_default(kind) for kind in _KNATIVE_KINDS},
}
_VALIDATIONS: Mapping[Kind, Validate] = {
    CUSTOM_RESOURCE_DEFINITION: custom_resource_definitions.validate,
    POD: pod_admission.validate,
    DEPLOYMENT: core_kinds.validate_deployment,
    REPLICA_SET: core_kinds.validate_replica_set,
    SERVICE: core_kinds.validate_service,
    INFERENCE_SERVICE: kserve_webhook.validate,
    **{kind: partial(knative_webhook.validate, kind) for kind in _KNATIVE_KINDS},
    **{kind: partial(_refuse_idle, kind) for kind in KINDS if kind.idle},
}


def admit(operation: Literal["CREATE", "UPDATE", "DELETE"], kind: Kind, new: Object, old: Object | None,
          objects: Objects) -> Object:
    """The object as it is stored. Raises StatusError, in the real words, where a real cluster would refuse it."""
    if operation == "DELETE":
        return new
    for part in ("metadata", "spec"):
        if new.get(part) is None:
            new.pop(part, None)
        elif part == "metadata" or not _takes_nulls(kind):
            new[part] = without_nulls(new[part])
    if kind in _DEFAULTS:
        new = _DEFAULTS[kind](new, old, objects)
    structural_schemas.check_values(kind, new)
    if kind in _VALIDATIONS:
        _VALIDATIONS[kind](new, old)
    return new


def _takes_nulls(kind: Kind) -> bool:
    """Whether a null is a value: in schemas, and in objects that no Go program decodes."""
    return kind == CUSTOM_RESOURCE_DEFINITION or kind.schema is not None


def without_nulls(value: Any) -> Any:
    """The value without the fields and items that are null: to Go they are as good as absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value if item is not None] if isinstance(value, list) else value
