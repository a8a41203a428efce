"""Events as client-go's recorder writes them: one object for equal events, counted.

Source: k8s.io/client-go tools/record (`eventLogger.eventObserve`, `getEventKey`).
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime

from kserve_nb.clusters.embedded.control.framework.loop import Moment
from kserve_nb.clusters.embedded.kinds import EVENT
from kserve_nb.clusters.embedded.objects import Object, Objects, StatusError, utc

log = logging.getLogger(__name__)
SCHEDULER = "default-scheduler"  # the one component here that records through events.k8s.io


def record(objects: Objects, moment: Moment, event: tuple[Object, str, str, str, str]) -> None:
    """Store the Event (about, type, reason, message, component), or count it if the same was recorded before.

    An Event that cannot be stored, as when its namespace is going away, is dropped: events are best effort.
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
        log.info("event %s about %s is dropped: %s", body["reason"], body["involvedObject"]["name"], error.message)


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
    """Sixteen hexadecimal digits, equal for equal events, in place of client-go's time of the first one."""
    key = "\0".join((involved["kind"], involved["apiVersion"], involved.get("uid", ""), involved["name"], *words))
    return "18" + hashlib.sha256(key.encode()).hexdigest()[:14]
