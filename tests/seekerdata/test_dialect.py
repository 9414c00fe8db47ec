"""Reading calls out of a reply never fails; what is wrong with a call is kept for the model."""

import pytest

from seekerdata.dialect import read_calls, write_call
from seekerdata.trajectory import ToolCall


def test_a_call_goes_there_and_back() -> None:
    call = ToolCall(id="call_1", name="crop_video", arguments={"video_path": "video", "start_time": 1.5})
    text, calls = read_calls(f"<think>look</think>\n{write_call(call)}")
    assert (text, calls) == ("<think>look</think>", (call,))


BROKEN = [
    ("<tool_call>{not json}</tool_call>", "not valid JSON"),
    ('<tool_call>{"name": "x", "arguments": {</tool_call>', "not valid JSON"),
    ("<tool_call>[1, 2]</tool_call>", "must be an object"),
    ('<tool_call>{"arguments": {}}</tool_call>', "must be an object"),
    ('<tool_call>{"name": "crop_video", "arguments": "1, 2"}</tool_call>', "arguments must be an object"),
    ("<tool_call>" + "[" * 100_000, "not valid JSON"),
    ("<tool_call></tool_call>", "not valid JSON"),
    ('<tool_call>{"name": "x", "arguments": {"n": ' + "9" * 5000 + "}}</tool_call>", "not valid JSON"),
]


@pytest.mark.parametrize(("reply", "words"), BROKEN)
def test_broken_calls_become_errors(reply: str, words: str) -> None:
    _, (call,) = read_calls(reply)
    assert words in call.error


def test_cut_off_call_is_still_a_call() -> None:
    _, (call,) = read_calls('<think>t</think><tool_call>{"name": "view_visual_prompt", "arguments": {}}')
    assert (call.name, call.error) == ("view_visual_prompt", "")


def test_not_a_number_stays_a_word() -> None:
    body = '{"name": "crop_video", "arguments": {"start_time": NaN, "end_time": 1e999}}'
    _, (call,) = read_calls(f"<tool_call>{body}</tool_call>")
    assert call.arguments == {"start_time": "NaN", "end_time": "1e999"}


def test_several_calls_are_numbered() -> None:
    one = '<tool_call>{"name": "view_visual_prompt"}</tool_call>'
    _, calls = read_calls(one * 2, first_id=3)
    assert [c.id for c in calls] == ["call_3", "call_4"]


def test_a_call_inside_a_thought_is_a_thought() -> None:
    reply = '<think>I could write <tool_call>{"name": "x"}</tool_call></think><answer>A</answer>'
    assert read_calls(reply) == (reply, ())
