"""scoring: what every reply is and is worth, that the headline counts all items, and what judges say and fail to."""

import asyncio
import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from material import shared
from servers.loopback import Dropped, Refused
from servers.openai_server import ChatServer, Said, in_turn
from servers.openai_server import Reply as Answer

from seekerdata.errors import SeekerError
from seekerdata.models import ModelSettings
from seekereval.compat import is_right
from seekereval.item import Call, Graded, Item, State
from seekereval.mlvu_judge import SUB_SCENE, SUMMARY
from seekereval.scoring import grade, grade_open, summary

COLOURS = ("Red", "Blue", "Green", "Black")
SIX = ("Shoplifting", "Road accident", "Fighting", "Arson", "Vandalism", "Normal")
NO_JUDGE = ModelSettings(model="openai-api/local/any", base_url="http://127.0.0.1:1/v1", retries=0)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")
    monkeypatch.setattr("seekerdata.judge._CACHE", {})


def choice(answer: str = "B", options: tuple[str, ...] = COLOURS, **fields: Any) -> Item:
    return Item(
        **{"id": "1", "video": "v.mp4", "question": "Which?", "cluster": "v", **fields}, options=options, answer=answer
    )


def opened(scoring: str = "judge", **fields: Any) -> Item:
    own = {"id": "1", "video": "v.mp4", "question": "What falls?", "answer": "The red cup falls.", "cluster": "v"}
    return Item.model_validate({**own, "scoring": scoring, **fields})


def judged(item: Item, reply: str, *said: Answer, **facts: Any) -> tuple[Graded, ChatServer]:
    with ChatServer(in_turn(*said)) as server:
        judge = NO_JUDGE.model_copy(update={"base_url": server.url})
        return asyncio.run(grade_open(item, reply, judge, **facts)), server


# -- choices ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("reply", "state", "letter"),
    [
        *(("B", State.ANSWERED, "B"), ("(B) Blue", State.ANSWERED, "B"), ("<answer>D</answer>", State.ANSWERED, "D")),
        *(("It is blue.", State.ANSWERED, "B"), ("<think>A</think>", State.MISSING, ""), ("", State.MISSING, "")),
        *((" \n", State.MISSING, ""), ("!" * 64, State.MISSING, ""), ("E", State.MISSING, "")),
        *(("B or C", State.AMBIGUOUS, ""), ("I cannot tell from the video.", State.REFUSED, "")),
        *(("Error code: 400 - context length exceeded", State.ERROR, ""), ("CUDA out of memory", State.ERROR, "")),
        ("Failed to obtain answer via API.", State.ERROR, ""),
    ],
)
def test_a_reply_is_one_thing(reply: str, state: State, letter: str) -> None:
    graded = grade(choice(), reply)
    assert (graded.state, graded.answer, graded.score) == (state, letter, float(letter == "B"))
    assert graded.reply == reply and bool(graded.error) == (state is State.ERROR)


PLANS = ("Plan B", "Vitamin C", "Blood type A", "D-Day")
ANIMALS = ("A cat", "A dog", "A bird", "A horse")


