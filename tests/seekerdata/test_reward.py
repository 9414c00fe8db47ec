"""reward: what an answer and the way to it are worth, also to a policy that looks for a cheaper way."""

import pytest

from seekerdata.dialect import read_calls
from seekerdata.reward import ANSWER_CHARS, accuracy_by_rule, answer_of, combined, format_reward, parsimony, zoom_bonus
from seekerdata.trajectory import Text, Turn

OPTIONS = ("red", "white", "blue", "green")
CALL = '<tool_call>{"name": "view_visual_prompt", "arguments": {"frame_path": "prompt_1"}}</tool_call>'
LOOK = f"<think>I look.</think>{CALL}"
SHOWN = Turn(role="tool", content=(Text(text="what was asked for"),))


def said(text: str) -> Turn:
    words, calls = read_calls(text)
    return Turn(role="assistant", content=(Text(text=words),), tool_calls=calls)


def play(*texts: str) -> list[Turn]:
    """The model's turns, a tool's after each but the last."""
    turns = [turn for text in texts for turn in (said(text), SHOWN)]
    return turns[:-1]


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        *(("B", 1), ("(b).", 1), ("B. white", 1), ("white", 1), ("A", 0), ("red", 0), ("E", 0)),
        *(("A B C D", 0), ("A, B, C, D", 0), ("A or B", 0), ("ABCD", 0), ("any of the above", 0), ("white or red", 0)),
        *(("", 0), (" ", 0), ("?", 0), ("I cannot tell", 0)),
    ],
)
def test_one_letter_or_its_words_are_right(answer: str, right: float) -> None:
    assert accuracy_by_rule(answer, "B", OPTIONS) == right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        *(("a red cup", 1), ("The red cup.", 1), ("RED  CUP", 1), ("cup", 0), ("red cup, blue cup", 0)),
        *(("red", 0), ("", 0), ("the", 0), ("cup red", 0)),
    ],
)
def test_open_answers_have_the_very_words(answer: str, right: float) -> None:
    assert accuracy_by_rule(answer, "red cup") == right


def test_no_gold_is_no_free_point() -> None:
    assert accuracy_by_rule("", "") == 0.0


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (("<think>t</think><answer>B</answer>",), "B"),
        ((LOOK, "<think>t</think><answer> B </answer>"), "B"),
        (("<answer>B</answer>",), "B"),
        (("<think>t</think><answer>A</answer><answer>B</answer>",), "B"),
        (("<think>maybe <answer>A</answer></think> no",), ""),
        (("<think><answer>A</answer></think><answer>B</answer>",), "B"),
        (("<think>t</think><answer>B</answer>" + CALL,), ""),
        (("<think>t</think><answer>B</answer><tool_call>",), ""),
        (("<think>t</think><answer>B</answer>", "<think>t</think>"), ""),
        (("<think>t</think><answer>B",), ""),
        (("<think>t</think><answer></answer>",), ""),
        (("<think>t</think>B",), ""),
        (("",), ""),
        (("<think>t</think><answer>" + "x" * (ANSWER_CHARS - 1) + "</answer>",), "x" * (ANSWER_CHARS - 1)),
        (("<think>t</think><answer>" + "x" * ANSWER_CHARS + "</answer>",), ""),
    ],
)
def test_the_answer_is_what_the_last_turn_commits_to(texts: tuple[str, ...], answer: str) -> None:
    assert answer_of(play(*texts)) == answer


def test_what_a_tool_says_is_no_answer() -> None:
    told = Turn(role="tool", content=(Text(text="<think>t</think><answer>B</answer>"),))
    assert answer_of([said(LOOK), told]) == "" and format_reward([said(LOOK), told]) == 0
    assert answer_of([]) == "" and format_reward([]) == 0
    assert format_reward([said(LOOK), told, said("<think>t</think><answer>A</answer>")]) == 1


@pytest.mark.parametrize(
    "texts",
    [
        ("<think>t</think><answer>B</answer>",),
        ("  <think>t</think>\n<answer>a red cup</answer>\n",),
        (LOOK, "<think>t</think><answer>B</answer>"),
        (LOOK, LOOK, LOOK, "<think>t</think><answer>B</answer>"),
    ],
)
def test_thought_then_call_or_answer_is_the_format(texts: tuple[str, ...]) -> None:
    assert format_reward(play(*texts)) == 1


@pytest.mark.parametrize(
    "texts",
    [
        ("<answer>B</answer>",),
        ("B. <think>t</think><answer>B</answer>",),
        ("<think>t</think><answer>B</answer> I am sure.",),
        ("<think>t</think><answer>B</answer><answer>B</answer>",),
        ("<think>t</think><think>t</think><answer>B</answer>",),
        ("<think>t<answer>B</answer></think>",),
        ("<think>t<answer>B</answer>",),
        ("<think>t</think><answer>B",),
        ("<think>t</think><answer> </answer>",),
        ("<think>t</think><answer>" + "x" * ANSWER_CHARS + "</answer>",),
        ("<think>t</think><answer>B</answer>", "<think>t</think><answer>B</answer>"),
        ("<think>t</think>", "<think>t</think><answer>B</answer>"),
        (CALL, "<think>t</think><answer>B</answer>"),
        (LOOK + CALL, "<think>t</think><answer>B</answer>"),
        ("<think>t</think><tool_call>{name: crop}</tool_call>", "<think>t</think><answer>B</answer>"),
        (LOOK, LOOK),
        (LOOK,),
        ("",),
    ],
)
def test_anything_else_is_not(texts: tuple[str, ...]) -> None:
    assert format_reward(play(*texts)) == 0


def test_each_call_costs_until_nothing_is_left() -> None:
    assert [parsimony(calls, 0.1) for calls in (0, 1, 5, 10, 11)] == pytest.approx([1, 0.9, 0.5, 0, 0])
    assert parsimony(5, 0.0) == 1


def test_looking_pays_only_where_the_answer_is_right() -> None:
    assert [zoom_bonus(1.0, looks) for looks in (0, 1, 5)] == [0, 1, 1]
    assert [zoom_bonus(accuracy, 2) for accuracy in (0.0, 0.5)] == [0, 0]


def test_parts_are_weighed_and_one_that_is_missing_leaves_nothing() -> None:
    weights = {"accuracy": 0.8, "format": 0.15, "parsimony": 0.05}
    assert combined({"accuracy": 1.0, "format": 1.0, "parsimony": 1.0}, weights) == pytest.approx(1)
    assert combined({"accuracy": 0.5, "format": 0.0, "parsimony": 0.8}, weights) == pytest.approx(0.44)
    assert combined({"accuracy": None, "format": 1.0, "parsimony": 1.0}, weights) is None
    with pytest.raises(KeyError, match="zoom"):
        combined({"zoom": 1.0}, weights)
