"""Read a rollout plan from YAML, and write it. Messages about a plan name the line and the field."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from kserve_nb.gates.criteria.answer_gates import AgreementGate, LossGate
from kserve_nb.gates.criteria.custom_gates import FunctionGate, PrometheusGate
from kserve_nb.gates.criteria.gate import Gate
from kserve_nb.gates.criteria.request_gates import ErrorsGate, LatencyGate, SplitGate
from kserve_nb.gates.plan import PlanError, ProbeTraffic, RolloutPlan
from kserve_nb.values.text.readable_error import short_repr

GATES: dict[str, type[Any]] = {
    gate.name: gate
    for gate in (ErrorsGate, SplitGate, LatencyGate, AgreementGate, LossGate, FunctionGate, PrometheusGate)
}
_NULL = "tag:yaml.org,2002:null"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MOST_BYTES = 512 << 10  # of a plan, which a ConfigMap of at most 1 MiB holds together with the state
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")


def to_yaml(plan: RolloutPlan) -> str:
    """The plan as YAML that `read_plan` reads.

    >>> print(to_yaml(RolloutPlan(steps=(10, 100), gates=(ErrorsGate(budget=0.02),))))
    steps: [10, 100]
    bake: 30s
    ready: 300s
    limit: 1800s
    minimumExposure: 50
    alpha: 0.05
    onInconclusive: hold
    gates:
    - errors: {budget: 0.02}
    <BLANKLINE>
    """
    document: dict[str, Any] = {"model": plan.model} if plan.model else {}
    document |= {
        "steps": list(plan.steps),
        "bake": f"{plan.bake_s:g}s",
        "ready": f"{plan.ready_s:g}s",
        "limit": f"{plan.limit_s:g}s",
        "minimumExposure": plan.minimum_exposure,
        "alpha": plan.alpha,
        "onInconclusive": plan.on_inconclusive,
    }
    if plan.probe:
        document["probe"] = {
            "rate": plan.probe.rate,
            "rows": [list(row) for row in plan.probe.rows],
            "labels": list(plan.probe.labels),
        }
    document["gates"] = [_gate_document(gate) for gate in plan.gates]
    text: str = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    return text


def read_plan(text: str, source: str = "plan") -> RolloutPlan:
    """The plan in a YAML text.

    Args:
        source: the name of the file, for messages.

    Raises:
        PlanError: the text is not a plan; the message names the line and the field.

    >>> read_plan("steps: [10, 100]\\nbake: 2m").bake_s
    120.0
    >>> read_plan("steps: [10, 100]\\nbake: soon", "plan.yaml")
    Traceback (most recent call last):
    ...
    kserve_nb.gates.plan.PlanError: plan.yaml, line 2: bake: 'soon' is not a duration, such as 30s, 5m or 1h.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise PlanError(f"{source}{line}: this is not YAML: {problem}.") from None
    except RecursionError:
        raise PlanError(f"{source}: this is not a plan: its lists are nested too deeply. It needs at least: "
                        "steps: [10, 50, 100]") from None
    return _PlanReader(source).plan(root)


