"""filter: what the offline rules keep and drop, on questions in the style of the sets people use."""

import json
import time
from pathlib import Path

import pytest
from material import shared

from seekerdata.question_kind import ABOUT, unsuited
from seekerdata.sample import Sample, Target
from seekerdata.stage import Drop, Item
from seekerdata.stages.filter import Filter
from seekerdata.workspace import Workspace


def labelled() -> list[tuple[str, str]]:
    """Every question of filter_questions.txt with its section's name."""
    pairs, section = [], ""
    for line in (Path(__file__).parent / "filter_questions.txt").read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            pairs.append((section, line))
    return pairs


LABELLED = labelled()
ELSEWHERE = {
    "What happens to the camera at the end of the video?": "overall_activity",
    "How many camera cuts are there?": "counting",
    "Where was the footage filmed?": "camera",
    "What is the main event taking place?": "background",
    "What is the theme of the video?": "abstract",
    "What is the main theme of this clip?": "abstract",
    "What story does the video tell?": "abstract",
    "What is the general topic being discussed?": "abstract",
    "What would you call this video?": "abstract",
}
"""Questions of two categories: dropped either way, under the one that is tried first."""


@pytest.mark.parametrize(("label", "question"), LABELLED, ids=[question for _, question in LABELLED])
def test_labelled_questions(label: str, question: str) -> None:
    finding = unsuited(question)
    assert (finding.category if finding else "accepted") == ELSEWHERE.get(question, label)


def test_there_are_many_of_each_kind() -> None:
    labels = [label for label, _ in LABELLED]
    assert labels.count("accepted") > 150
    assert all(labels.count(category) >= 20 for category in ABOUT)


def process(sample: Sample, question: str, stage: Filter | None = None) -> Item | Drop:
    item = Item(sample=sample.model_copy(update={"question": question, "options": (), "answer": "x"}))
    return (stage or Filter()).process(item, Workspace(root=Path(), video_root=Path()))


def test_a_kept_item_notes_the_verdict(sample: Sample) -> None:
    kept = process(sample, "What does the man lift?")
    assert isinstance(kept, Item)
    assert kept.sample.provenance == {"filter": {"by": "rules", "verdict": "accepted"}}
    assert kept.sample.model_copy(update={"provenance": {}}).question == "What does the man lift?"


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("How many cups?", "counting: asks about a number of things or times ('how many')"),
        ("How does the camera move?", "camera: asks about how it is filmed or edited ('does the camera')"),
        ("What is the video about?", "overall_activity: asks about the video as a whole ('what is the video about')"),
    ],
)
def test_a_reason_names_category_and_words(sample: Sample, question: str, reason: str) -> None:
    assert process(sample, question) == Drop(reason=reason)


def test_allow_lets_a_category_through(sample: Sample) -> None:
    stage = Filter(allow=("counting",))
    assert isinstance(process(sample, "How many cups does she stack?", stage), Item)
    assert isinstance(process(sample, "How does the camera move?", stage), Drop)
    assert isinstance(process(sample, "How many times does the camera zoom in?", stage), Drop)
    assert stage.fingerprint() != Filter().fingerprint()


def test_annotations_are_never_read(sample: Sample) -> None:
    told = Target(reason="counting", unique=False, tag="camera", description="background")
    marked = sample.model_copy(update={"target": told, "answer": "x"})
    for question in ("What does the man lift?", "How many cups?"):
        kept, judged = process(sample, question), process(marked, question)
        assert type(kept) is type(judged)
        assert isinstance(kept, Item) or kept == judged


@pytest.mark.parametrize(
    "question",
    [
        "<image>\nWhat does the man lift?\nA. How many cups?\nB. The camera moves\nPlease answer.",
        "WHAT IS THE MAN’S HAT MADE OF",
        "男人手里拿着什么？",
        "?",
    ],
)
def test_odd_texts_are_accepted(question: str) -> None:
    assert unsuited(question) is None


@pytest.mark.parametrize("text", ["is the is the ", "what is of the in the ", "the main ", "a", "<a", "what text "])
def test_long_texts_take_no_time(text: str) -> None:
    started_s = time.process_time()
    unsuited(text * 20_000)
    assert time.process_time() - started_s < 1.0


def test_real_mini_agrees_with_the_human() -> None:
    rows = [json.loads(line) for line in (shared("real-mini") / "raw_qa.jsonl").read_text().splitlines()]
    wrong = [row["question"] for row in rows if (unsuited(row["question"]) is None) != row["human"]["text_filter"]]
    assert len(rows) == 20 and not wrong


def test_questions_about_a_marked_thing_pass() -> None:
    (file,) = shared("v2p-bench-sample").glob("*.jsonl")
    questions = [json.loads(line)["question"] for line in file.read_text().splitlines()]
    dropped = [question for question in questions if unsuited(question, allow=("counting",))]
    assert len(questions) > 100 and len(dropped) <= 0.03 * len(questions), dropped
