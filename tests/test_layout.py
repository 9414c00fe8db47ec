"""The shape of the code, enforced: budgets, direction of imports, light imports, no drawers."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("seekerdata", "seekertrain", "seekereval")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
FAMILIES = {"sources", "stages", "segmenters", "shapes", "policies", "world", "exports", "imports"}
VERBS = {
    *("build", "check", "cli", "export", "importing", "mark"),
    *("output", "plan", "progress", "pull", "push", "show", "tables"),
}
"""Files of seekerdata that do the work of a command; everything else at the top is a noun."""
NOUNS = sorted(p.stem for p in (ROOT / "seekerdata").glob("*.py") if p.stem not in VERBS | {"__init__"})
HEAVY = {
    *("av", "cv2", "datasets", "pandas", "pyarrow", "pycocotools"),
    *("inspect_ai", "openai", "torch", "transformers", "jinja2", "rich"),
}
MAX_FILE, MAX_FUNCTION = 300, 40


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(tree: ast.AST) -> list[tuple[str, int]]:
    """Name and length of every function, its docstring apart."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or 0) - node.lineno + 1
            found.append((node.name, lines - (docstring.count("\n") + 1 if docstring else 0)))
    return found


def imports(path: Path) -> set[str]:
    """Dotted names of everything a file imports, inside functions too."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_budgets(path: Path) -> None:
    tree = parsed(path)
    assert path.read_text().count("\n") <= MAX_FILE
    assert not [(name, lines) for name, lines in functions(tree) if lines > MAX_FUNCTION]
    if path.name != "__init__.py":
        docstring = ast.get_docstring(tree)
        assert docstring, "a file opens with the noun and its invariant"


def test_two_folder_levels_and_no_drawers() -> None:
    assert all(len(path.relative_to(ROOT).parts) <= 3 for path in FILES)
    drawers = {"utils", "common", "base", "core", "helpers", "misc", "legacy"}
    assert not [name for path, name in zip(FILES, NAMES, strict=True) if path.stem in drawers or "_v2" in name]


def test_direction_is_a_v() -> None:
    for path, name in zip(FILES, NAMES, strict=True):
        package = name.split("/")[0]
        others = {n for n in imports(path) if n.split(".")[0] in PACKAGES and n.split(".")[0] != package}
        if package == "seekerdata":
            assert not others, f"{name} imports {others}"
        else:
            nouns = {f"seekerdata.{noun}" for noun in NOUNS} - {"seekerdata.stage"}
            allowed = nouns | {"seekerdata"}
            bad = {n for n in others if ".".join(n.split(".")[:2]) not in allowed}
            assert not bad, f"{name} imports {bad}"


def test_nouns_do_not_know_the_folders() -> None:
    for noun in NOUNS:
        known = {n for n in imports(ROOT / "seekerdata" / f"{noun}.py") if n.startswith("seekerdata.")}
        assert not {n for n in known if n.split(".")[1] in FAMILIES | VERBS - {"build"}}, noun


def test_no_noun_needs_itself() -> None:
    """Each can be imported first and alone: what they import at the top never leads back."""
    needs = {noun: set[str]() for noun in NOUNS}
    for noun, found in needs.items():
        for node in parsed(ROOT / "seekerdata" / f"{noun}.py").body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("seekerdata"):
                found |= {node.module.partition(".")[2]} if "." in node.module else {a.name for a in node.names}
            elif isinstance(node, ast.Import):
                found |= {a.name.partition(".")[2] for a in node.names if a.name.startswith("seekerdata.")}
    assert set(TopologicalSorter(needs).static_order()) == set(NOUNS)


def test_importing_a_noun_loads_nothing_heavy() -> None:
    """All in one process: what together load nothing heavy load nothing heavy alone."""
    program = f"""
import importlib, sys
for noun in {NOUNS!r}:
    importlib.import_module("seekerdata." + noun)
    print(noun, *sorted({HEAVY!r} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split("\n") == [*NOUNS, ""], "a noun alone on its line has loaded nothing heavy"


def test_only_the_command_lines_print() -> None:
    for path, name in zip(FILES, NAMES, strict=True):
        calls = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.Call)]
        prints = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
        assert not prints or path.name in ("cli.py", "terminal.py"), name
