"""`kserve-nb page-drift`: the differences between a page of KServe's documentation and the executed notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
import requests
from click.testing import CliRunner, Result

from kserve_nb.cli import main
from kserve_nb.runner.pages import page_source
from kserve_nb.runner.pages.known_blocks import KnownBlock, known_blocks
from kserve_nb.runner.pages.markdown_page import page_commands
from kserve_nb.runner.pages.output_comparison import differences
from kserve_nb.runner.pages.page_source import PageError, page_text

CANARY = "Canary Rollout Example"
ISVC = """NAME           URL                 READY   PREV   LATEST   AGE
sklearn-iris   http://iris.test    True    90     10       7s"""
PODS = """NAME                                               READY   STATUS    RESTARTS   AGE
iris-predictor-00001-deployment-5bc74c4794-scdrz   2/2     Running   0          2s
iris-predictor-00002-deployment-5bff597d6d-44w2d   2/2     Running   0          1s"""


@cache
def blocks() -> list[KnownBlock]:
    return [block for block in known_blocks() if block.page == CANARY]


def page(*replaced: tuple[str, str], output: str = ISVC) -> str:
    """A page with the known blocks, and an output below the first `kubectl get isvc`."""
    parts = ["# Canary"]
    for number, block in enumerate(blocks()):
        parts.append(f"## {block.step}\n\n```bash\n{block.text}{output if number == 0 else ''}\n```")
    text = "\n\n".join(parts)
    for before, after in replaced:
        assert before in text
        text = text.replace(before, after, 1)
    return text


def cell(block: KnownBlock) -> Any:
    """The executed cell that runs a block."""
    first, _, rest = block.text.partition(" <<EOF\n")
    source = f"%%{first}\n{rest.removesuffix('EOF' + chr(10))}" if rest else f"%{block.text}"
    if first.startswith("curl"):
        source = f"%%curl\n{block.text}"
    output = nbformat.v4.new_output("stream", name="stdout", text=ISVC)
    return nbformat.v4.new_code_cell(source.strip(), outputs=[output], metadata={"papermill": {"duration": 1.0}})


@pytest.fixture
def executed(tmp_path: Path) -> Path:
    """A folder with the executed notebooks."""
    folder = tmp_path / "executed"
    folder.mkdir()
    for name in {block.notebook for block in blocks()}:
        cells = [cell(block) for block in blocks() if block.notebook == name]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{name}.ipynb")
    return folder


def run(tmp_path: Path, text: str | bytes, executed: Path) -> Result:
    file = tmp_path / "canary.mdx"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return command(str(file), tmp_path, executed)


def command(source: str, tmp_path: Path, executed: Path) -> Result:
    return CliRunner().invoke(main, ["page-drift", source, "--executed", str(executed), "--report",
                                     str(tmp_path / "reports" / "drift.md")])


def test_a_page_as_it_was_has_no_drift(tmp_path: Path, executed: Path) -> None:
    done = run(tmp_path, page(("7s", "2m39s")), executed)

    assert done.exit_code == 0, done.output
    assert f"{len(blocks())} unchanged, 0 changed, 0 new, 0 gone, 0 with another output" in done.output
    assert "0 changed" in (tmp_path / "reports" / "drift.md").read_text()


def test_a_changed_command_is_shown_with_the_lines_that_differ(tmp_path: Path, executed: Path) -> None:
    done = run(tmp_path, page(("canaryTrafficPercent: 10", "canaryTrafficPercent: 20")), executed)

    assert done.exit_code == 1
    assert "1 changed, 0 new, 0 gone" in done.output
    assert "-    canaryTrafficPercent: 10\n" in done.output and "+    canaryTrafficPercent: 20\n" in done.output
    assert "```diff" in (tmp_path / "reports" / "drift.md").read_text()


def test_quotes_and_spaces_of_a_document_are_no_change(tmp_path: Path, executed: Path) -> None:
    done = run(tmp_path, page(('kind: "InferenceService"', "kind:   InferenceService")), executed)

    assert done.exit_code == 0, done.output


def test_a_new_block_and_a_block_that_is_gone_are_named(tmp_path: Path, executed: Path) -> None:
    new = "```bash\nhelm upgrade --install kserve oci://ghcr.io/kserve/charts\n```\n\n## Promote the canary model\n"
    done = run(tmp_path, page(("## Promote the canary model\n", new), ("kubectl get pods\n", "")), executed)

    assert done.exit_code == 1
    assert "0 changed, 1 new, 1 gone" in done.output
    assert "helm upgrade" in done.output.partition("NEW ON THE PAGE")[2].partition("NO LONGER")[0]
    assert "kubectl get pods" in done.output.partition("NO LONGER ON THE PAGE")[2]


