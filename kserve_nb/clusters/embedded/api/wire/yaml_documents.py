"""YAML as a kube-apiserver reads it: timestamps stay text, and the value is one that JSON can hold."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from kserve_nb.values.text.yaml_loader import YamlLoader

_DEEPEST = 250  # as JSON bodies: orjson reads 254 levels


class _Loader(YamlLoader):  # type: ignore[valid-type, misc]
    """A loader that notes the keys that a mapping gives twice."""

    def __init__(self, stream: bytes):
        super().__init__(stream)
        self.duplicates: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.duplicates.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
                seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


def parse(data: bytes) -> tuple[Any, list[str]]:
    """The value of a document, and a message for each key that is given twice. Raises ValueError."""
    try:
        _check_events(data)
        loader = _Loader(data)
        try:
            value = loader.get_single_data()
        finally:
            loader.dispose()
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)), loader.duplicates
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, RecursionError) as error:
        raise ValueError(f"error converting YAML to JSON: {error}") from None


def _check_events(data: bytes) -> None:
    """Refuse aliases, by which a short document can expand to any size, and nesting that exhausts the stack."""
    depth = 0
    for event in yaml.parse(data, YamlLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted: write the value out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise yaml.YAMLError(f"exceeded max depth of {_DEEPEST}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
