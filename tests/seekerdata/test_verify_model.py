"""verify by a model: five steps in one verdict, every check with its repair, and no answer shown."""

import io
import json
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from pydantic import ValidationError
from servers.loopback import Refused
from servers.openai_server import ChatServer, Said, in_turn
from servers.openai_server import Reply as Answer

from seekerdata.errors import ItemError
from seekerdata.prompts import VERIFY, Prompt
from seekerdata.rewrite import replaced
from seekerdata.sample import Sample, Target
from seekerdata.stage import Drop, Item
from seekerdata.stages import verify as stage_file
from seekerdata.stages.verify import Verify
from seekerdata.verdict import kept
from seekerdata.workspace import Workspace

NAME = "openai-api/local/any"
QUESTION = "What does the man in the red coat give to the other man?"
OPTIONS = ("A cup.", "The man in the red coat gives nothing.", "A hat", "His  bag")
SAID = {
    "is_valid": True,
    "category": "none",
    "reason": "only one\nred coat",
    "description": "the man in the red coat",
    "tag": "man in a red coat",
    "window": {"start_s": 2.04, "end_s": 8},
    "question": "What does <vp> give to the other man?",
    "options": ["A cup.", "<vp> gives nothing.", "A hat", "His  bag"],
    "shape": "ellipse",
}
SHOWN = {"shown": "frames", "frames": 5}
REJECTED = {
    **SAID,
    **{"is_valid": False, "category": "ambiguous", "reason": "two red\ncoats", "description": "", "tag": ""},
    **{"window": None, "question": "", "options": [], "shape": "none"},
}


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")


@pytest.fixture
def asked(sample: Sample) -> Sample:
    target = Target(tag="SECRET", description="SECRET", reason="SECRET", evidence="SECRET", event_s=(4.0, 5.0))
    return sample.model_copy(update={"question": QUESTION, "options": OPTIONS, "answer": "C", "target": target})


def said(**changes: Any) -> Said:
    return Said(json.dumps({**SAID, **changes}))


def process(server: ChatServer, sample: Sample, folder: Path, **changes: Any) -> Item | Drop:
    model = {"model": NAME, "base_url": server.url, "retries": 0}
    stage = Verify.model_validate({"by": "model", "model": model, "max_frames": 5, **changes})
    return stage.process(Item(sample=sample), Workspace(root=folder, video_root=folder))


def test_a_kept_item_has_its_target_and_what_it_took(asked: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(said())) as server:
        done = process(server, asked, clip_path.parent)
    assert isinstance(done, Item)
    target = done.sample.target
    assert (target.tag, target.description, target.unique) == ("man in a red coat", "the man in the red coat", True)
    assert (target.window_s, target.reason, target.event_s) == ((2.0, 8.0), "only one red coat", (4.0, 5.0))
    assert target.vp_question == SAID["question"] and list(target.vp_options) == SAID["options"]
    cost = {"model": NAME, "prompt": VERIFY.hash, "calls": 1, "input_tokens": 100, "output_tokens": 10}
    assert done.sample.provenance == {"verify": {"by": "model", "recommended_shape": "ellipse", **SHOWN} | cost}
    untouched = (done.sample.question, done.sample.options, done.sample.answer)
    assert untouched == (asked.question, asked.options, asked.answer)


def test_a_rejected_item_says_why(asked: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(Said(json.dumps(REJECTED)))) as server:
        assert process(server, asked, clip_path.parent) == Drop(reason="ambiguous: two red coats")


def test_stamped_frames_question_and_options_are_sent_and_nothing_else(asked: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(said())) as server:
        process(server, asked, clip_path.parent, max_pixels=2048)
        process(server, asked.model_copy(update={"answer": "A"}), clip_path.parent, max_pixels=2048)
    first, second = server.requests
    assert first.body == second.body, "the answer decides nothing that is sent"
    assert first.messages[0]["content"] == VERIFY.text
    parts = first.messages[1]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"] * 5 + ["text"]
    assert [part["text"] for part in parts[:-1:2]] == [f"<{t:.1f} seconds>" for t in (0, 4, 8, 12, 16)]
    assert all(PIL.Image.open(io.BytesIO(file)).size[0] < 96 for file in first.images)
    assert json.loads(parts[-1]["text"]) == {"duration_s": 20.0, "question": QUESTION, "options": list(OPTIONS)}
    assert "SECRET" not in first.text
    assert first.schema and set(first.schema["properties"]) == set(SAID) == set(first.schema["required"])


