"""The admission of an object: defaults, webhooks and validation, in the API server's order.

Built-in defaults and mutating webhooks change the object first. Then built-in validation and the schema check it, and
validating webhooks after them. The refusal of what the embedded cluster cannot run comes last, so that an object that a
real cluster refuses gets the real message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kserve_nb.clusters.embedded.api.admission import unsupported
from kserve_nb.clusters.embedded.api.admission.knative import knative_config, knative_defaults, knative_validation
from kserve_nb.clusters.embedded.api.admission.kserve import isvc_defaults, isvc_validation, serving_runtimes
from kserve_nb.clusters.embedded.api.admission.kubernetes import (
    core_kinds,
    custom_resource_admission,
    data_kinds,
    pod_admission,
    pod_validation,
)
from kserve_nb.clusters.embedded.api.admission.review import Operation, Review
from kserve_nb.clusters.embedded.api.schema import structural_schemas
from kserve_nb.clusters.embedded.apimachinery.kinds import (
    CLUSTER_SERVING_RUNTIME,
    CONFIG_MAP,
    CONFIGURATION,
    CUSTOM_RESOURCE_DEFINITION,
    DEPLOYMENT,
    INFERENCE_SERVICE,
    INGRESS,
    KNATIVE_SERVICE,
    NAMESPACE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    POD_AUTOSCALER,
    REPLICA_SET,
    REVISION,
    ROUTE,
    SECRET,
    SERVERLESS_SERVICE,
    SERVICE,
    SERVING_RUNTIME,
)
from kserve_nb.clusters.embedded.apimachinery.objects import Kind, Object, Objects

Step = Callable[[Review], None]

_KNATIVE_KINDS = (KNATIVE_SERVICE, CONFIGURATION, REVISION, ROUTE, POD_AUTOSCALER, INGRESS, SERVERLESS_SERVICE)
_DEFAULTS: Mapping[Kind, Step] = {
    CUSTOM_RESOURCE_DEFINITION: custom_resource_admission.default,
    NAMESPACE: core_kinds.default_namespace,
    POD: pod_admission.default,
    DEPLOYMENT: core_kinds.default_deployment,
    REPLICA_SET: core_kinds.default_replica_set,
    SERVICE: core_kinds.default_service,
    PERSISTENT_VOLUME_CLAIM: core_kinds.default_claim,
    SECRET: data_kinds.default_secret,
    INFERENCE_SERVICE: isvc_defaults.default,
    **dict.fromkeys(_KNATIVE_KINDS, knative_defaults.default),
}
_VALIDATIONS: Mapping[Kind, tuple[Step, ...]] = {
    CUSTOM_RESOURCE_DEFINITION: (custom_resource_admission.validate,),
    POD: (pod_validation.validate,),
    DEPLOYMENT: (core_kinds.validate_workload,),
    REPLICA_SET: (core_kinds.validate_workload,),
    SERVICE: (core_kinds.validate_service,),
    CONFIG_MAP: (data_kinds.validate_data, knative_config.validate),
    SECRET: (data_kinds.validate_data,),
    INFERENCE_SERVICE: (isvc_validation.validate,),
    SERVING_RUNTIME: (serving_runtimes.validate,),
    CLUSTER_SERVING_RUNTIME: (serving_runtimes.validate,),
    **dict.fromkeys(_KNATIVE_KINDS, (knative_validation.validate,)),
}


def admit(operation: Operation, kind: Kind, new: Object, old: Object | None, objects: Objects, *,
          dry_run: bool = False, warnings: list[str] | None = None) -> Object:
    """The object as it is stored. Appends to `warnings`. Raises StatusError if the object is refused.

    An object that is being deleted is not checked, so that its finalizers can always be removed.
    """
    if operation == "DELETE" or "deletionTimestamp" in new["metadata"]:
        return new
    for part in ("metadata", "spec"):
        if new.get(part) is None:
            new.pop(part, None)
        elif part == "metadata" or not _takes_nulls(kind):
            new[part] = without_nulls(new[part])
    review = Review(operation, kind, new, old, objects, dry_run, [] if warnings is None else warnings)
    if kind in _DEFAULTS:
        _DEFAULTS[kind](review)
    structural_schemas.check_values(kind, new, old=old)
    for step in _VALIDATIONS.get(kind, ()):
        step(review)
    unsupported.refuse(review)
    return new


def _takes_nulls(kind: Kind) -> bool:
    """Whether a null is a value: in schemas, and in objects that are not decoded into Go structs."""
    return kind == CUSTOM_RESOURCE_DEFINITION or kind.schema is not None


def without_nulls(value: Any) -> Any:
    """The value without fields and items that are null, which Go treats as absent."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value if item is not None] if isinstance(value, list) else value