@pytest.mark.parametrize(
    ("options", "reply", "found"),
    [
        (COLOURS, "Based on the video, the answer is D", "D"),
        (COLOURS, "As an AI model, I am unable to watch videos.", State.REFUSED),
        (COLOURS, "Cannot determine the answer", State.REFUSED),
        (COLOURS, "Describe what you see.", State.MISSING),
        (COLOURS, "None of the above", State.MISSING),
        (COLOURS, "[LMMS_EVAL_REQUEST_FAILED after 5 tries]", State.MISSING),
        (COLOURS, "B ... wait, actually it is C.", "C"),
        (COLOURS, "It is not A. The answer is C.", "C"),
        (COLOURS, "A and B", State.AMBIGUOUS),
        (COLOURS, "<answer>A</answer> No, that is wrong. <answer>D</answer>", "D"),
        (COLOURS, "<answer>Blue</answer>", "B"),
        (COLOURS, '{"reasoning": "A and D are wrong", "answer": "B"}', "B"),
        (COLOURS, "Ｂ．", "B"),
        (COLOURS, "(d)", "D"),
        (COLOURS, "Q: What colour is it? A: Green", "C"),
        (("Blue", "Light blue", "Red"), "The car is light blue.", "B"),
        (("Blue", "Dark blue", "Red"), "Dark blue", "B"),
        (("Yes", "No"), "No", "B"),
        (("He opens it", "He closes the window"), "He closes the window", "B"),
        (("Red", "Green"), "In the long shot by the river one sees that the boat has been painted green.", "B"),
        (COLOURS, "c.", "C"),
        (COLOURS, "option b", "B"),
        (COLOURS, "A dog running on grass", State.MISSING),
        (ANIMALS, "A bird", "C"),
        (ANIMALS, "A horse.", "D"),
        (PLANS, "Plan B", "A"),
        (PLANS, "Vitamin C", "B"),
        (("1->2->3", "3->2->1"), "3->2->1", "B"),
        (SIX, "Arson", "D"),
        (("3", "5", "7"), "There are 5 of them.", "B"),
    ],
)
def test_replies_that_mislead_others(options: tuple[str, ...], reply: str, found: str | State) -> None:
    graded = grade(choice("A", options), reply)
    assert (graded.answer or graded.state) == found


def test_where_there_is_no_reply_nothing_is_read() -> None:
    graded = grade(choice(), "B", error="timeout: the answer is B", seconds=3.0)
    assert (graded.state, graded.score, graded.answer, graded.error) == (State.ERROR, 0, "", "timeout: the answer is B")
    assert graded.seconds == 3.0
    assert is_right("v2pbench_official", graded) is False


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        ("", State.TRUNCATED),
        ("<think>It could be blue. The answer is B", State.TRUNCATED),
        ("The man walks in, picks up the blue", State.TRUNCATED),
        ("A or B", State.TRUNCATED),
        ("The answer is B, because in the first", State.ANSWERED),
        ("<answer>B</answer> I say so becau", State.ANSWERED),
    ],
)
def test_what_was_cut_off_counts_if_it_had_answered_by_then(reply: str, state: State) -> None:
    assert grade(choice(), reply, truncated=True).state is state


@pytest.mark.parametrize("letter", "ABCDEF")
def test_six_options(letter: str) -> None:
    item = choice(letter, SIX)
    replies = (letter, f"({letter})", f"The answer is {letter}.", SIX["ABCDEF".index(letter)])
    assert [grade(item, reply).score for reply in replies] == [1.0] * 4


def test_two_and_three_options_have_no_more_letters() -> None:
    assert grade(choice("B", ("Yes", "No")), "C").state is State.MISSING
    assert grade(choice("C", ("one", "two", "three")), "C").score == 1.0


def test_every_letter_of_the_gold_text_is_right_and_it_is_said() -> None:
    item = choice("D", ("Hall", "Kitchen", "Yard", "Hall"))
    assert [grade(item, reply).score for reply in ("A", "B", "C", "D", "Hall")] == [1, 0, 0, 1, 1]
    assert grade(item, "A").rule == "whole_reply (its option is the text of D again)"
    assert grade(item, "D").rule == "whole_reply"


@given(st.lists(st.text(max_size=12), min_size=2, max_size=8), st.data())
def test_the_gold_letter_scores_1(options: list[str], data: st.DataObject) -> None:
    letter = data.draw(st.sampled_from("ABCDEFGH"[: len(options)]))
    assert grade(choice(letter, tuple(options)), letter).score == 1.0


