"""The canary split: `canaryTrafficPercent` → traffic of the Knative Service, and which revision is rolled out.

Sources: kserve pkg/controller/v1beta1/inferenceservice/reconcilers/knative/ksvc_reconciler.go `createKnativeService`,
pkg/apis/serving/v1beta1/inference_service_status.go `PropagateStatus`.
"""

from __future__ import annotations

from kserve_nb.clusters.embedded.apimachinery.objects import Object


def make_traffic(percent: int | None, rolled_out: str, *, tagged: bool) -> list[Object]:
    """The traffic targets of the Knative Service.

    Args:
        percent: `canaryTrafficPercent`. A value out of range is passed on, and Knative refuses it.
        rolled_out: the latest rolled-out revision. While it is empty, the percent is ignored.
        tagged: whether tag routing is enabled.
    """
    split = percent is not None and rolled_out != ""
    latest: Object = {"latestRevision": True, "percent": percent if split else 100}
    if tagged:
        latest["tag"] = "latest"
    if percent is None or not split or percent >= 100:
        return [latest]
    return [latest, {"latestRevision": False, "percent": 100 - percent, "revisionName": rolled_out, "tag": "prev"}]


def update_rolled_out(predictor: Object, service_status: Object) -> None:
    """Update latestRolledoutRevision and previousRolledoutRevision in the predictor's status.

    The latest ready revision is rolled out once it receives 100 %. If it is pinned away or gets a smaller percent
    afterwards, the previous one takes its place. The sign of that is that all targets still name the latest revision;
    the targets of a canary name two revisions.
    """
    ready = service_status.get("latestReadyRevisionName", "")
    created = service_status.get("latestCreatedRevisionName", "")
    traffic = service_status.get("traffic") or []
    for target in traffic:
        if target.get("revisionName") != ready or not target.get("latestRevision"):
            continue
        rolled_out, percent = predictor.get("latestRolledoutRevision", ""), target.get("percent", 0)
        if rolled_out != ready:
            if percent == 100:
                set_or_remove(predictor, "previousRolledoutRevision", rolled_out)
                predictor["latestRolledoutRevision"] = ready
        elif (ready == created and percent < 100 and predictor.get("previousRolledoutRevision")
              and sum(t.get("percent", 0) for t in traffic if t.get("revisionName") == ready) == 100):
            predictor["latestRolledoutRevision"] = predictor["previousRolledoutRevision"]


def set_or_remove(holder: Object, key: str, value: object) -> None:
    """Set a field, or remove it if the value is empty, as Go's `omitempty` does."""
    if value:
        holder[key] = value
    else:
        holder.pop(key, None)