def read_plan_file(path: Path) -> RolloutPlan:
    """The plan in a file. Raises PlanError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise PlanError(f"Cannot read the plan {path}: it is larger than {_MOST_BYTES >> 10} KiB, and the runner "
                            "keeps it in a ConfigMap. Use fewer rows for the probe.")
        return read_plan(content.decode("utf-8-sig"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise PlanError(f"Cannot read the plan {path}: {reason}. Name a YAML file: --plan plan.yaml") from None


class _PlanReader:
    """Reads YAML nodes, which still have their line numbers."""

    def __init__(self, source: str):
        self._source = source

    def plan(self, root: yaml.Node | None) -> RolloutPlan:
        if root is None:
            raise PlanError(f"{self._source}: the plan is empty. It needs at least: steps: [10, 50, 100]")
        readers: dict[str, tuple[str, Callable[[str, yaml.Node], Any]]] = {
            "model": ("model", self._text), "steps": ("steps", self._numbers), "bake": ("bake_s", self._duration),
            "ready": ("ready_s", self._duration), "limit": ("limit_s", self._duration),
            "minimumExposure": ("minimum_exposure", self._value), "alpha": ("alpha", self._number),
            "onInconclusive": ("on_inconclusive", self._text), "probe": ("probe", self._probe),
            "gates": ("gates", self._gates),
        }  # fmt: skip
        rows = self._mapping("", root, readers)
        values = {readers[key][0]: readers[key][1](key, node) for key, node in rows.items()}
        try:
            return RolloutPlan(**values)
        except PlanError as error:
            raise self._error(rows.get(str(error).partition(":")[0], root), str(error)) from None
        except TypeError as error:
            raise self._error(root, f"the plan: {error}.") from None

    def _gates(self, field: str, node: yaml.Node) -> tuple[Gate, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, f"{field}: this is not a list. Write one gate per line: - errors: {{budget: 0.05}}")
        return tuple(self._gate(f"{field}[{number}]", item) for number, item in enumerate(node.value))

    def _gate(self, field: str, node: yaml.Node) -> Gate:
        if isinstance(node, yaml.ScalarNode):
            name, settings = str(node.value), None
        else:
            ((name, settings),) = self._mapping(field, node, GATES, most=1).items()
        if name not in GATES:
            raise self._error(node, f"{field}: There is no gate {name!r}. The gates are: {', '.join(GATES)}.")
        known = {_camel(each.name): each for each in fields(GATES[name])}
        rows = {} if settings is None else self._mapping(f"{field}.{name}", settings, known)
        values = {known[key].name: self._setting(f"{field}.{name}.{key}", known[key].type, row)
                  for key, row in rows.items()}
        try:
            gate: Gate = GATES[name](**values)
        except TypeError as error:
            missing = str(error).partition(": ")[2] or str(error)
            raise self._error(node, f"{field}.{name}: it needs {_camel(missing.replace(chr(39), ''))}.") from None
        if isinstance(gate, PrometheusGate) and not gate.url.startswith(("http://", "https://")):
            raise self._error(rows["url"], f"{field}.{name}.url: {short_repr(gate.url)} is not an http or https "
                                           "address, such as http://prometheus.monitoring:9090.")
        if isinstance(gate, FunctionGate):
            self._loadable(f"{field}.{name}.function", gate, node)
        return gate

    def _setting(self, field: str, type_: Any, node: yaml.Node) -> Any:
        if field.endswith("Ms"):
            return 1000 * self._duration(field, node)
        if "str" in str(type_):
            return self._text(field, node)
        value = self._number(field, node)
        if value < 0:
            raise self._error(node, f"{field}: {value:g} is negative.")
        if not value < math.inf:
            raise self._error(node, f"{field}: {value:g} is not a finite number.")
        if field.endswith(".budget") and value > 1:
            raise self._error(node, f"{field}: {value:g} is above 1. A budget is a share: write 0.05 for 5 %.")
        if field.endswith("quantile") and not 0 < value < 1:
            raise self._error(node, f"{field}: {value:g} is not between 0 and 1.")
        return value

    def _loadable(self, field: str, gate: FunctionGate, node: yaml.Node) -> None:
        try:
            gate.load()
        except Exception as error:  # the module's own code can raise anything
            raise self._error(node, f"{field}: cannot import {gate.function!r}: {error or type(error).__name__}. "
                                    "Write module:function, and set PYTHONPATH to the module's folder.") from None

    def _probe(self, field: str, node: yaml.Node) -> ProbeTraffic:
        rows = self._mapping(field, node, {"rate": None, "rows": None, "labels": None})
        values: dict[str, Any] = {}
        if "rate" in rows:
            values["rate"] = self._number(f"{field}.rate", rows["rate"])
        if "rows" in rows:
            items = self._items(f"{field}.rows", rows["rows"])
            values["rows"] = tuple(self._cells(f"{field}.rows", item) for item in items)
        if "labels" in rows:
            items = self._items(f"{field}.labels", rows["labels"])
            values["labels"] = tuple(self._label(f"{field}.labels", item) for item in items)
        try:
            return ProbeTraffic(**values)
        except PlanError as error:
            raise self._error(node, str(error)) from None

    def _mapping(
        self, field: str, node: yaml.Node, known: Mapping[str, Any], most: int | None = None
    ) -> dict[str, yaml.Node]:
        """The values by key. Raises PlanError for an unknown or repeated key."""
        at = f"{field}: " if field else ""
        if not isinstance(node, yaml.MappingNode) or (most and len(node.value) != most):
            raise self._error(node, f"{at}this is not a mapping. The fields are: {', '.join(known)}.")
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, f"{at}a key must be a word. The fields are: {', '.join(known)}.")
            name = str(key.value)
            if name not in known:
                what = "gate" if known is GATES else "field"
                raise self._error(key, f"{at}There is no {what} {name!r}. The {what}s are: {', '.join(known)}.")
            if name in found:
                raise self._error(key, f"{at}{name} appears twice.")
            found[name] = value
        return found

    def _items(self, field: str, node: yaml.Node) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, f"{field}: this is not a list.")
        items: list[yaml.Node] = node.value
        return items

    def _numbers(self, field: str, node: yaml.Node) -> tuple[Any, ...]:
        return tuple(self._value(field, item) for item in self._items(field, node))

    def _cells(self, field: str, node: yaml.Node) -> tuple[Any, ...]:
        return tuple(self._cell(field, item) for item in self._items(field, node))

    def _label(self, field: str, node: yaml.Node) -> Any:
        """The right answer to a row: a number, a text, or a list of them for a model with several outputs."""
        return self._cells(field, node) if isinstance(node, yaml.SequenceNode) else self._cell(field, node)

    def _cell(self, field: str, node: yaml.Node) -> Any:
        """A number, true, false or a text. YAML reads words such as yes, null and 2026-11-28 as other types."""
        value = self._scalar(node)
        if isinstance(value, bool) and node.value.lower() not in ("true", "false"):
            value = None
        if not isinstance(value, int | float | str):
            if not isinstance(node, yaml.ScalarNode):
                raise self._error(node, f"{field}: this is a list or a mapping, where a number or a text is needed.")
            raise self._error(node, f"{field}: {short_repr(node.value)} is neither a number nor a text in YAML. Write "
                                    'a text in quotes, such as "yes".')
        return value

    def _scalar(self, node: yaml.Node) -> Any:
        """The value of a scalar as YAML reads it; None for a list, a mapping, and a text that YAML cannot read."""
        if not isinstance(node, yaml.ScalarNode):
            return None
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError):  # an unknown tag, or a date such as 2026-02-30
            return None

    def _number(self, field: str, node: yaml.Node) -> float:
        value = self._value(field, node)
        return float(value)

    def _value(self, field: str, node: yaml.Node) -> Any:
        """A number as YAML reads it: 10 is an int, 10.5 a float."""
        value = self._scalar(node)
        if isinstance(value, bool) or not isinstance(value, int | float):
            shown = short_repr(node.value) if isinstance(node, yaml.ScalarNode) else "this"
            raise self._error(node, f"{field}: {shown} is not a number.")
        return value

    def _text(self, field: str, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, f"{field}: this is not a text.")
        if node.tag == _NULL:
            raise self._error(node, f"{field}: it has no value. Leave it out, or write one.")
        return str(node.value)

    def _duration(self, field: str, node: yaml.Node) -> float:
        text = self._text(field, node)
        match = _DURATION.fullmatch(text.strip())
        if match is None:
            raise self._error(node, f"{field}: {short_repr(text)} is not a duration, such as 30s, 5m or 1h.")
        return float(match[1]) * _UNITS[match[2] or "s"]

    def _error(self, node: yaml.Node, problem: str) -> PlanError:
        return PlanError(f"{self._source}, line {node.start_mark.line + 1}: {problem}")


def _gate_document(gate: Gate) -> dict[str, Any]:
    """The settings of a gate. A function that is not named by its module cannot be written."""
    settings = {_camel(each.name): getattr(gate, each.name) for each in fields(gate)}  # type: ignore[arg-type]
    if callable(settings.get("function")):
        function = settings["function"]
        settings["function"] = f"{function.__module__}:{function.__qualname__}"
    if "slackMs" in settings:
        settings["slackMs"] = f"{settings['slackMs']:g}ms"
    return {gate.name: settings}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