def test_an_output_with_another_column_or_value_is_drift(tmp_path: Path, executed: Path) -> None:
    done = run(tmp_path, page(("LATEST   AGE", "LATEST   REASON   AGE"), ("90     10", "80     20")), executed)

    assert done.exit_code == 1
    assert "1 with another output" in done.output
    assert "only the page has the column REASON" in done.output
    assert "row sklearn-iris: the page has 80 20; the notebook's output has 90 10" in done.output


def test_a_command_that_a_notebook_has_lost_is_named(tmp_path: Path, executed: Path) -> None:
    notebook = executed / "03_canary.ipynb"
    loaded = nbformat.read(notebook, as_version=4)
    loaded.cells.pop()
    nbformat.write(loaded, notebook)

    done = run(tmp_path, page(), executed)

    assert done.exit_code == 1 and "1 not run" in done.output


@pytest.mark.parametrize(("content", "problem"), [
    (b"<!DOCTYPE html>\n<html><body>", "it is an HTML page. Name the page's Markdown source"),
    (b"\xff\xfe\x00", "it is not UTF-8 text"),
    (b"# Canary\n\nOnly prose.", "it has no command blocks"),
    (b"x" * (page_source.MOST_BYTES + 1), "it is larger than 1 MiB"),
])
def test_a_file_that_is_no_page_ends_with_2_and_the_reason(
    tmp_path: Path, executed: Path, content: bytes, problem: str
) -> None:
    done = run(tmp_path, content, executed)

    assert done.exit_code == 2
    assert problem in done.output and "Traceback" not in done.output


def test_a_missing_page_or_notebook_ends_with_2_and_the_reason(tmp_path: Path, executed: Path) -> None:
    missing = command(str(tmp_path / "none.md"), tmp_path, executed)
    (executed / "03_canary.ipynb").unlink()
    not_run = run(tmp_path, page(), executed)

    assert (missing.exit_code, not_run.exit_code) == (2, 2)
    assert "none.md: No such file or directory. Name a Markdown file" in missing.output
    assert "03_canary.ipynb: No such file or directory. Run the notebooks first: kserve-nb run" in not_run.output


class Response(requests.Response):
    """A fake response, which needs no network."""

    def __init__(self, parts: list[bytes], status: int = 200, url: str = "https://example.com/page.md"):
        super().__init__()
        self.parts, self.status_code, self.url, self.reason = parts, status, url, "Some Reason"

    def iter_content(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield from self.parts

    def close(self) -> None:
        pass


class Session(requests.Session):
    def __init__(self, answer: Response | Exception):
        super().__init__()
        self.answer = answer

    def get(self, *_: Any, **options: Any) -> Response:
        assert options["timeout"] > 0 and options["stream"]
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_a_page_is_read_from_an_https_address() -> None:
    assert page_text("https://example.com/page.md", Session(Response([b"# Ca", b"nary"]))) == "# Canary"


@pytest.mark.parametrize(("answer", "problem"), [
    (Response([], 404), "the server answered 404 Some Reason"),
    (Response([b"x"], url="http://example.com"), "only https addresses are read"),
    (Response([b"x" * 600_000] * 3), "larger than 1 MiB"),
    (requests.ConnectTimeout(), "did not answer within 10 s"),
    (requests.exceptions.SSLError(), "its certificate is not valid"),
    (requests.ConnectionError(), "there is no connection to the server"),
])
def test_an_address_that_cannot_be_read_is_named_with_the_reason(answer: Response | Exception, problem: str) -> None:
    with pytest.raises(PageError, match=problem):
        page_text("https://example.com/page.md", Session(answer))


def test_a_download_that_goes_on_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0, 31.0])
    monkeypatch.setattr(page_source.time, "monotonic", lambda: next(clock))

    with pytest.raises(PageError, match="took longer than 30 s"):
        page_text("https://example.com/page.md", Session(Response([b"a", b"b", b"c"])))


@pytest.mark.parametrize("source", ["http://example.com/page.md", "ftp://example.com/page.md", "file:///etc/passwd"])
def test_other_schemes_are_not_read(source: str) -> None:
    with pytest.raises(PageError, match="only https addresses are read"):
        page_text(source)


