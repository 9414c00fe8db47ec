"""compat: every rule reads as its peer does, faults included, and counts as it does."""

import json
from string import ascii_uppercase
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from material import shared

from seekerdata.errors import SeekerError
from seekereval.compat import RULES, Column, column, is_right, read
from seekereval.item import Graded, Item, State

COLOURS = ("Red", "Blue", "Green", "Black")


def examples(kind: str) -> list[dict[str, Any]]:
    lines = (shared("extraction-examples") / "examples.jsonl").read_text().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def row(reply: str | None, answer: str = "B", task: str = "", options: tuple[str, ...] = COLOURS) -> Graded:
    """A graded item of which only what these rules look at is told."""
    groups = {"task": task} if task else {}
    item = Item(id="1", video="v", question="Q?", options=options, answer=answer, cluster="v", groups=groups)
    return Graded(item=item, state=State.ERROR if reply is None else State.ANSWERED, reply=reply or "")


def test_every_recorded_answer_of_every_peer() -> None:
    rows = examples("extraction")
    assert len(rows) == 79 and len(RULES) == 10
    nothing = {None, "", "Z", "<random>", "<IndexError>"}
    wrong = {}
    for rule in RULES:
        for found in rows:
            said, recorded = read(rule, found["response"], found["options"]), found["peers"][rule]
            if said != (None if recorded in nothing else recorded):
                wrong[rule, found["id"]] = said, recorded
    assert wrong == {}


@pytest.mark.parametrize(
    ("rule", "reply", "expected"),
    [
        *(("v2pbench_official", reply, found) for reply, found in [(" B", " "), ("", None), ("The answer is B", "T")]),
        ("videoseeker_eval_all", "<answer>Blue</answer>", "B"),
        ("videoseeker_eval_all", "<answer>A</answer> no: <answer>B</answer>", "A"),
        ("videoseeker_eval_all", "<answer>(B)</answer>", None),
        ("videoseeker_eval_all", "<answer>B", None),
        *(("videoseeker_direct", reply, found) for reply, found in [(" b\n", "B"), ("B.", "B."), (" ", None)]),
        *(("mlvu_official_dev", reply, found) for reply, found in [(") B", None), ("no (b) B)", "b"), ("B", "B")]),
        *(("mlvu_official_test", reply, found) for reply, found in [("E) x", "E"), (" F ", "F"), ("(C", "(C")]),
        ("videomme_official", "Best option: C", "B"),
        ("videomme_official", "Best answer: C", "B"),
        ("videomme_official", "Based on the video, the answer is D", "B"),
        ("videomme_official", "E", None),
        ("lmms_eval_longvideobench", "Best option: C", "C"),
        ("lmms_eval_longvideobench", "Answer: C", "A"),
        ("lmms_eval_longvideobench", "the fifth one", None),
        ("lmms_eval_longvideobench", "[LMMS_EVAL_REQUEST_FAILED after 5]", "E"),
        ("vlmevalkit_v2pbench", "<think>A or D</think>B", "B"),
        ("vlmevalkit_v2pbench", "<think>A or D", "A"),
        ("vlmevalkit_v2pbench", "Best option: C. Option: A", "C"),
        ("lmms_eval_mcq", "B is wrong, so the answer is (C)", "B"),
        ("lmms_eval_mcq", "I choose red. Based on that, Done.", "D"),
        ("lmms_eval_mcq", "E", None),
        ("lmms_eval_mcq", "<think>The answer is A</think>The answer is not there: (D).", "D"),
        ("lmms_eval_mcq", "'\".", None),
        ("vlmevalkit_can_infer", "As D says, it is red and new.", "A"),
        ("vlmevalkit_can_infer", "B C", None),
        ("vlmevalkit_can_infer", "I can't process this file. B", None),
        ("vlmevalkit_can_infer", "Failed to obtain answer via API. B", None),
        ("vlmevalkit_can_infer", "the answer is dark red", "D"),
        ("vlmevalkit_can_infer", "Z, not Red", None),
    ],
)
def test_what_each_rule_makes_of(rule: str, reply: str, expected: str | None) -> None:
    assert read(rule, reply, list(COLOURS)) == expected


def test_letters_beyond_four_are_read_by_those_who_know_the_options() -> None:
    six = ["one", "two", "three", "four", "five", "six"]
    assert {rule: read(rule, "F", six) for rule in RULES if read(rule, "F", six) != "F"} == {
        "videoseeker_eval_all": None,
        "videomme_official": None,
        "lmms_eval_longvideobench": None,
        "vlmevalkit_v2pbench": None,
    }


