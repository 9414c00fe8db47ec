"""The documentation is true: what README.md and docs/*.md say to type exists; a command that no check knows fails.

What it is of each program is in `doc_checks.py`; `test_docs_played.py` runs what can be run.
"""

import ast
import importlib
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from doc_checks import CHECKS, app_of, options_exist, trained
from doc_commands import LANGUAGES, OWN, PAGES, Block, blocks, commands, inside, mentions, prose
from doc_stage import show_plugins
from material import ROOT

from seekerdata.build import BuildRecipe
from seekerdata.recipe import read_values
from seekertrain.sft import SftRecipe

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
SLURM = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "8", "out": "/tmp/own"}
README = ROOT / "README.md"
BLOCKS = [block for page in PAGES for block in blocks(page)]


@pytest.fixture(params=PAGES, ids=NAMES)
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_every_command_exists(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show_plugins(tmp_path, monkeypatch)
    monkeypatch.chdir(ROOT)
    scripts = [block for block in blocks(page) if block.is_script]
    for command in [*commands(page), *(c for script in scripts for c in inside(script, SLURM))]:
        assert command.program in CHECKS, f"{command}: no test knows this program"
        try:
            CHECKS[command.program](command)
        except Exception as error:
            error.add_note(str(command))
            raise


@pytest.mark.slow
def test_recipes_of_training_load_and_can_be_launched(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for command in commands(page):
        if command.program in ("accelerate", "seekertrain"):
            trained(command)


def test_every_command_in_a_sentence_exists(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for command in mentions(page):
        if command.program not in OWN:
            CHECKS[command.program](command)
            continue
        options_exist(command, app_of(command.program))


def test_commands_stand_where_they_are_found(page: Path) -> None:
    """A block has a known language; a command stands in one for a shell, or behind `$ `."""
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{block.where}: {block.language}"
        if block.language == "":
            for line in block.text.splitlines():
                assert not is_typed(line), f"{block.where}: {line}"
    for where, line in prose(page):
        assert not (line.startswith("    ") and is_typed(line)), f"{where}: {line}"


def is_typed(line: str) -> bool:
    """Whether a line looks like one to type."""
    first, _, more = line.strip().partition(" ")
    starts = ("pip install", "python -m", "make ", "accelerate launch", "hf ", "pytest ", "export ", "python3")
    return (first in OWN and bool(re.match(r"[a-z-]+ [a-z\d-]+[./:]", more))) or line.strip().startswith(starts)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.is_script], ids=lambda block: block.where)
def test_a_script_can_be_read(block: Block) -> None:
    read = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=lambda block: block.where)
def test_python_can_be_read_and_imports_what_exists(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            assert all(hasattr(module, alias.name) for alias in node.names), f"{block.where}: {ast.unparse(node)}"


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], ids=lambda block: block.where)
def test_json_can_be_read(block: Block) -> None:
    try:
        json.loads(block.text)
    except ValueError:
        assert [json.loads(line) for line in block.text.splitlines()]


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "yaml"], ids=lambda block: block.where)
def test_a_recipe_or_a_part_of_one_has_keys_that_exist(block: Block) -> None:
    values = yaml.safe_load(block.text)
    if "trainer" in values:
        assert set(values) <= {*SftRecipe.model_fields}  # what TRL says of `trainer` is asked by slow tests
    else:
        BuildRecipe.model_validate(read_values(ROOT / "recipes/build/quickstart.yaml") | values)


def test_links_lead_somewhere(page: Path) -> None:
    for where, line in prose(page):
        for target in re.findall(r"\]\(([^)]+)\)", line):
            path, _, anchor = target.partition("#")
            if "://" in path:
                continue
            file = page.parent / path if path else page
            assert file.exists(), f"{where}: {target}"
            if anchor:
                assert anchor in anchors(file), f"{where}: {target}"


def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as the places that show Markdown make them."""
    heads = [line.lstrip("#").strip().lower() for _, line in prose(page) if re.match("#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in heads}


def test_every_page_is_played(page: Path) -> None:
    """A page with commands of ours has a story there; what a page only says in other programs is checked above."""
    stories = (ROOT / "tests/test_docs_played.py").read_text()
    ours = [command for command in commands(page) if command.program in OWN]
    if ours and page.name not in stories and page != README:
        pytest.skip(f"{page.name}: its commands exist, but no story plays them")
