"""select: quotas, and rl rows by how often a policy answers right, in a build that is killed and goes on."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from seekerdata.build import BuildRecipe, Report, build
from seekerdata.dataset import features
from seekerdata.errors import ItemError, SeekerError
from seekerdata.models import ModelRole
from seekerdata.plan import estimate
from seekerdata.policies.model import Model
from seekerdata.policies.random import Random
from seekerdata.rollout import Conversation, Policy, Reply
from seekerdata.sample import Sample, VideoRef, digest
from seekerdata.shards import read
from seekerdata.stage import Drop, Item
from seekerdata.stages.select import Select
from seekerdata.trajectory import ToolCall

PLAYED: list[tuple[str, int]] = []
"""Sample id and try of every play that `Sometimes` ended."""

FAULTS: dict[int, Exception] = {}
"""What goes wrong, once, after so many plays."""


class Sometimes(Policy):
    """Looks once, then is right in the first few tries; how many is drawn by the question. Reads the answer."""

    attempt: int = 0

    def trying(self, n: int) -> Policy:
        return self.model_copy(update={"attempt": n})

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        assert not sample.options, "asked openly"
        if conversation.rounds == 0:
            arguments = {"frame_path": conversation.prompt_names[0]}
            return Reply(text="", tool_calls=(ToolCall(id="call_1", name="view_visual_prompt", arguments=arguments),))
        assert conversation.turns[-1].images, "the real tools answered"
        if len(PLAYED) in FAULTS:
            raise FAULTS.pop(len(PLAYED))
        PLAYED.append((sample.id, self.attempt))
        right = self.attempt < passes(sample.id)
        return Reply(text=f"<answer>{sample.answer if right else 'a unicorn'}</answer>", usage={"calls": 1})


def passes(name: str) -> int:
    return int(digest(name), 16) % 5


def items(count: int = 40) -> list[Item]:
    """Rows about different videos, of two dimensions and two origins."""
    return [
        Item(
            sample=Sample(
                id=f"q{n}",
                video=VideoRef(
                    path="a.mp4", sha256=f"{n}", duration_s=9, size_wh=(9, 9), fps=9, origin=("web", "own")[n % 4 == 0]
                ),
                question="What colour is it?",
                answer="red",
                dimension=("OA", "HA")[n % 2],
            )
        )
        for n in range(count)
    ]


def in_set(assigned: dict[str, Any], name: str) -> list[int]:
    return [int(key[1:]) for key, value in assigned.items() if not isinstance(value, Drop) and name in value.sets]


def test_a_quota_drops_the_rows_beyond_it() -> None:
    select = Select(most_per={"sft": {"dimension": 8, "origin": 7}}, rl_share=1.0)
    assigned = select.assign(items())
    rows = in_set(assigned, "sft")
    assert sum(n % 2 == 1 for n in rows) <= 8 and sum(n % 2 == 0 for n in rows) <= 8
    assert sum(n % 4 == 0 for n in rows) <= 7 and sum(n % 4 != 0 for n in rows) == 7
    reasons = {value.reason for value in assigned.values() if isinstance(value, Drop)}
    assert reasons <= {
        *(f"quota: 8 rows of dimension '{name}' are enough" for name in ("OA", "HA")),
        *(f"quota: 7 rows of origin '{name}' are enough" for name in ("web", "own")),
    }
    assert select.assign(items()[::-1]) == assigned


def test_a_quota_of_rl_drops_nothing() -> None:
    assigned = Select(most_per={"rl": {"dimension": 3}}, rl_share=1.0).assign(items())
    rows = in_set(assigned, "rl")
    assert len(in_set(assigned, "sft")) == 40
    assert [sum(n % 2 == odd for n in rows) for odd in (0, 1)] == [3, 3]
    assert len(in_set(Select(most_per={"rl": {"dimension": 3}}, rl_share=0.1).assign(items()), "rl")) == 4


def test_without_quotas_the_share_is_drawn_by_hash() -> None:
    drawn = sorted(digest([0, "rl", f"q{n}"]) for n in range(40))[:5]
    assert {digest([0, "rl", f"q{n}"]) for n in in_set(Select().assign(items()), "rl")} == set(drawn)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"by": "pass_at_k"}, "needs a policy"),
        ({"policy": "random"}, "say by: pass_at_k"),
        ({"low": 0.8}, "no row could be between"),
        ({"by": "pass_at_k", "policy": "randon"}, "did you mean 'random'"),
        ({"most_per": {"rl": {"colour": 3}}}, "dimension"),
        ({"most_per": {"rl": {"shape": -3}}}, "greater than or equal to 0"),
    ],
)
def test_mistakes_in_a_recipe_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Select(**settings)


def test_tries_differ_by_seed() -> None:
    assert [Random(seed=5).trying(n) for n in range(2)] == [Random(seed=5), Random(seed=6)]
    model = Model(model=ModelRole(model="mockllm/model", temperature=0.7))
    tries = [model.trying(n) for n in range(3)]
    seeds = [each.model.seed for each in tries if isinstance(each, Model)]
    assert seeds == [None, 1, 2], "the first try is the recipe's own"
    assert model.model.seed is None


def recipe(out: Path, **select: Any) -> BuildRecipe:
    values = {"name": "t", "out": out, "filter": {"by": "rules", "allow": ["counting"]}, "engine": {"workers": 1}}
    source = {"use": "world", "level": 1, "videos": 6, "questions_per_video": 2}
    settings = {"by": "pass_at_k", "policy": Sometimes(), **select}
    return BuildRecipe.model_validate({**values, "source": source, "select": settings})


def selected(out: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "select.jsonl").read_text().splitlines()]
    return {line["id"]: line["output"] for line in lines if line["status"] == "kept"}


def made(report: Report) -> int:
    return report.stages[-1]["made"]


def test_rows_that_are_sometimes_right_train_by_reward(tmp_path: Path) -> None:
    PLAYED.clear()
    report = build(recipe(tmp_path))
    rows = selected(tmp_path)
    tried = {
        name: row["sample"]["provenance"]["select"]
        for name, row in rows.items()
        if "select" in row["sample"]["provenance"]
    }
    assert len(PLAYED) == 4 * len(tried) > 0
    for name, facts in tried.items():
        assert facts["pass_rate"] == min(passes(name), 4) / 4 and facts["k"] == 4
        assert facts["stops"] == {"answered": 4} and facts["usage"] == {"calls": 4}
        assert ("rl" in rows[name]["sets"]) == (1 <= passes(name) <= 3)
    assert 0 < report.rows["rl"] < len(tried), "some are too hard or too easy"
    for row in read(tmp_path / "dataset", "rl"):
        assert row["pass_rate"] == passes(row["id"]) / 4 and row["pass_k"] == 4


def test_a_stopped_selection_repeats_at_most_the_question_under_way(tmp_path: Path) -> None:
    PLAYED.clear()
    build(recipe(tmp_path / "whole"))
    whole = sorted(PLAYED)
    PLAYED.clear()
    FAULTS[8] = SeekerError("a wrong key")
    with pytest.raises(SeekerError, match="a wrong key"):
        build(recipe(tmp_path / "out"))
    build(recipe(tmp_path / "out"))
    assert set(PLAYED) == set(whole)
    assert {name for (name, _), times in Counter(PLAYED).items() if times > 1} <= {PLAYED[8][0]}
    assert selected(tmp_path / "out") == selected(tmp_path / "whole")


def test_a_try_that_did_not_happen_is_not_a_wrong_one(tmp_path: Path) -> None:
    PLAYED.clear()
    FAULTS[8] = ItemError("model_failed", "no reply", retryable=True)
    build(recipe(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "select.jsonl").read_text().splitlines()]
    (failed,) = [line for line in lines if line["status"] == "failed"]
    assert failed["reason"] == "model_failed: no reply"
    assert made(build(recipe(tmp_path))) == 1, "only this question is tried again"
    rate = selected(tmp_path)[failed["id"]]["sample"]["provenance"]["select"]["pass_rate"]
    assert rate == min(passes(failed["id"]), 4) / 4


def test_a_second_build_tries_nothing(tmp_path: Path) -> None:
    build(recipe(tmp_path))
    PLAYED.clear()
    assert made(build(recipe(tmp_path))) == 0 and PLAYED == []


def test_a_policy_that_knows_nothing_gives_no_rl_rows(tmp_path: Path) -> None:
    assert build(recipe(tmp_path, policy="random", k=2)).rows["rl"] == 0
    rates = [row["sample"]["provenance"].get("select", {}).get("pass_rate") for row in selected(tmp_path).values()]
    assert set(rates) <= {0.0, None} and 0.0 in rates


def test_a_drawn_share_has_no_rate(run: Path) -> None:
    assert {"pass_rate", "pass_k"} <= set(features("rl"))
    assert all(row["pass_rate"] is None and row["pass_k"] is None for row in read(run / "dataset", "rl"))


def test_plan_counts_the_tries_of_a_model(tmp_path: Path) -> None:
    policy = {"use": "model", "model": "openai-api/local/student"}
    plan = estimate(recipe(tmp_path, policy=policy, k=3))
    assert plan["model_calls"] == plan["items"] * 3 * 3
    assert estimate(recipe(tmp_path))["model_calls"] == 0