def test_tabs_and_components_contain_commands() -> None:
    text = ('---\ntitle: Canary\n---\nimport Tabs from "@theme/Tabs"\n\n=== "New"\n\n'
            "    ```bash\n    kubectl get a\n    ```\n\n<Tabs>\n  <TabItem>\n"
            "      ```sh\n      $ kubectl get b \\\n        -o wide\n      ```\n  </TabItem>\n</Tabs>\n\n"
            "```yaml\napiVersion: v1\nkind: A\n```\n\n```python\nprint(1)\n```\n")

    assert [each.command.text for each in page_commands(text)] == [
        "kubectl get a", "kubectl get b -o wide", "kubectl apply -f - <<EOF\napiVersion: v1\nkind: A\nEOF"]


def test_an_output_in_a_block_of_its_own_belongs_to_the_command_before_it() -> None:
    text = ("# A\n\nRun `kubectl get a`.\n\n```\nNAME   AGE\n```\n\n"
            "```bash\nkubectl get b\n```\nThe result:\n```json\n{}\n```\n")

    assert [(each.command.line, each.output) for each in page_commands(text)] == [
        ("kubectl get a", "NAME   AGE"), ("kubectl get b", "{}")]


def test_a_command_in_a_sentence_without_output_is_not_a_block() -> None:
    assert page_commands("Use `kubectl get pods` to list pods.\n") == []


@pytest.mark.parametrize(("printed", "executed"), [
    (ISVC.replace("7s", "46s          2m39s"), ISVC),
    (PODS.replace("scdrz", "abcde").replace("2s", "11m"), PODS),
    (PODS.replace("2/2     Running   0          2s", "1/2     Terminating   0          2s"), PODS),
    ("\n".join(PODS.splitlines()[:2]), PODS),
    ('{"ip": "10.0.0.1", "at": "2026-01-02T03:04:05Z"}', '{"at": "2027-01-02T03:04:05Z", "ip": "10.9.8.7"}'),
    ('[{"tag": "prev", "percent": 90}, {"tag": "latest"}]', '[{"tag": "latest"}, {"tag": "prev", "percent": 90}]'),
    ("* Trying 1.2.3.4\n< HTTP/1.1 200 OK\n{\"predictions\": [1]}", "> POST /v1\n{\"predictions\": [1]}"),
])
def test_what_differs_between_any_two_runs_is_no_difference(printed: str, executed: str) -> None:
    assert differences(printed, executed) == []


@pytest.mark.parametrize(("printed", "executed", "said"), [
    (PODS.replace("2/2", "1/1"), PODS, "1 containers"),
    (PODS.replace("-predictor-", "-predictor-default-"), PODS, "iris-predictor-default-REVISION"),
    ('{"traffic": [{"percent": 10}]}', '{"traffic": [{"percent": 20}]}', ".traffic[0].percent: the page has 10"),
    ('[{"tag": "prev", "percent": 90}]', '[{"tag": "prev", "percent": 80}]', "[tag=prev].percent: the page has 90"),
    ('{"a": 1}', '{"a": 1, "b": 2}', ".b: the page has nothing; the notebook's output has 2"),
    ("isvc/iris created", "isvc/iris configured", "only the page has the line isvc/iris created"),
    (ISVC, ISVC + "\nother   http://x   True   1   2   3s", "has the row other"),
])
def test_what_matters_is_named(printed: str, executed: str, said: str) -> None:
    assert said in "\n".join(differences(printed, executed))


def test_a_report_names_the_first_differences_and_counts_the_others() -> None:
    found = differences(str({"a": 1}).replace("'", '"'), "{" + ",".join(f'"k{n}": {n}' for n in range(20)) + "}")

    assert len(found) == 9 and found[-1] == "and 13 more differences"


def test_text_of_the_page_cannot_end_the_reports_code(tmp_path: Path, executed: Path) -> None:
    new = "## @all `x`\n\n~~~bash\nkubectl label a b='```'\n~~~\n\n## Promote the canary model\n"
    done = run(tmp_path, page(("## Promote the canary model\n", new)), executed)

    report = (tmp_path / "reports" / "drift.md").read_text()
    assert done.exit_code == 1
    assert "````text\nkubectl label a b='```'\n````" in report and "### `@all 'x' (line" in report