@given(st.text(alphabet=" ABCDE().:\n<>/think answer is not", max_size=80), st.booleans())
def test_a_score_needs_an_answer(reply: str, truncated: bool) -> None:
    graded = grade(choice(), reply, truncated=truncated)
    assert graded.score in (0.0, 1.0) and bool(graded.answer) == (graded.state is State.ANSWERED)
    assert not graded.score or graded.state is State.ANSWERED


# -- open answers ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("said", "score"),
    [
        ('{"score": 1, "reason": "the same"}', 1.0),
        ("0.5", 0.5),
        ("Judgement: 0 (1 of 2 facts contradict)", 0.0),
        ("Judgement: 0.5 ... 1 of 2", 0.5),
        ("**1**", 1.0),
    ],
)
def test_a_judge_gives_1_a_half_or_0(said: str, score: float) -> None:
    graded, server = judged(opened(), "<think>hm</think>A cup.", Said(said), seconds=2.0)
    assert (graded.state, graded.score, graded.answer, graded.seconds) == (State.ANSWERED, score, "A cup.", 2.0)
    assert graded.rule.startswith(f"judge {score:g}") and len(server.requests) == 1
    asked = json.loads(server.requests[0].messages[1]["content"])
    assert asked == {"question": "What falls?", "reference": "The red cup falls.", "answer": "A cup."}


@pytest.mark.parametrize("said", [Said("Partially consistent."), Said("½"), Said("2"), Refused(400), Dropped()])
def test_a_judge_that_fails_is_no_score(said: Answer) -> None:
    graded, _ = judged(opened(), "A cup.", said)
    assert (graded.state, graded.score, graded.answer) == (State.JUDGE_FAILED, 0.0, "A cup.")
    assert graded.error and "sk-local" not in graded.error


def test_a_wrong_key_ends_the_run() -> None:
    with pytest.raises(SeekerError):
        judged(opened(), "A cup.", Refused(401, "Incorrect API key"))


@pytest.mark.parametrize("scoring", ["judge", "mlvu_sub_scene", "mlvu_summary"])
@pytest.mark.parametrize(
    ("reply", "facts", "state"),
    [
        ("the red cup falls", {}, State.ANSWERED),
        ("<answer>The red cup falls.</answer>", {"truncated": True}, State.ANSWERED),
        ("", {}, State.MISSING),
        ("!" * 64, {}, State.MISSING),
        ("I'm sorry, I cannot see the video.", {}, State.REFUSED),
        ("At first a man", {"truncated": True}, State.TRUNCATED),
        ("A cup.", {"error": "timeout"}, State.ERROR),
        ("Error code: 500", {}, State.ERROR),
    ],
)
def test_no_judge_is_asked_where_words_can_tell(scoring: str, reply: str, facts: Any, state: State) -> None:
    graded = asyncio.run(grade_open(opened(scoring), reply, NO_JUDGE, **facts))
    assert graded.state is state and graded.score == float(state is State.ANSWERED)
    assert graded == grade(opened(scoring), reply, **facts)


def test_the_gold_words_are_right_even_if_they_sound_like_a_refusal() -> None:
    gold = "The video does not show it."
    assert grade(opened(answer=gold), gold).score == 1.0


def test_without_a_judge_other_words_are_no_wrong_answer() -> None:
    graded = grade(opened(), "A cup.")
    assert (graded.state, graded.error, graded.answer) == (State.JUDGE_FAILED, "no judge was named", "A cup.")


def test_a_choice_needs_no_judge() -> None:
    assert asyncio.run(grade_open(choice(), "A", NO_JUDGE)) == grade(choice(), "A")


