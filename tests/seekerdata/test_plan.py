"""plan: what a build with models would take, every model asked once, and nothing assumed in silence."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from servers.loopback import Refused
from servers.openai_server import ChatServer, Request, Said, in_turn
from servers.openai_server import Reply as Answer
from typer.testing import CliRunner

from seekerdata.build import BuildRecipe
from seekerdata.cli import app
from seekerdata.load import frame_tokens
from seekerdata.plan import _reaching
from seekerdata.prompts import FILTER
from seekerdata.role import roles

NAME = "openai-api/local/any"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")


def values(out: Path, url: str = "http://127.0.0.1:9/v1", **changes: Any) -> dict[str, Any]:
    """A recipe whose filter and whose teacher are models, one of them asked in two ways."""
    model = {"model": NAME, "base_url": url, "retries": 0}
    return {
        "name": "by-model",
        "out": str(out),
        "source": {"use": "world", "level": 1, "videos": 4, "questions_per_video": 1},
        "filter": {"by": "model", "model": model},
        "solve": {"by": {"use": "model", "model": {**model, "temperature": 1.0}}, "recovery": 0, "direct": 0},
        "engine": {"workers": 1},
        **changes,
    }


def plan(tmp_path: Path, *options: str, **recipe: Any) -> Any:
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(values(tmp_path / "run", **recipe)))
    return CliRunner().invoke(app, ["plan", str(path), *options])


def test_models_are_found_wherever_they_stand(tmp_path: Path) -> None:
    found = list(roles(BuildRecipe.model_validate(values(tmp_path))))
    assert [(role.path, role.frames) for role in found] == [("filter.model", False), ("solve.by.model", True)]


def test_a_probe_asks_each_model_once_and_shows_pictures_to_those_that_will_see_some(tmp_path: Path) -> None:
    with ChatServer(in_turn(Said("OK"))) as server:
        done = plan(tmp_path, "--probe", url=server.url)
    assert done.exit_code == 0, done.output
    assert [len(request.images) for request in server.requests] == [0, 1]
    assert f"probe: {NAME} for filter.model: ok\n" in done.stdout
    assert f"probe: {NAME} for solve.by.model: ok (with a picture)\n" in done.stdout
    assert not (tmp_path / "run").exists()


def test_equal_settings_are_one_model(tmp_path: Path) -> None:
    model = {"model": NAME, "retries": 0}
    with ChatServer(in_turn(Said("OK"))) as server:
        model["base_url"] = server.url
        solve = {"by": {"use": "model", "model": model}}
        assert plan(tmp_path, "--probe", url=server.url, solve=solve).exit_code == 0
    assert [len(request.images) for request in server.requests] == [1]


def test_a_model_that_cannot_see_is_found_before_the_build(tmp_path: Path) -> None:
    def blind(request: Request) -> Answer:
        return Refused(400, "images are not supported") if request.images else Said("OK")

    with ChatServer(blind) as server:
        done = plan(tmp_path, "--probe", url=server.url)
        facts = json.loads(plan(tmp_path, "--probe", "--json", url=server.url).stdout)
    assert done.exit_code == 2
    assert "solve.by.model: no answer from" in done.stdout and "can it see pictures" in done.stdout
    assert done.stderr == "1 of 2 models cannot be used as the recipe wants\n"
    assert [bool(answer["error"]) for answer in facts["probe"]] == [False, True]


def test_without_probe_nobody_is_asked(tmp_path: Path) -> None:
    with ChatServer(in_turn(Said("OK"))) as server:
        assert plan(tmp_path, url=server.url).exit_code == 0
    assert not server.requests


def figures(tmp_path: Path, **recipe: Any) -> Any:
    done = plan(tmp_path, "--json", **recipe)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_figures_by_role_follow_the_stated_formulas(tmp_path: Path) -> None:
    facts = figures(tmp_path, expected_video_s=30)
    told, play = facts["models"]
    assert (told["role"], told["items"], told["calls"], told["images"]) == ("filter.model", 4, 4, 0)
    assert told["input_tokens"] == 4 * math.ceil((len(FILTER.text) + 400) / 4)
    assert told["output_tokens"] == 4 * 60
    assert (play["role"], play["calls"], play["images"]) == ("solve.by.model", 4 * 3, 4 * (3 * 30 + 2 + 30))
    pictures = 4 * (4 * 30 * frame_tokens(336 * 336) + 2 * frame_tokens(1280 * 784))
    assert frame_tokens(336 * 336) == 14 * 8 + 4, "448x252 and its stamp"
    assert pictures < play["input_tokens"] < pictures + 4 * (3 * 1500 + 3 * 300)
    assert (facts["model_calls"], facts["output_tokens"]) == (16, 4 * 60 + 4 * 900)


def test_a_price_that_is_not_known_is_said_so(tmp_path: Path) -> None:
    facts = figures(tmp_path)
    assert [(row["cost"], row["note"]) for row in facts["models"]] == [(None, "unknown price")] * 2
    assert facts["cost"] == f"$0.00 and what is not known of {NAME}"
    facts = figures(tmp_path, prices={NAME: {"input": 1000, "output": 0}}, budget={"max_cost": 5})
    assert sum(row["cost"] for row in facts["models"]) == pytest.approx(facts["input_tokens"] / 1000)
    assert "not known" not in facts["cost"] and facts["budget"] == "max_cost 5"


def test_expected_items_follow_the_paper_on_request(tmp_path: Path) -> None:
    assert set(figures(tmp_path)["expected_items"].values()) == {4}
    expected = _reaching(BuildRecipe.model_validate(values(tmp_path, expected_retention="paper")), 147_245)
    assert list(expected) == ["source", "filter", "verify", "segment", "render", "solve", "select", "dataset", "rl"]
    assert list(expected.values()) == [147_245, 147_245, 65_594, 48_457, 41_083, 40_929, 34_200, 34_200, 4_100]


def test_assumptions_stand_under_the_figures(tmp_path: Path) -> None:
    shown = plan(tmp_path, expected_retention={"filter": 0.5}).stdout
    assert "kept, as the recipe expects: filter 0.5" in shown
    assert "a video: fills every limit of frames" in shown and "ceil(w/32)" in shown
