"""select's tries: a judge, removal tests, open rewriting; thresholds that change replay none of them."""

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from pydantic import ValidationError
from servers.loopback import Refused
from servers.openai_server import Called, ChatServer, Request, Said
from servers.openai_server import Reply as Answer

from seekerdata.build import BuildRecipe, build
from seekerdata.dataset import rl_row
from seekerdata.errors import ItemError
from seekerdata.plan import estimate
from seekerdata.rollout import Conversation, Policy, Reply
from seekerdata.sample import Sample, digest
from seekerdata.shards import read
from seekerdata.stage import Drop, Item
from seekerdata.stages.select import Draw, Select
from seekerdata.visual_prompt import VisualPrompt
from seekerdata.workspace import Workspace

NAME = "openai-api/local/any"
PHRASE = "the target in the highlighted box"
TESTS = ["no_mark", "no_crops", "text_only", "one_frame"]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")
    monkeypatch.setattr("seekerdata.judge._CACHE", {})


@pytest.fixture
def workspace(tmp_path: Path, clip_path: Path) -> Workspace:
    return Workspace(root=tmp_path, video_root=clip_path.parent)


@pytest.fixture
def marked(sample: Sample, workspace: Workspace) -> Sample:
    """The sample with a grey frame and the same frame with a red mark."""
    raw = np.full((64, 96, 3), 90, np.uint8)
    canvas = raw.copy()
    canvas[20:40, 30:60] = (255, 0, 0)
    files = {"image": workspace.write_frame(canvas), "raw_image": workspace.write_frame(raw)}
    mark = VisualPrompt(time_s=9.0, shape="rectangle", colour="red", phrase=PHRASE, box_xyxy=(30, 20, 60, 40), **files)
    return sample.model_copy(update={"visual_prompts": (mark,)})


