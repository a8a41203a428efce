"""Records Events like client-go's recorder: one object for equal events, with a count.

Source: k8s.io/client-go tools/record (`eventLogger.eventObserve`, `getEventKey`).
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime

from kserve_nb.clusters.embedded.apimachinery.kinds import EVENT
from kserve_nb.clusters.embedded.apimachinery.objects import Object, Objects, StatusError, utc
from kserve_nb.clusters.embedded.control.framework.reconciler import Event, Moment

log = logging.getLogger(__name__)
SCHEDULER = "default-scheduler"  # the only component here that uses the newer API, events.k8s.io


def record(objects: Objects, moment: Moment, event: Event) -> None:
    """Store an Event, or increase the count of an equal one.

    An Event that cannot be stored, for example because its namespace is being deleted, is dropped: Events are best
    effort.
    """
    body = _body(moment.now, *event)
    meta = body["metadata"]
    try:
        known = objects.find(EVENT, meta["namespace"], meta["name"])
        if known is None:
            objects.create(EVENT, body)
        else:
            known["count"] = known.get("count", 1) + 1
            known["lastTimestamp"] = utc(moment.now)
            objects.update(EVENT, known)
    except StatusError as error:
        log.info("cannot record event %s about %s: %s", body["reason"], body["involvedObject"]["name"], error.message)


def _body(now: float, about: Object, type_: str, reason: str, message: str, component: str) -> Object:
    meta = about["metadata"]
    namespace = meta.get("namespace") or "default"
    involved = {"apiVersion": about["apiVersion"], "kind": about["kind"]}
    involved |= {key: meta[key] for key in ("name", "namespace", "resourceVersion", "uid") if key in meta}
    body: Object = {
        "apiVersion": "v1", "kind": "Event", "type": type_, "reason": reason, "message": message,
        "metadata": {"name": f"{meta['name']}.{_suffix(involved, type_, reason, message, component)}",
                     "namespace": namespace},
        "involvedObject": involved,
        "reportingComponent": component,
    }
    if component == SCHEDULER:
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {**body, "action": "Binding" if reason == "Scheduled" else "Scheduling", "eventTime": moment,
                "firstTimestamp": None, "lastTimestamp": None, "reportingInstance": SCHEDULER, "source": {}}
    return {**body, "count": 1, "eventTime": None, "firstTimestamp": utc(now), "lastTimestamp": utc(now),
            "reportingInstance": "", "source": {"component": component}}


def _suffix(involved: Object, *words: str) -> str:
    """A name suffix in the form of client-go's (16 hexadecimal digits), equal for equal events."""
    key = "\0".join((involved["kind"], involved["apiVersion"], involved.get("uid", ""), involved["name"], *words))
    return "18" + hashlib.sha256(key.encode()).hexdigest()[:14]
