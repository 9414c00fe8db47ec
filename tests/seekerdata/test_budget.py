"""budget: a run stops before it spends more, keeps and resumes what it paid for, and counts what was dropped too."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from servers.loopback import Refused
from servers.openai_server import Called, ChatServer, Request, Said, in_turn
from servers.openai_server import Reply as Answer
from typer.testing import CliRunner

from seekerdata.build import BuildRecipe, build
from seekerdata.cli import app
from seekerdata.errors import SeekerError
from seekerdata.ledger import Ledger
from seekerdata.usage import Usage

NAME = "openai-api/local/any"
GOOD = Said(json.dumps({"is_valid": True, "category": "none", "reason": "good"}))
BAD = Said(json.dumps({"is_valid": False, "category": "other", "reason": "bad"}))
"""Each reply of the server takes 100 + 10 tokens."""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")


def values(out: Path, url: str, budget: dict[str, float], **changes: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "out": str(out),
        "source": {"use": "world", "level": 1, "videos": 6, "questions_per_video": 1},
        "filter": {"by": "model", "model": {"model": NAME, "base_url": url, "retries": 0}},
        "engine": {"workers": 1},
        "budget": budget,
        **changes,
    }


def run(out: Path, url: str, budget: dict[str, float], **changes: Any) -> Any:
    return build(BuildRecipe.model_validate(values(out, url, budget, **changes)))


def spent(out: Path) -> list[Usage]:
    ledger = Ledger(out / "run.db")
    try:
        return ledger.spent()
    finally:
        ledger.close()


@pytest.mark.parametrize(
    ("budget", "words", "calls"),
    [
        ({"max_calls": 2}, "2 calls of max_calls 2", 2),
        ({"max_tokens": 250}, "330 tokens of max_tokens 250", 3),
        ({"max_cost": 0.35}, r"\$0.36 of max_cost \$0.35", 3),
        ({"max_calls": 0}, "0 calls of max_calls 0", 0),
    ],
)
def test_a_run_stops_at_its_budget_and_goes_on_with_a_larger_one(
    tmp_path: Path, budget: dict[str, float], words: str, calls: int
) -> None:
    prices = {NAME: {"input": 1000, "output": 2000}}
    with ChatServer(in_turn(BAD, GOOD)) as server:
        for _ in range(2):  # the same command again pays nothing more
            with pytest.raises(SeekerError, match=words):
                run(tmp_path, server.url, budget, prices=prices)
            assert len(server.requests) == calls
        report = run(tmp_path, server.url, {"max_calls": 6})
        assert report.complete and len(server.requests) == 6, "nothing is paid twice"
    assert [(stage["kept"], stage["dropped"]) for stage in report.stages[:2]] == [(6, 0), (5, 1)]
    assert spent(tmp_path) == [Usage(NAME, 6, 600, 60)]


def test_a_budget_that_is_just_enough_stops_nothing(tmp_path: Path) -> None:
    with ChatServer(in_turn(GOOD)) as server:
        assert run(tmp_path, server.url, {"max_calls": 6}).complete
        assert run(tmp_path, server.url, {"max_calls": 1}).complete, "nothing is left to pay for"


def test_failed_calls_repairs_and_plays_count(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def script(request: Request) -> Answer:
        if request.schema is None:
            return Said("<think>I see.</think><answer>nothing</answer>", usage=(1000, 1))
        seen["filter"] += 1
        return {1: Refused(500), 2: Said("hm")}.get(seen["filter"], GOOD)

    with ChatServer(script) as server:
        model = {"model": NAME, "base_url": server.url, "retries": 0}
        teacher = {"by": {"use": "model", "model": {**model, "model": "openai-api/local/teacher"}}}
        run(tmp_path, server.url, {}, solve=teacher)
        assert spent(tmp_path) == [Usage(NAME, 7, 600, 60), Usage("openai-api/local/teacher", 5, 5000, 5)]
        run(tmp_path, server.url, {}, solve=teacher)  # the failed one again: its attempts add up
        assert spent(tmp_path)[0] == Usage(NAME, 8, 700, 70)


def test_several_processes_keep_all_they_paid_for(tmp_path: Path) -> None:
    with ChatServer(in_turn(GOOD)) as server:
        source = {"use": "world", "level": 1, "videos": 6, "questions_per_video": 1}
        with pytest.raises(SeekerError, match="the budget is spent at filter"):
            run(tmp_path, server.url, {"max_calls": 1}, source=source, engine={"workers": 2})
        paid = len(server.requests)
        assert paid == 1, "an item whose cost is not known goes alone"
        assert spent(tmp_path)[0].calls == paid
        run(tmp_path, server.url, {}, source=source)
        assert len(server.requests) == 6, "nothing is paid twice"


def test_items_under_way_are_expected_to_cost_what_those_before_them_did(tmp_path: Path) -> None:
    """Eight at once, three calls each; without foresight the last eight would all be handed out at the limit's edge."""

    def script(request: Request) -> Answer:
        return GOOD if request.schema else Said("<think>Once more.</think>", calls=(Called("view_visual_prompt"),))

    with ChatServer(script) as server:
        model = {"model": NAME, "base_url": server.url, "concurrency": 8}
        source = {"use": "world", "level": 1, "videos": 16, "questions_per_video": 1}
        solve = {"by": {"use": "model", "model": model}, "rollout": {"max_rounds": 2}}
        with pytest.raises(SeekerError, match="36 calls of max_calls 36"):
            run(tmp_path, server.url, {"max_calls": 36}, source=source, filter="rules", solve=solve)
        assert len(server.requests) == 36 == spent(tmp_path)[0].calls


def test_ranks_add_up(tmp_path: Path) -> None:
    with ChatServer(in_turn(GOOD)) as server:
        recipe = BuildRecipe.model_validate(values(tmp_path, server.url, {}))
        for rank in range(2):
            build(recipe, rank, 2)
        build(recipe)
    assert spent(tmp_path) == [Usage(NAME, 6, 600, 60)]


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    with ChatServer(in_turn(GOOD)) as server:
        (tmp_path / "r.yaml").write_text(json.dumps(values(tmp_path / "run", server.url, {"max_calls": 1})))
        done = CliRunner().invoke(app, ["build", str(tmp_path / "r.yaml")])
    assert done.exit_code == 2
    assert done.stderr.startswith("the budget is spent at filter: 1 calls of max_calls 1; finished work is kept")
    assert len(done.stderr.splitlines()) == 1


def test_a_cost_limit_needs_every_price(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=f"max_cost needs prices for {NAME}"):
        BuildRecipe.model_validate(values(tmp_path, "http://x/v1", {"max_cost": 1}))
