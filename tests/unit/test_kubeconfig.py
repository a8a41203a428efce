"""The parser of kubeconfig files."""

from __future__ import annotations

import pytest

from kserve_nb.values.kubeconfig import parse

TEXT = """
current-context: a
contexts:
- {name: a, context: {cluster: ca, user: ua, namespace: team}}
- {name: b, context: {cluster: cb}}
- {name: broken, context: {cluster: absent}}
clusters:
- {name: ca, cluster: {server: "https://a"}}
- {name: cb, cluster: {server: "https://b"}}
users:
- {name: ua, user: {token: t}}
"""


def test_the_current_context_comes_with_its_cluster_and_user() -> None:
    found = parse(TEXT).context()

    assert (found.name, found.server, found.namespace, found.user) == ("a", "https://a", "team", {"token": "t"})


def test_a_context_without_user_and_namespace_has_the_defaults() -> None:
    found = parse(TEXT).context("b")

    assert (found.server, found.namespace, found.user) == ("https://b", "default", {})


@pytest.mark.parametrize(("name", "message"), [
    ("c", "There is no context 'c'. The contexts are: a, b, broken."),
    ("broken", "There is no cluster 'absent'. The clusters are: ca, cb."),
])
def test_an_unknown_entry_is_named_with_the_existing_ones(name: str, message: str) -> None:
    with pytest.raises(LookupError) as raised:
        parse(TEXT).context(name)

    assert raised.value.args[0] == message


@pytest.mark.parametrize("text", ["- a list", "", "a: [unclosed", "just words"])
def test_a_text_that_is_no_kubeconfig_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"not YAML|no mapping"):
        parse(text)


def test_a_kubeconfig_with_lists_of_other_things_has_no_contexts() -> None:
    config = parse("{contexts: [null, 3], clusters: none}")

    assert (config.context_names, config.current_context) == ((), "")
