"""The command line as a person meets it: what it prints, where errors go, the exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from seekerdata.cli import app

ROOT = Path(__file__).parent.parent.parent


def seekerdata(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in arguments])


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"name: t\nout: {tmp_path}/out\nsource: {{use: world, level: 1, videos: 3, questions_per_video: 1}}\n"
        "engine: {workers: 1}\n"
    )
    return path


def test_build_show_and_check(recipe: Path, tmp_path: Path) -> None:
    built = seekerdata("build", recipe)
    assert built.exit_code == 0, built.stderr
    assert f"dataset: {tmp_path}/out/dataset (3 qa, 3 sft, 0 rl)" in built.stdout
    shown = seekerdata("show", tmp_path / "out")
    assert shown.exit_code == 0 and (tmp_path / "out" / "page.html").exists()
    assert shown.stdout.strip().endswith("page.html")
    dataset = tmp_path / "out" / "dataset"
    assert seekerdata("show", dataset).stdout == f"page: {dataset}.html\n"
    assert "no picture" not in dataset.with_suffix(".html").read_text()  # its videos are at hand
    assert seekerdata("show", dataset / "qa").exit_code == seekerdata("show", dataset, "--videos", "no").exit_code == 2
    checked = seekerdata("check", tmp_path / "out" / "dataset", "--json")
    assert checked.exit_code == 0, checked.stdout
    assert {verdict["failed"] for verdict in json.loads(checked.stdout)} == {0}


def test_json_is_all_that_stdout_holds(recipe: Path) -> None:
    facts = json.loads(seekerdata("build", recipe, "--json").stdout)
    assert facts["complete"] and facts["rows"]["qa"] == 3
    assert facts["stages"][0]["name"] == "source"


def test_plan_does_nothing(recipe: Path, tmp_path: Path) -> None:
    facts = json.loads(seekerdata("plan", recipe, "--json").stdout)
    assert (facts["items"], facts["model_calls"], facts["already_done"]) == (3, 0, "nothing")
    assert not (tmp_path / "out").exists()
    assert "items" in seekerdata("plan", recipe).stdout


def test_list_names_the_parts() -> None:
    shapes = json.loads(seekerdata("list", "shapes", "--json").stdout)["shapes"]
    assert "arrow" in shapes and all(shapes.values())
    assert "expert" in seekerdata("list").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("build", "none.yaml"), "none.yaml: no such recipe"),
        (("build", "recipes/build/quickstart.yaml", "--set", "sead=1"), "sead: unknown key, did you mean 'seed'?"),
        (("build", "recipes/build/quickstart.yaml", "--until", "rendr"), "--until rendr: the stages are source"),
        (("build", "recipes/build/real_mini.yaml", "--set", "source.path=none", "--out", "/dev/null/x"), "/dev/null/x"),
        (("plan", "recipes/build/real_mini.yaml", "--set", "source.path=none"), "none"),
        (("list", "shape"), "no family 'shape' (did you mean 'shapes'?)"),
        (("show", "nowhere"), "nowhere: not a run folder"),
        (("check", "nowhere"), "nowhere: no 'qa' configuration here"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(arguments: tuple[str, ...], words: str) -> None:
    done = seekerdata(*arguments)
    assert done.exit_code == 2, done.stderr
    assert words in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_a_process_of_its_own_says_the_same() -> None:
    command = [sys.executable, "-m", "seekerdata.cli", "build", "none.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "none.yaml: no such recipe\n")


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom seekerdata.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "assert not {'av', 'cv2', 'datasets', 'numpy', 'pydantic'} & set(sys.modules), sorted(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