FAULTY = {
    "prose": (Said("I think it is fine."), "not valid JSON"),
    "cut off": (Said('{"is_valid": true, "cat', finish="length"), "cut off"),
    "nothing": (Said(""), "not valid JSON"),
    "disagreeing": (said(category="absent"), "category must be none"),
    "accepted without a window": (said(window=None), "needs a window"),
    "accepted without a shape": (said(shape="none"), "needs a window and a shape"),
    "unknown shape": (said(shape="star"), "shape: "),
    "two windows": (said(window=[SAID["window"], SAID["window"]]), "window: "),
    "window as text": (said(window={"start_s": "2.0", "end_s": 8.0}), "window.start_s: "),
    "window before the video": (said(window={"start_s": -1.0, "end_s": 8.0}), "window.start_s: "),
    "window after the video": (said(window={"start_s": 2.0, "end_s": 20.1}), "ends at 20.1 s, the video at 20.0 s"),
    "window without end": (said(window={"start_s": 2.0, "end_s": float("inf")}), "Infinity is not JSON"),
    "empty window": (said(window={"start_s": 8.04, "end_s": 8.0}), "ends before it starts, or is empty"),
    "short tag": (said(tag="red man"), "tag: it has 2 words"),
    "long tag": (said(tag="man in a red coat who is standing near the door"), "tag: it has 11 words"),
    "description not in the question": (said(description="the fellow"), "do not stand in the question"),
    "no description": (said(description=" "), "do not stand in the question"),
    "no mark": (said(question=QUESTION), "question: it has no <vp>"),
    "tag beside the mark": (said(question="What does <vp> in the red coat give to the other man?"), "'coat' still"),
    "noun beside the mark": (said(question="What does <vp>, the man, give to the other man?"), "'man' still"),
    "another question": (said(question="What does <vp> take from the other man?"), "question: more than the name"),
    "more marked than named": (said(description="the man"), "does not stand for the words of description"),
    "fewer options": (said(options=SAID["options"][:3]), "options: there are 3, not 4"),
    "other order": (said(options=[SAID["options"][n] for n in (2, 1, 0, 3)]), "options.0: "),
    "a changed option": (said(options=["A mug.", *SAID["options"][1:]]), "options.0: it has no <vp> and is not"),
    "an option that still names it": (said(options=list(OPTIONS)), "options.1: it still names"),
    "an option marked without need": (said(options=["<vp>", *SAID["options"][1:]]), "options.0: <vp> stands for"),
    "an option rewritten": (said(options=["A cup.", "<vp> keeps it.", "A hat", "His  bag"]), "options.1: more than"),
    "an option that leaks": (
        said(options=["A cup.", "<vp> in the red coat gives nothing.", "A hat", "His  bag"]),
        "options.1: the word 'coat' still tells",
    ),
}


@pytest.mark.parametrize(("reply", "fault"), FAULTY.values(), ids=FAULTY.keys())
def test_a_fault_is_named_and_repaired_once(reply: Said, fault: str, asked: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(reply, said())) as server:
        done = process(server, asked, clip_path.parent)
    assert isinstance(done, Item)
    facts = done.sample.provenance["verify"]
    assert (facts["repaired"], facts["calls"], facts["input_tokens"]) == (True, 2, 200)
    assert fault in server.requests[1].messages[-1]["content"]


@pytest.mark.parametrize(("reply", "fault"), [FAULTY["prose"], FAULTY["long tag"]])
def test_a_verdict_that_stays_faulty_fails_with_the_reply(
    reply: Said, fault: str, asked: Sample, clip_path: Path
) -> None:
    with ChatServer(in_turn(reply)) as server, pytest.raises(ItemError) as caught:
        process(server, asked, clip_path.parent)
    assert (caught.value.code, caught.value.retryable, len(server.requests)) == ("bad_verdict", False, 2)
    assert fault in caught.value.message and kept(reply.text) in caught.value.message


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [(Said(None, finish="content_filter"), "model_refused", False), (Refused(500), "model_failed", True)],
)
def test_a_model_that_says_nothing(fault: Answer, code: str, retryable: bool, asked: Sample, clip_path: Path) -> None:
    with ChatServer(in_turn(fault)) as server, pytest.raises(ItemError) as caught:
        process(server, asked, clip_path.parent)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_an_open_question_and_the_last_displayed_digit(asked: Sample, clip_path: Path) -> None:
    video = asked.video.model_copy(update={"duration_s": 19.97})
    told = asked.model_copy(update={"options": (), "answer": "nothing", "video": video})
    with ChatServer(in_turn(said(options=[], window={"start_s": 0, "end_s": 20.0}))) as server:
        done = process(server, told, clip_path.parent)
    assert isinstance(done, Item) and "nothing" not in server.requests[0].messages[1]["content"][-1]["text"]
    assert done.sample.target.window_s == (0.0, 19.97)
    assert (done.sample.answer, done.sample.target.vp_options) == ("nothing", ())


def test_a_model_and_who_decides_must_agree() -> None:
    for wrong in ({"by": "model"}, {"by": "annotations", "model": NAME}):
        with pytest.raises(ValidationError, match="model"):
            Verify.model_validate(wrong)


def test_what_decides_is_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprint(**settings: Any) -> str:
        return Verify.model_validate(settings).fingerprint()

    asks = {"by": "model", "model": NAME}
    assert fingerprint(max_frames=9) == fingerprint() != fingerprint(box_reach_s=1.0)
    assert fingerprint(**asks, box_reach_s=1.0) == fingerprint(**asks) != fingerprint(**asks, max_frames=9)
    before = [fingerprint(), fingerprint(**asks)]
    monkeypatch.setattr(stage_file, "VERIFY", Prompt(VERIFY.text + " "))
    after = [fingerprint(), fingerprint(**asks)]
    assert before[0] == after[0] and before[1] != after[1]


@pytest.mark.parametrize(
    ("before", "after", "stretches"),
    [
        ("What does the man do?", "what does  <vp> do?", ("the man",)),
        ("The dog bites the dog.", "<vp> bites <vp>.", ("the dog", "the dog")),
        ("The dog's tail", "<vp>'s tail", ("the dog",)),
        ("the dog", "<vp>", ("the dog",)),
        ("the dog", "the dog", ()),
        ("the dog", "a dog", None),
        ("dog", "dog<vp>", None),
        ("the dog runs", "<vp> walks", None),
        ("a b c", "<vp> c <vp> b", None),
        ("a " * 200, "<vp>" * 100 + "b", None),
    ],
)
def test_the_replaced_words_are_found(before: str, after: str, stretches: tuple[str, ...] | None) -> None:
    assert replaced(before, after) == stretches
