"""Examples in the documentation are valid, and its links and paths lead to something.

Marks that exempt a block from a check are listed in docs/development.md.
"""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from app.settings.loading import load_settings
from app.settings.names import CONFIG_VARIABLE
from tests import docpages
from tests.doccommands import VARIABLES, commands, faults, scripts
from tests.docpages import PAGES, ROOT, Block

PARSED = frozenset({"console", "json", "mermaid", "nix", "sh", "toml", "yaml"})
TREES = ("app", "bench", "deploy", "docs", "nix", "scripts", "tests")
PATH = re.compile(rf"(?:{'|'.join(TREES)})/[\w./-]+")
SHELL = ("sh", "console")
READERS = re.compile(r"\b[Ff]or [\w ,]*(developer|operator|user|reader|people|everyone|person)")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("block", docpages.blocks(), ids=str)
def test_a_block_is_in_a_language_that_is_checked_or_has_a_mark(block: Block) -> None:
    assert block.language in PARSED or block.mark


@pytest.mark.parametrize("block", docpages.blocks("json"), ids=str)
def test_json_parses(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", docpages.blocks("yaml"), ids=str)
def test_yaml_parses(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("block", docpages.blocks("toml"), ids=str)
def test_toml_is_a_configuration_of_the_server(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = tmp_path / "nixery.toml"
    written.write_text(block.text)
    monkeypatch.setenv(CONFIG_VARIABLE, str(written))

    document = tomllib.loads(block.text)
    if block.mark:
        return
    settings = load_settings()

    named_sources = [source["name"] for source in document.get("sources", [])]
    assert [source.name for source in settings.sources] == named_sources


@pytest.mark.parametrize("block", docpages.blocks(*SHELL), ids=str)
def test_shell_parses(block: Block) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=scripts(block), capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", docpages.blocks(*SHELL), ids=str)
def test_commands_in_shell_blocks_exist(block: Block) -> None:
    found = list(commands(scripts(block)))

    assert any(found)
    assert [fault for words in found for fault in faults(words)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_in_sentences_exist(page: Path) -> None:
    spans = [span for span in docpages.spans(page) if re.match(r"(nixery|make|python3?) ", span)]

    assert [fault for span in spans for words in commands(span) for fault in faults(words)] == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("nixery check", "nixery check does not exist"),
        ("NIXERY_PROT=1 nixery", "the variable NIXERY_PROT does not exist"),
        ("nixery verify --remove", "nixery verify has no option --remove"),
        ("true && make tests", "make tests does not exist"),
        ("python bench/pack.py", "bench/pack.py does not exist"),
        ("python bench/packing.py --worker 3", "bench/packing.py has no option --worker"),
        ("python -c 'from app.storage import disk'", "app.storage.disk does not exist"),
    ],
)
def test_a_command_that_does_not_exist_is_a_fault(line: str, fault: str) -> None:
    assert [found for words in commands(line) for found in faults(words)] == [fault]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    for link in docpages.links(page):
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        assert not anchor or anchor in docpages.anchors(file), link


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_paths_of_the_tree_exist(page: Path) -> None:
    paths = [span.rstrip("/") for span in docpages.spans(page) if PATH.fullmatch(span)]

    assert [path for path in paths if path != "app/nix" and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_settings_exist(page: Path) -> None:
    """Those of Kubernetes for a Service are an example of what the server ignores."""
    found = set(re.findall(r"\bNIXERY_[A-Z_]+\b", page.read_text())) - {"NIXERY_SERVICE_HOST"}

    assert found - VARIABLES == set()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_first_paragraph_names_the_readers(page: Path) -> None:
    title, _, text = page.read_text().partition("\n\n")

    assert title.startswith("# ")
    assert READERS.search(text.partition("\n\n")[0].replace("\n", " "))


def test_all_pages_are_listed() -> None:
    listed = {
        (ROOT / "docs" / link.partition("#")[0]).resolve()
        for link in docpages.links(ROOT / "docs" / "README.md")
    }
    pages = {page for page in PAGES if page.parent != ROOT / "docs" / "decisions"}

    assert pages - listed - {ROOT / "README.md", ROOT / "docs" / "README.md"} == set()
