"""Every operation of the OpenAPI document, with valid and invalid bodies: none returns 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api_server import ApiServer, isvc

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1200)]
PATCHES = ("application/merge-patch+json", "application/json-patch+json", "application/strategic-merge-patch+json",
           "application/apply-patch+yaml")
DEPTH = 5
NAMES = st.sampled_from(["demo", "default", "upd", "p", "absent", "A_b", "..", "ä"])
ANYTHING = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.integers(), max_size=2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    served = ApiServer(tmp_path_factory.mktemp("openapi"))
    served.request("POST", "/apis/serving.kserve.io/v1beta1/namespaces/demo/inferenceservices", isvc("upd"))
    served.request("POST", "/api/v1/namespaces/demo/pods",
                   {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    yield served
    served.close()


def value_of(schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values of a schema, and sometimes others."""
    reference = schema.get("$ref") or next((each.get("$ref") for each in schema.get("allOf", [])), None)
    if depth > DEPTH:
        return ANYTHING
    if reference:
        return value_of(schemas.get(reference.rpartition("/")[2], {}), schemas, depth + 1)
    if schema.get("enum"):
        return st.sampled_from(schema["enum"])
    if schema.get("properties"):
        fields = {name: st.deferred(lambda s=each: value_of(s, schemas, depth + 1))
                  for name, each in schema["properties"].items()}
        return st.fixed_dictionaries({}, optional=fields) | ANYTHING
    match schema.get("type"):
        case "array":
            return st.lists(st.deferred(lambda: value_of(schema.get("items", {}), schemas, depth + 1)), max_size=2)
        case "object":
            inner = schema.get("additionalProperties")
            return st.dictionaries(st.text(max_size=5), value_of(inner if isinstance(inner, dict) else {}, schemas,
                                                                 depth + 1), max_size=2)
        case "string":
            return NAMES | st.text(max_size=8)
        case "integer":
            return st.integers()
        case "boolean":
            return st.booleans()
    return ANYTHING


def operations(server: ApiServer) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """The method, path, body's schema and document's schemas of each operation of all OpenAPI documents."""
    found = []
    for group in server.request("GET", "/openapi/v3").json()["paths"].values():
        document = server.request("GET", group["serverRelativeURL"]).json()
        schemas = document.get("components", {}).get("schemas", {})
        for path, item in document["paths"].items():
            for method in sorted(item.keys() & {"get", "post", "put", "patch", "delete"}):
                content = item[method].get("requestBody", {}).get("content", {})
                body = next((each.get("schema", {}) for each in content.values()), {})
                found.append((method.upper(), path, body, schemas))
    return found


def test_no_operation_ends_in_an_internal_error(server: ApiServer) -> None:
    listed = operations(server)
    assert len(listed) > 100

    @settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data(), operation=st.sampled_from(listed), name=NAMES, namespace=NAMES,
           kind=st.sampled_from(PATCHES), dry_run=st.booleans())
    def send(data: st.DataObject, operation: tuple[str, str, dict[str, Any], dict[str, Any]], name: str,
             namespace: str, kind: str, dry_run: bool) -> None:
        method, path, schema, schemas = operation
        body = data.draw(value_of(schema, schemas)) if method in ("POST", "PUT", "PATCH") else None
        url = path.replace("{name}", quote(name)).replace("{namespace}", quote(namespace))
        query = "?timeoutSeconds=1" + ("&dryRun=All" if dry_run else "") + (
            "&fieldManager=x&force=true" if "apply" in kind and method == "PATCH" else "")
        answer = server.request(method, url + query, json.dumps(body).encode(),
                                headers={"Content-Type": kind if method == "PATCH" else "application/json"})
        assert answer.status_code < 500 or answer.status_code == 504, (method, url, body, answer.text)

    send()