def test_a_name_that_is_no_rule_is_one_line() -> None:
    with pytest.raises(SeekerError, match=r"^videomme: no such rule; there are v2pbench_official, "):
        read("videomme", "A", ["x"])


@pytest.mark.parametrize("rule", RULES)
@given(
    reply=st.text(alphabet="ABCDEZab ().:*\n<>/think answer is", max_size=60),
    options=st.lists(st.sampled_from(["red", "dark red", "A", "", "ß"]), max_size=6),
)
@example(reply="\u0130\u0130 the answer is A", options=["x"])
def test_no_rule_raises_and_none_reads_nothing_as_something(rule: str, reply: str, options: list[str]) -> None:
    found = read(rule, reply, options)
    assert found is None or (found not in ("", "Z") and found.upper() in reply.upper() + ascii_uppercase)


# -- how they count --------------------------------------------------------------------------------
def test_who_leaves_out_what_it_cannot_read() -> None:
    rows = [row("B"), row("<answer>B</answer>"), row("<answer>1</answer>"), row("no"), row(""), row(None)]
    kept = {rule: column(rule, rows).n for rule in RULES}
    assert kept == {
        **dict.fromkeys(RULES, 6),
        "videoseeker_eval_all": 1,
        "videoseeker_direct": 5,
        "videomme_official": 2,
    }
    assert column("videoseeker_eval_all", rows) == Column(100.0, 1, 1)
    assert column("videoseeker_eval_all", rows[2:]) == Column(None, 0, 0)


def test_an_error_is_never_read_as_a_letter() -> None:
    failed = row("B").model_copy(update={"state": State.ERROR, "error": "B"})
    assert {is_right(rule, failed) for rule in RULES} == {False, None}


def test_the_records_of_videoseeker() -> None:
    (found,) = [each for each in examples("scoring") if each["id"] == "s012"]
    count = column("videoseeker_direct", [row(each["response"], each["answer"]) for each in found["response"]])
    expected = found["expected"]["videoseeker"]
    assert count.right == expected["correct"] and count.accuracy == pytest.approx(100 * expected["accuracy"])


def test_the_records_of_v2p_bench() -> None:
    (found,) = [each for each in examples("scoring") if each["id"] == "s003"]
    count = column("v2pbench_official", [row(each["response"], each["answer"]) for each in found["response"]])
    expected = found["expected"]["v2pbench_official"]
    assert (count.right, count.n) == (expected["correct"], expected["total"])
    assert count.accuracy == pytest.approx(100 * expected["accuracy"], abs=0.05)


def test_the_records_of_mlvu() -> None:
    (found,) = [each for each in examples("scoring") if each["id"] == "s030"]
    rows = [row(each["response"], each["answer"], each["task"]) for each in found["response"]]
    expected = found["expected"]
    official = column("mlvu_official_dev", rows)
    assert official.accuracy == pytest.approx(expected["official_M_Avg_macro"], abs=1e-3)
    assert 100 * official.right / official.n == pytest.approx(expected["official_micro"], abs=1e-3)
    inferred = column("vlmevalkit_can_infer", rows).accuracy
    assert inferred == pytest.approx(expected["vlmevalkit_M_Avg_micro"], abs=0.05)


def test_of_equal_options_mlvu_takes_the_last() -> None:
    options = ("Hall", "Kitchen", "Hall", "Yard")
    rights = {reply: is_right("mlvu_official_dev", row(reply, "A", options=options)) for reply in "ABC"}
    assert rights == {"A": False, "B": False, "C": True}
    assert is_right("videomme_official", row("A", "A", options=options))


def test_a_question_without_a_gold_letter_is_counted_and_never_right() -> None:
    for options in (("", "", "x"), ()):
        rows = [row(reply, answer="", options=options) for reply in ("A", "B", "", "x")]
        assert {rule: column(rule, rows).right for rule in RULES} == dict.fromkeys(RULES, 0)
        assert column("mlvu_official_dev", rows).n == 4


def test_spaces_around_a_reply_are_none_of_mlvus() -> None:
    assert is_right("mlvu_official_dev", row("B\n")) and is_right("mlvu_official_test", row(" B "))


def test_open_questions_are_not_for_them() -> None:
    item = Item(id="1", video="v", question="Q?", answer="A dog", scoring="judge", cluster="v")
    graded = Graded(item=item, state=State.ANSWERED, reply="A dog", score=1.0)
    assert {column(rule, [graded]) for rule in RULES} == {Column(None, 0, 0)}
