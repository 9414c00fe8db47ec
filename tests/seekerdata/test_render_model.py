"""render by a model: the phrase reads well and nothing else changes; every check with its repair, no answer shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from servers.loopback import Refused
from servers.openai_server import ChatServer, Request, Said, in_turn
from servers.openai_server import Reply as Answer

from seekerdata.build import BuildRecipe, build
from seekerdata.errors import ItemError
from seekerdata.instance import Instance, Sighting, encode_mask
from seekerdata.plan import ask_models, estimate
from seekerdata.prompts import RENDER, Prompt
from seekerdata.reference import put_phrase
from seekerdata.rewrite import check_phrase
from seekerdata.sample import Sample, Target
from seekerdata.stage import Item
from seekerdata.stages import render as stage_file
from seekerdata.stages.render import Render
from seekerdata.verdict import PhraseVerdict
from seekerdata.workspace import Workspace

NAME = "openai-api/local/any"
PHRASE = "the target in the highlighted box"
ASKED = "What colour is <vp>'s hat, and does it touch the box?"
GOOD = "What colour is the hat of the target in the highlighted box, and does it touch the box?"
OPTIONS = ("Red.", "<vp> has no hat.", "Blue", "White")
REFINED = ["Red.", "The target in the highlighted box has no hat.", "Blue", "White"]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")


@pytest.fixture
def marked(sample: Sample) -> Sample:
    """A sample whose target is found in the clip."""
    mask = np.zeros((64, 96), bool)
    mask[20:50, 30:60] = True
    sighting = Sighting(time_s=9.0, box_xyxy=(30, 20, 60, 50), mask=encode_mask(mask))
    target = Target(
        tag="bearded SECRET man",
        description="the man",
        reason="SECRET",
        mark_s=9.0,
        vp_question=ASKED,
        vp_options=OPTIONS,
    )
    update = {"target": target, "instance": Instance(tag="SECRET", sightings=(sighting,)), "answer": "D"}
    return sample.model_copy(update={**update, "question": "SECRET?", "options": ("SECRET",) * 4})


def said(question: str = GOOD, options: Any = REFINED, **more: Any) -> Said:
    return Said(json.dumps({"question": question, "options": options, **more}))


def process(server: ChatServer, sample: Sample, videos: Path, out: Path) -> Sample:
    model = {"model": NAME, "base_url": server.url, "retries": 0}
    stage = Render.model_validate({"by": "model", "model": model, "shapes": ["rectangle"]})
    done = stage.process(Item(sample=sample), Workspace(root=out, video_root=videos), 0)
    assert isinstance(done, Item)
    return done.sample


def test_the_phrase_is_in_and_what_it_took_is_noted(marked: Sample, clip_path: Path, tmp_path: Path) -> None:
    with ChatServer(in_turn(said())) as server:
        done = process(server, marked, clip_path.parent, tmp_path)
    assert (done.question, list(done.options), done.answer) == (GOOD, REFINED, "D")
    assert done.text_question == "SECRET?" and done.visual_prompts[0].phrase == PHRASE
    cost = {"model": NAME, "prompt": RENDER.hash, "calls": 1, "input_tokens": 100, "output_tokens": 10}
    assert done.provenance == {"render": {"by": "model", "shape": "rectangle"} | cost}


def test_only_texts_and_phrase_are_sent(marked: Sample, clip_path: Path, tmp_path: Path) -> None:
    with ChatServer(in_turn(said())) as server:
        process(server, marked, clip_path.parent, tmp_path)
        process(server, marked.model_copy(update={"answer": "A"}), clip_path.parent, tmp_path)
    first, second = server.requests
    assert first.body == second.body, "the answer decides nothing that is sent"
    assert first.messages[0]["content"] == RENDER.text
    assert json.loads(first.messages[1]["content"]) == {"question": ASKED, "options": list(OPTIONS), "phrase": PHRASE}
    assert not first.images and "SECRET" not in first.text
    assert first.schema and set(first.schema["properties"]) == {"question", "options"}


FAULTY = {
    "prose": (Said("What colour is the hat?"), "not valid JSON"),
    "cut off": (Said('{"question": "What', finish="length"), "cut off"),
    "nothing": (Said(""), "not valid JSON"),
    "more keys": (said(answer="D"), "answer: "),
    "options as text": (said(options="Red."), "options: "),
    "fewer options": (said(options=REFINED[:3]), "options: there are 3, not 4"),
    "more options": (said(options=[*REFINED, "Green"]), "options: there are 5, not 4"),
    "other order": (said(options=[REFINED[n] for n in (2, 1, 0, 3)]), "options.0: it has no <vp> and is not"),
    "letters before options": (said(options=[f"A. {REFINED[0]}", *REFINED[1:]]), "options.0: it has no <vp>"),
    "a changed text without the mark": (said(options=["red", *REFINED[1:]]), "options.0: it has no <vp> and is"),
    "the mark stays": (said(ASKED), "question: <vp> still stands in it"),
    "no phrase": (said(GOOD.replace("the target in the highlighted box", "it")), "'target' is missing"),
    "half a phrase": (said(GOOD.replace("highlighted ", "")), "question: the phrase's word 'highlighted' is missing"),
    "a box too few": (said(GOOD.replace("touch the box", "touch")), "question: the phrase's word 'box' is missing"),
    "no phrase in an option": (said(options=["Red.", "It has no hat.", "Blue", "White"]), "options.1: the phrase's"),
    "a leak": (said(GOOD.replace("the target", "the target, the man,")), "question: the word 'man' tells what"),
    "a leak of the tag": (said(GOOD.replace("the target", "the bearded target")), "the word 'bearded' tells what"),
    "another word": (said(GOOD.replace("colour", "shade")), "question: other words than those of the phrase"),
    "a turned meaning": (said(GOOD.replace("does it", "does it not")), "question: other words than those"),
    "another order": (said(GOOD.replace("does it touch", "it does touch")), "question: its words stand in another"),
}


@pytest.mark.parametrize(("reply", "fault"), FAULTY.values(), ids=FAULTY.keys())
def test_a_fault_is_named_and_repaired_once(
    reply: Said, fault: str, marked: Sample, clip_path: Path, tmp_path: Path
) -> None:
    with ChatServer(in_turn(reply, said())) as server:
        facts = process(server, marked, clip_path.parent, tmp_path).provenance["render"]
    assert (facts["repaired"], facts["calls"], facts["input_tokens"]) == (True, 2, 200)
    assert fault in server.requests[1].messages[-1]["content"]


@pytest.mark.parametrize(
    ("answer", "code", "retryable", "calls"),
    [
        (FAULTY["a leak"][0], "bad_verdict", False, 2),
        (Said(None, finish="content_filter"), "model_refused", False, 1),
        (Refused(500), "model_failed", True, 1),
    ],
)
def test_what_stays_faulty_fails(
    answer: Answer, code: str, retryable: bool, calls: int, marked: Sample, clip_path: Path, tmp_path: Path
) -> None:
    with ChatServer(in_turn(answer)) as server, pytest.raises(ItemError) as caught:
        process(server, marked, clip_path.parent, tmp_path)
    assert (caught.value.code, caught.value.retryable, len(server.requests)) == (code, retryable, calls)
    assert code != "bad_verdict" or ("it said: {" in caught.value.message and "the man," in caught.value.message)


@pytest.mark.parametrize("shape", Render().shapes, ids=lambda shape: shape.plugin_name())
def test_what_the_template_writes_passes_for_every_shape(shape: Any, marked: Sample) -> None:
    phrase = shape.phrase.format(number=7)
    verdict = PhraseVerdict(
        question=put_phrase(ASKED, phrase), options=[put_phrase(option, phrase) for option in OPTIONS]
    )
    check_phrase(verdict, marked.target, phrase)
    if "7" in phrase:
        wrong = PhraseVerdict(question=verdict.question.replace("7", "8"), options=verdict.options)
        with pytest.raises(ValueError, match="'7' is missing"):
            check_phrase(wrong, marked.target, phrase)


def test_a_model_and_who_writes_must_agree() -> None:
    for wrong in ({"by": "model"}, {"by": "template", "model": NAME}):
        with pytest.raises(ValidationError, match="model"):
            Render.model_validate(wrong)


def test_a_changed_prompt_is_a_changed_rewriting(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprints() -> list[str]:
        return [Render().fingerprint(), Render.model_validate({"by": "model", "model": NAME}).fingerprint()]

    before = fingerprints()
    monkeypatch.setattr(stage_file, "RENDER", Prompt(RENDER.text + " "))
    after = fingerprints()
    assert before[0] == after[0] and before[1] != after[1]


def recipe(out: Path, **stages: Any) -> BuildRecipe:
    source = {"use": "world", "level": 1, "videos": 3, "questions_per_video": 1}
    stages |= {"filter": {"allow": ["counting"]}, "engine": {"workers": 1}}
    return BuildRecipe.model_validate(
        {
            "name": "t",
            "out": out,
            "source": source,
            "filter": {"allow": ["counting"]},
            "engine": {"workers": 1},
            **stages,
        }
    )


def rows(path: Path) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(row["status"] == "kept" for row in found), found
    return [row["output"]["sample"] for row in found]


def test_the_plan_counts_each_verdict_and_probes_both(tmp_path: Path) -> None:
    with ChatServer(in_turn(Said("OK"))) as server:
        asks = {"by": "model", "model": {"model": NAME, "base_url": server.url}}
        planned = recipe(tmp_path / "out", verify=asks, render=asks)
        assert estimate(planned)["model_calls"] == 3 * 2
        (answer,) = ask_models(planned)
    assert answer.roles == ("verify.model", "render.model") and not answer.error, "one model is asked once"
    assert [len(request.images) for request in server.requests] == [1]


def test_a_build_with_both_models_pays_nothing_twice(tmp_path: Path) -> None:
    build(recipe(tmp_path / "known"))
    known = {row["question"]: row["target"] for row in rows(tmp_path / "known/verify.jsonl")}

    def script(request: Request) -> Answer:
        fields = json.loads(request.messages[1]["content"] if not request.images else request.parts[-1]["text"])
        if "phrase" in fields:
            texts = [put_phrase(text, fields["phrase"]) for text in (fields["question"], *fields["options"])]
            return said(texts[0], texts[1:])
        target = known[fields["question"]]
        texts = {"question": target["vp_question"], "options": target["vp_options"], "reason": "seen"}
        decided = {"is_valid": True, "category": "none", "shape": "arrow", "description": target["description"]}
        start_s, end_s = target["window_s"]
        window = {"start_s": start_s, "end_s": min(end_s, fields["duration_s"])}
        return Said(json.dumps({**decided, **texts, "tag": f"the painted {target['tag']}", "window": window}))

    with ChatServer(script) as server:
        asks = {"by": "model", "model": {"model": NAME, "base_url": server.url, "retries": 0}}
        planned = recipe(tmp_path / "run", verify=asks, render=asks)
        report = build(planned)
        made = rows(tmp_path / "run/render.jsonl")
        assert report.rows["qa"] == len(made) == 3 and len(server.requests) == 6
        assert [sample["provenance"][stage]["calls"] for sample in made for stage in ("verify", "render")] == [1] * 6
        build(planned)
        assert len(server.requests) == 6