def red(jpeg: bytes) -> bool:
    """Whether a picture carries the mark."""
    rgb = np.asarray(PIL.Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
    return bool((rgb[..., 0] - rgb[..., 1] > 120).any())


def process(server: ChatServer, sample: Sample, workspace: Workspace, task: str = "rl", **changes: Any) -> Item:
    model = {"model": NAME, "base_url": server.url, "retries": 0}
    policy = {"policy": {"use": "model", "model": model}} if "removal_policy" not in changes else {}
    named = {name: model for name in ("judge", "open_ended") if changes.pop(name, False)}
    values = {"rollout": {"overview_max_frames": 3}, **policy, **named, **changes}
    done = Select.model_validate(values).process(Item(sample=sample), workspace, task)
    assert isinstance(done, Item)
    return done


def facts(item: Item) -> dict[str, Any]:
    return item.sample.provenance["select"]


def test_each_removal_takes_away_what_it_says(marked: Sample, workspace: Workspace) -> None:
    def script(request: Request) -> Answer:
        if "view_visual_prompt" in request.tools and request.replies == 0:
            return Said("<think>x</think>", (Called("view_visual_prompt", {"frame_path": "prompt_1"}),))
        if request.replies == 1:
            crop = {"video_path": "video", "start_time": 1, "end_time": 2}
            return Said("<think>x</think>", (Called("crop_video", crop),))
        return Said("<think>x</think><answer>white</answer>")

    seen = {}
    for name in TESTS:
        with ChatServer(script) as server:
            item = process(server, marked, workspace, task="sft", removal_tests=[name])
            assert facts(item)["removal"]["tests"][name]["pass_rate"] == 1.0
            assert facts(item)["removal"]["asked"] == "open"
            last = server.requests[-1]
            pictures = last.images
            seen[name] = (len(server.requests), last.tools, len(pictures), sum(map(red, pictures)))
            refused = "there is no tool 'crop_video'" in last.text
            assert refused is (name == "no_crops") and ("not shown the video" in last.text) is (name == "text_only")
    both = ["crop_video", "view_visual_prompt"]
    assert seen == {
        "no_mark": (3, both, 3 + 1 + 4, 0),
        "no_crops": (3, ["view_visual_prompt"], 3 + 1, 1),
        "text_only": (1, [], 0, 0),
        "one_frame": (1, [], 1, 1),
    }


def test_the_tests_may_have_a_policy_of_their_own(marked: Sample, workspace: Workspace) -> None:
    with ChatServer(lambda request: Said("<answer>white</answer>")) as server:
        model = {"model": NAME, "base_url": server.url, "retries": 0, "temperature": 0.5}
        settings = {"removal_policy": {"use": "model", "model": model}, "removal_tests": ["text_only"], "removal_k": 3}
        item = process(server, marked, workspace, **settings)
        assert len(server.requests) == 3 and not any("A. red" in request.text for request in server.requests)
    removal = facts(item)["removal"]
    assert (removal["asked"], removal["tests"]["text_only"]["passes"]) == ("open", 3)
    assert removal["policy"]["model"]["temperature"] == 0.5 and "pass_rate" not in facts(item)


JUDGED = {"by": "pass_at_k", "k": 2, "judge": True}


def test_a_judge_counts_what_words_cannot(marked: Sample, workspace: Workspace) -> None:
    said = iter(["a pale square", "something blue"])

    def script(request: Request) -> Answer:
        if request.schema:
            return Said(json.dumps({"score": 1 if "pale" in request.text else 0.5, "reason": "so"}))
        return Said(f"<answer>{next(said)}</answer>")

    with ChatServer(script) as server:
        tried = facts(process(server, marked, workspace, **JUDGED))
    assert (tried["passes"], tried["pass_rate"], tried["usage"]["calls"]) == (1, 0.5, 2)
    assert (tried["judge"]["calls"], tried["judge"]["model"]) == (2, NAME) and tried["judge"]["prompt"]


@pytest.mark.parametrize("fault", [Refused(500), Said("Partly.")])
def test_a_judge_that_fails_is_no_rate(fault: Answer, marked: Sample, workspace: Workspace) -> None:
    def script(request: Request) -> Answer:
        return fault if request.schema else Said("<answer>a pale square</answer>")

    with ChatServer(script) as server, pytest.raises(ItemError) as caught:
        process(server, marked, workspace, **JUDGED)
    assert (caught.value.code, caught.value.retryable) == ("judge_failed", True)


def test_a_question_that_needs_its_options_is_tested_with_them(marked: Sample, workspace: Workspace) -> None:
    choice = marked.model_copy(update={"question": f"Which of these is {PHRASE}?"})
    with ChatServer(lambda request: Said("<answer>B</answer>")) as server:
        item = process(server, choice, workspace, task="sft", removal_tests=["text_only"])
        assert "B. white" in server.requests[0].text
    removal = facts(item)["removal"]
    assert (removal["asked"], removal["tests"]["text_only"]["passes"]) == ("choice", 1)


OPEN = f"What is {PHRASE}?"


def test_a_rewritten_question_is_what_is_tried(marked: Sample, workspace: Workspace) -> None:
    choice = marked.model_copy(update={"question": f"Which of the following is {PHRASE}?"})

    def script(request: Request) -> Answer:
        verdict = {"is_open": True, "reason": "so", "question": OPEN}
        return Said(json.dumps(verdict)) if request.schema else Said("<answer>white</answer>")

    with ChatServer(script) as server:
        item = process(server, choice, workspace, by="pass_at_k", k=1, open_ended=True)
        assert f"Question: {OPEN}" in server.requests[-1].text and "following" not in server.requests[-1].text
    assert facts(item)["pass_rate"] == 1.0
    assert facts(item)["open_question"] == {
        "question": OPEN, "reason": "so", "model": NAME, "prompt": facts(item)["open_question"]["prompt"],
        "calls": 1, "input_tokens": 100, "output_tokens": 10,
    }  # fmt: skip
    assert item.sample.question == choice.question and item.sample.options == choice.options


REFUSING = [
    (Said(json.dumps({"is_open": False, "reason": "all differ", "question": ""})), 1, "reason", "all differ"),
    (Said("Which of the following?"), 2, "fault", "bad_verdict: "),
    (Said(None, finish="content_filter"), 1, "fault", "model_refused: "),
]


@pytest.mark.parametrize(("reply", "asked", "where", "why"), REFUSING)
def test_a_question_that_cannot_be_asked_openly_is_an_sft_row(
    reply: Answer, asked: int, where: str, why: str, marked: Sample, workspace: Workspace
) -> None:
    choice = marked.model_copy(update={"question": f"Which of the following is {PHRASE}?"})
    select = Select.model_validate({"open_ended": NAME, "rl_share": 1.0})
    with ChatServer(lambda request: reply) as server:
        item = process(server, choice, workspace, by="pass_at_k", open_ended=True)
        assert len(server.requests) == asked, "and no try"
    assert facts(item)["open_question"][where].startswith(why) and facts(item)["open_question"]["model"] == NAME
    decided = select.decide(item, Draw(("sft", "rl")))
    assert isinstance(decided, Item) and decided.sets == ("sft",)
    assert Select().may_open(choice) is False and select.may_open(choice) is True


def test_a_rewriter_that_does_not_answer_is_asked_again(marked: Sample, workspace: Workspace) -> None:
    choice = marked.model_copy(update={"question": f"Which of the following is {PHRASE}?"})
    with ChatServer(lambda request: Refused(500)) as server, pytest.raises(ItemError) as caught:
        process(server, choice, workspace, by="pass_at_k", open_ended=True)
    assert (caught.value.code, caught.value.retryable) == ("model_failed", True)


def test_the_row_has_both_questions(run: Path) -> None:
    lines = [json.loads(line)["output"] for line in (run / "select.jsonl").read_text().splitlines()]
    item = next(i for i in map(Item.model_validate, lines) if "rl" in i.sets and i.sample.options)
    workspace = Workspace(root=run, video_root=run / "videos")
    plain = rl_row(item, workspace, "reference")
    assert plain["question"] == plain["choice_question"] == item.sample.question
    assert plain["options"] == list(item.sample.options) and plain["answer"] == item.sample.answer_text
    noted = item.sample.noted("select", open_question={"question": OPEN})
    changed = item.model_copy(update={"sample": item.sample.model_copy(update={"provenance": noted})})
    row = rl_row(changed, workspace, "reference")
    assert (row["question"], row["choice_question"]) == (OPEN, item.sample.question)
    assert OPEN in json.dumps(row["prompt"]) and item.sample.question not in json.dumps(row["prompt"])


PLAYED: list[str] = []


class Careful(Policy):
    """Right in the first few tries; without any frame it is right by guess for some questions. Reads the answer."""

    attempt: int = 0

    def trying(self, attempt: int) -> Policy:
        return self.model_copy(update={"attempt": attempt})

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        PLAYED.append(sample.id)
        luck = int(digest(sample.id), 16)
        right = self.attempt < luck % 5 if conversation.turns[1].images else bool(luck % 2)
        return Reply(text=f"<answer>{sample.answer if right else 'a unicorn'}</answer>", usage={"calls": 1})


def recipe(out: Path, **select: Any) -> BuildRecipe:
    source = {"use": "world", "level": 1, "videos": 6, "questions_per_video": 2}
    settings = {"by": "pass_at_k", "policy": Careful(), "removal_tests": ["text_only"], **select}
    values = {"name": "t", "out": out, "filter": {"by": "rules", "allow": ["counting"]}, "engine": {"workers": 1}}
    return BuildRecipe.model_validate({**values, "source": source, "select": settings})


def outcome(out: Path) -> dict[str, tuple[str, str, Any]]:
    lines = [json.loads(line) for line in (out / "select.jsonl").read_text().splitlines()]
    return {row["id"]: (row["status"], row["reason"], row["output"] and row["output"]["sets"]) for row in lines}


def bytes_of(out: Path) -> dict[str, str]:
    files = sorted(p for p in (out / "dataset").rglob("*.parquet"))
    return {p.name + p.parent.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


CHANGES = [
    {"low": 0.5, "high": 1.0},
    {"drop_if_right": {"text_only": 1.0}},
    {"most_per": {"rl": {"dimension": 2}, "sft": {"shape": 1}}},
    {"drop_duplicates": False},
]


def test_changed_thresholds_replay_nothing(tmp_path: Path) -> None:
    PLAYED.clear()
    build(recipe(tmp_path / "out"))
    assert PLAYED
    before = bytes_of(tmp_path / "out")
    for n, change in enumerate(CHANGES):
        PLAYED.clear()
        report = build(recipe(tmp_path / "out", **change))
        told = set(PLAYED)
        PLAYED.clear()
        shutil.copytree(tmp_path / "out" / "videos", tmp_path / f"fresh{n}" / "videos")
        build(recipe(tmp_path / f"fresh{n}", **change))
        assert outcome(tmp_path / "out") == outcome(tmp_path / f"fresh{n}")
        assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / f"fresh{n}")
        if "drop_duplicates" not in change:
            assert not told and report.stages[-1]["made"] <= len(outcome(tmp_path / "out"))
        else:
            assert len(told) < len(set(PLAYED)), "only rows that were not tried before"
    PLAYED.clear()
    build(recipe(tmp_path / "out"))
    assert not PLAYED and bytes_of(tmp_path / "out") == before


def test_rows_that_words_alone_answer_are_dropped(tmp_path: Path) -> None:
    report = build(recipe(tmp_path, drop_if_right={"text_only": 1.0}))
    rows = outcome(tmp_path)
    for name, (status, reason, _) in rows.items():
        if status == "dropped" and not reason.startswith("duplicate"):
            assert int(digest(name), 16) % 2 and reason == "right_text_only: in 1 of 1 tries"
        elif status == "kept":
            assert not int(digest(name), 16) % 2
    assert report.stages[-1]["reasons"]["right_text_only"] > 0


def test_the_dataset_says_what_was_right_without(tmp_path: Path) -> None:
    build(recipe(tmp_path))
    rates = {row["id"]: row["right_text_only"] for row in read(tmp_path / "dataset", "sft")}
    assert set(rates.values()) == {0.0, 1.0}
    for config in ("qa", "rl"):
        for row in read(tmp_path / "dataset", config):
            assert row["right_text_only"] == rates.get(row["id"]) and row["right_no_mark"] is None


def test_a_test_that_fails_is_a_failed_row_and_asked_again(tmp_path: Path) -> None:
    broken = [True]

    def script(request: Request) -> Answer:
        return Refused(500) if broken[0] else Said("<answer>x</answer>")

    with ChatServer(script) as server:
        model = {"model": NAME, "base_url": server.url, "retries": 0, "concurrency": 1}
        chosen = recipe(tmp_path, by="share", policy={"use": "model", "model": model})
        failed = build(chosen).stages[-1]
        assert failed["kept"] == 0 and failed["failed"] > 0 and set(failed["reasons"]) <= {"model_failed", "duplicate"}
        broken[0] = False
        mended = build(chosen).stages[-1]
    assert (mended["failed"], mended["kept"], mended["made"]) == (0, failed["failed"], failed["failed"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"removal_tests": ["text_only"]}, "need a policy"),
        ({"removal_tests": ["no_sound"]}, "no_mark"),
        ({"policy": "random", "removal_tests": ["no_mark"], "drop_if_right": {"text_only": 1}}, "not among"),
        ({"removal_policy": "random"}, "no removal_tests"),
        ({"judge": NAME}, "nobody tries"),
        ({"overlap": "drop"}, "needs benchmarks"),
    ],
)
def test_mistakes_in_a_recipe_are_named(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Select(**settings)


def test_plan_counts_everything_that_is_asked(tmp_path: Path) -> None:
    policy = {"use": "model", "model": NAME}
    settings = {"policy": policy, "k": 3, "judge": NAME, "open_ended": NAME, "removal_k": 2, "removal_tests": TESTS}
    plan = estimate(recipe(tmp_path, **settings))
    rows = {row["role"]: row for row in plan["models"]}
    items = plan["items"]
    assert rows["select.policy.model"]["calls"] == items * (3 * 3 + 2 * (3 + 2 + 1 + 1))
    assert rows["select.judge"]["calls"] == items * (3 + 2 * 4) and rows["select.open_ended"]["calls"] == items
    apart = estimate(recipe(tmp_path, **settings, removal_policy=policy))
    calls = {row["role"]: row["calls"] for row in apart["models"]}
    assert calls["select.policy.model"] == items * 9 and calls["select.removal_policy.model"] == items * 14


def test_a_dropped_row_asks_nothing() -> None:
    select = Select.model_validate({"policy": "random", "removal_tests": ["text_only"]})
    assert select.tasks(Drop(reason="duplicate: of x"))[0] == "" and select.tasks(Draw())[0] == "sft"