# -- MLVU's judges ---------------------------------------------------------------------------------
def test_a_scene_is_rated_by_its_points() -> None:
    item = opened("mlvu_sub_scene", points=("a cup", "it is red"))
    said = "Point 1: 5, point 2: 1.\n{'score_accuracy': (5+1)/2 = 3, 'score_relevance': 4, 'total_score': 7}"
    graded, server = judged(item, "A cup falls.", Said(said))
    assert graded.scores == {"accuracy": 3.0, "relevance": 4.0, "total": 7.0}
    assert (graded.state, graded.score) == (State.ANSWERED, 0.625)
    system, user = server.requests[0].messages
    assert system["content"] == SUB_SCENE.text
    asked = {"question": "What falls?", "points": ["a cup", "it is red"], "description": "A cup falls."}
    assert json.loads(user["content"]) == asked
    assert server.requests[0].body["temperature"] == 0


def test_a_summary_is_rated_by_the_reference() -> None:
    said = Said('{"reason": "most", "score_completeness": 3, "score_reliability": 5}')
    graded, server = judged(opened("mlvu_summary"), "Something falls.", said)
    assert graded.scores == {"completeness": 3.0, "reliability": 5.0, "total": 8.0}
    assert graded.rule == "completeness 3, reliability 5, total 8"
    system, user = server.requests[0].messages
    assert system["content"] == SUMMARY.text
    assert json.loads(user["content"]) == {"reference": "The red cup falls.", "summary": "Something falls."}


@pytest.mark.parametrize(
    "said",
    [
        "{'score_completeness': 0, 'score_reliability': 0, 'total_score': 0}",
        "{'score_completeness': 7, 'score_reliability': 3}",
        "{'score_completeness': 4}",
        "I cannot evaluate this answer.",
    ],
)
def test_a_rating_out_of_range_or_missing_is_asked_again_and_then_failed(said: str) -> None:
    good = '{"score_completeness": 1, "score_reliability": 1}'
    graded, server = judged(opened("mlvu_summary"), "Something.", Said(said), Said(good))
    assert (graded.state, graded.scores["total"], graded.score) == (State.ANSWERED, 2.0, 0.0)
    assert "must each be stated once, from 1 to 5" in server.requests[1].messages[-1]["content"]
    graded, server = judged(opened("mlvu_summary"), "Nothing.", Said(said))
    assert (graded.state, graded.scores, graded.score) == (State.JUDGE_FAILED, {}, 0.0)
    assert len(server.requests) == 2


# -- sums ------------------------------------------------------------------------------------------
def many() -> list[Graded]:
    """One item in each state, of three videos; the first, of video a, is right."""
    replies = ["B", "", "B or C", "I cannot tell from the video.", "<think>hm", "", "", "D"]
    facts: list[dict[str, Any]] = [{} for _ in replies]
    facts[4], facts[5] = {"truncated": True}, {"error": "decode: broken"}
    rows = []
    for number, (reply, fact) in enumerate(zip(replies, facts, strict=True)):
        item = choice(id=str(number), cluster="aabbccca"[number], groups={"half": "first" if number < 4 else "second"})
        rows.append(grade(item, reply, **fact))
    open_item = opened(id="6", cluster="c", defects=("no gold answer",), groups={"kind": "open"})
    rows[6] = grade(open_item, "A cup.")
    return rows


def test_the_headline_counts_every_item() -> None:
    facts = summary(many(), ["half", "kind"], ["v2pbench_official", "videoseeker_eval_all"]).facts()
    assert facts == json.loads(json.dumps(facts))
    assert (facts["n"], facts["headline"], facts["clusters"]) == (8, 12.5, 3)
    assert facts["at_most"] == 25.0  # were the judge's failure a right answer
    states = {state.value: 1 for state in State} | {"answered": 2}
    assert facts["states"] == states and sum(states.values()) == 8
    assert {name: part["n"] for name, part in facts["groups"]["half"].items()} == {"first": 4, "second": 3}
    assert facts["groups"]["half"]["first"]["score"] == 25.0
    assert facts["groups"]["kind"]["open"]["ci95"] is None
    assert (facts["answered_only"]["n"], facts["answered_only"]["score"]) == (2, 50.0)
    assert (facts["defect_free"]["n"], facts["defect_free"]["score"]) == (7, round(100 / 7, 6))
    assert facts["compat"] == {"v2pbench_official": round(200 / 7, 6), "videoseeker_eval_all": None}  # `B or C` too
    assert facts["compat_n"] == {"v2pbench_official": 7, "videoseeker_eval_all": 0}
    low, high = facts["ci95"]
    assert 0 == low < 12.5 < high < 100


