"""plan: what a build with models would take, every model asked once, and nothing assumed in silence."""

import json
from pathlib import Path
from typing import Any

import pytest
from servers.openai_server import ChatServer, Refused, Request, Said, in_turn
from servers.openai_server import Reply as Answer
from typer.testing import CliRunner

from seekerdata.build import BuildRecipe
from seekerdata.cli import app
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
