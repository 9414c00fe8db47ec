"""Every recipe in the repository loads, opens with the command that runs it, and can be planned anywhere."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from clips import make_clip
from typer.testing import CliRunner

from seekerdata.build import BuildRecipe
from seekerdata.cli import app
from seekerdata.recipe import load_recipe
from seekerdata.retention import PAPER_KEPT
from seekerdata.role import roles

ROOT = Path(__file__).parent.parent
RECIPES = sorted((ROOT / "recipes" / "build").glob("*.yaml"))
NAMES = [path.stem for path in RECIPES]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key in the environment, and any use of the network is an error."""

    def refuse(*arguments: Any, **settings: Any) -> None:
        raise AssertionError(f"the network was asked: {arguments}")

    for place in ("socket.socket.connect", "socket.create_connection", "socket.getaddrinfo"):
        monkeypatch.setattr(place, refuse)
    for name in [name for name in os.environ if name.endswith(("_KEY", "_TOKEN", "_BASE_URL"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of videos with one question."""
    root = tmp_path_factory.mktemp("own")
    make_clip(root / "videos" / "a.mp4", seconds=4, size=(160, 120))
    row = {"id": "q", "video": "a.mp4", "question": "What does the square do?", "options": [], "answer": "It slides."}
    (root / "qa.jsonl").write_text(json.dumps(row) + "\n")
    return root


def plan(name: str, out: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["plan", f"recipes/build/{name}.yaml", "--out", str(out), *options])


def facts(name: str, out: Path, *options: str) -> Any:
    done = plan(name, out, "--json", *options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_recipe_loads_and_says_its_command(path: Path) -> None:
    assert path.read_text().startswith(f"# seekerdata build {path.relative_to(ROOT)}")
    assert load_recipe(BuildRecipe, path).name == path.stem


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_needs_no_network_no_key_and_writes_nothing(name: str, folder: Path, tmp_path: Path) -> None:
    own = [] if name in {"quickstart", "level1", "careless", "videoseeker"} else ["--set", f"source.path={folder}"]
    planned = facts(name, tmp_path / "run", *own)
    assert planned["items"] >= 1 and [row["stage"] for row in planned["stages"]][-1] == "select"
    assert not (tmp_path / "run").exists()


def test_the_papers_plan_has_the_papers_numbers(tmp_path: Path) -> None:
    planned = facts("videoseeker", tmp_path)
    assert planned["items_from"].startswith("expected_items of the recipe: the source's files are not on this machine")
    kept = [row["keeps"] for row in planned["stages"]]
    assert [planned["items"], *kept[1:6], planned["expected_items"]["rl"]] == list(PAPER_KEPT.values())
    calls = {row["role"]: row["calls"] for row in planned["models"]}
    assert calls["filter.model"] == 147_245 and calls["verify.model"] == 65_594 and calls["render.model"] == 41_083
    assert sum(row["cost"] for row in planned["models"]) > 0 and "not known" not in planned["cost"]
    hours = {row["stage"]: row["gpu_hours"] for row in planned["stages"]}
    assert (hours["segment"], hours["solve"], hours["verify"]) == ("unknown", "unknown", None)
    words = plan("videoseeker", tmp_path).stdout
    for shown in ("147,245", "65,594", "48,457", "41,083", "40,929", "34,200", "4,100 are expected", "unknown for"):
        assert shown in words, shown


def test_hours_follow_the_seconds_that_the_recipe_states(tmp_path: Path) -> None:
    planned = facts("videoseeker", tmp_path, "--set", "gpu_seconds={segment: 3.6, solve: 36}")
    hours = {row["stage"]: row["gpu_hours"] for row in planned["stages"]}
    assert (hours["segment"], hours["solve"], hours["select"]) == (48.5, 409.3, "unknown")
    assert "your own GPU's time for an item: segment 3.6 s, solve 36 s (gpu_seconds)" in planned["assumptions"]
    assert next(row for row in planned["stages"] if row["stage"] == "segment")["frames"] == 48_457 * 60


def test_expected_items_are_for_missing_files_only(folder: Path, tmp_path: Path) -> None:
    changes = ["--set", "expected_items=1000"]
    assert facts("own_videos", tmp_path, *changes, "--set", f"source.path={folder}")["items"] == 1
    gone = ["--set", f"source.path={tmp_path / 'gone'}"]
    assert facts("own_videos", tmp_path, *changes, *gone)["items"] == 1000
    assert plan("own_videos", tmp_path, *gone).exit_code == 2, "nobody knows how many"


@pytest.mark.parametrize("name", ["own_videos", "cheap"])
def test_one_server_and_one_name_serve_every_role(name: str) -> None:
    named = list(roles(load_recipe(BuildRecipe, ROOT / f"recipes/build/{name}.yaml")))
    places = [role.path for role in named]
    assert places == ["filter.model", "verify.model", "render.model", "solve.by.model", "solve.judge"]
    assert len({role.settings.model for role in named}) == 1
    assert {role.settings.base_url for role in named} == {None}, "LOCAL_BASE_URL says where it is"
    assert (ROOT / f"recipes/build/{name}.yaml").read_text().count("openai-api/local/Qwen") <= 2, (
        "the model and its price"
    )