def test_no_items_are_no_score() -> None:
    with pytest.raises(SeekerError, match="no item was run"):
        summary([], [])


def test_tools_seconds_and_tokens() -> None:
    seen = {"evidence_s": ((10.0, 12.0), (40.0, 40.0))}

    def crop(start: Any, end: Any, error: str = "") -> Call:
        return Call(name="crop_video", arguments={"start_time": start, "end_time": end}, error=error)

    look = Call(name="view_visual_prompt", arguments={"frame_path": "prompt_1"})
    calls = [
        (look, crop(0, 10.0)),
        (crop("39", "41"),),
        (crop(13, 39.9),),
        (crop(0, 100, "no such stretch"), crop("soon", 3), Call(name="crop_video")),
        (),
    ]
    replies = "BBAAB"
    rows = [
        grade(choice(id=str(n), **seen), replies[n], calls=made, seconds=2.0 * n, usage={"input_tokens": 10 * n})
        for n, made in enumerate(calls)
    ]
    rows.append(grade(choice(id="5"), "B"))
    found = summary(rows, [])
    tools = found.tools
    assert tools.use_rate == pytest.approx(4 / 6) and tools.calls_per_item == pytest.approx(7 / 6)
    assert tools.calls == {"crop_video": 6, "view_visual_prompt": 1}
    assert tools.error_rate == pytest.approx(1 / 7)
    assert (tools.evidence_hit, tools.evidence_items) == (0.4, 5)
    assert (tools.accuracy_with, tools.accuracy_without) == (50.0, 100.0)
    assert found.seconds_per_item == pytest.approx(20 / 6)
    assert found.tokens_per_item == {"input_tokens": pytest.approx(100 / 6)}


def test_where_no_tool_was_called_there_is_no_rate_of_errors() -> None:
    tools = summary([grade(choice(), "B")], []).tools
    assert (tools.use_rate, tools.error_rate, tools.evidence_hit, tools.accuracy_with) == (0.0, None, None, None)


# -- a real model's replies ------------------------------------------------------------------------
def v2p_bench() -> list[tuple[dict[str, Any], Graded]]:
    """Rows of a published response file, each graded; options stand in the question."""
    lines = (shared("v2p-bench-sample") / "qwen2.5-vl-72b.sample.jsonl").read_text().splitlines()
    graded = []
    for number, row in enumerate(map(json.loads, lines)):
        options = re.findall(r"^[A-Z]:[ \t]*(.*)$", row["question"], flags=re.MULTILINE)
        item = choice(row["answer"], tuple(options), id=str(number), cluster=row["video_id"])
        graded.append((row, grade(item, row["response"])))
    return graded


def test_columns_of_real_replies_are_the_peers_own() -> None:
    rows = v2p_bench()
    assert len(rows) == 201
    for row, graded in rows:
        first = row["response"][0] == row["answer"]
        assert is_right("v2pbench_official", graded) == first, row
        assert is_right("videoseeker_eval_all", graded) is None  # there is no answer tag in any
        assert grade(graded.item, row["answer"]).score == 1.0
    found = summary([graded for _, graded in rows], [])
    official = sum(row["response"][0] == row["answer"] for row, _ in rows)
    assert found.compat["v2pbench_official"] == (pytest.approx(100 * official / 201), 201, official)
    assert found.compat["videoseeker_eval_all"] == (None, 0, 0)
    states = Counter(graded.state for _, graded in rows)
    assert found.total.n == 201 and states[State.MISSING] == sum(set(row["response"]) == {"!"} for row, _ in rows) > 0
