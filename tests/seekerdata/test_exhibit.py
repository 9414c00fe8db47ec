"""What an exhibit says of a turn and of the video, apart from any page."""

import pytest

from seekerdata.exhibit import Piece, Ruler, answer_state, arguments, pieces, spoken, timeline
from seekerdata.sample import Sample
from seekerdata.trajectory import Image, StopReason, Text, ToolCall, Trajectory, Turn


def frame(time_s: float | None, source: str = "video") -> Image:
    return Image(source=source, time_s=time_s, max_pixels=None, size_wh=(96, 64), sha256=f"{source}{time_s}")


def played(turns: tuple[Turn, ...] = (), stop: str = "answered", correct: bool | None = None) -> Trajectory:
    return Trajectory(sample_id="q1", policy="expert", turns=turns, stop=StopReason(stop), correct=correct)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>a</think>\n<answer>B</answer>", [("thought", "a"), ("answer", "B")]),
        ("so</think> it <ANSWER>B</ANSWER> is", [("thought", "so"), ("text", "it"), ("answer", "B"), ("text", "is")]),
        ("<think>cut off", [("thought", "cut off")]),
        ("<think>a<answer>b</answer>", [("thought", "a<answer>b</answer>")]),
        ("<answer> </answer>", []),
        ("no tags, 1 < 2", [("text", "no tags, 1 < 2")]),
        ("", []),
    ],
)  # fmt: skip
def test_words_of_a_model_are_told_apart(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(piece.kind, piece.text) for piece in spoken(text)] == expected


def test_a_turn_keeps_its_order_and_its_stamps() -> None:
    stamped = (Text(text="<1.0 seconds>"), frame(1.02), Text(text="<9.0 seconds>"), frame(2.0))
    turn = Turn(role="tool", content=(Text(text="Look:\nhere"), *stamped, frame(None), Text(text="<3.0 seconds>")))
    before, frames, after = pieces(turn)
    assert (before, after) == (Piece("text", "Look:\nhere"), Piece("text", "<3.0 seconds>"))
    # A true stamp needs no repeating, a wrong one is shown.
    assert [told for _, told in frames.frames] == ["", "<9.0 seconds>", ""]


def test_a_turn_that_only_calls_has_no_pieces() -> None:
    assert pieces(Turn(role="assistant", tool_calls=(ToolCall(id="1", name="f"),))) == []


def test_no_answer_is_not_a_wrong_one() -> None:
    states = [answer_state(t) for t in (None, played(), played(correct=True), played(correct=False))]
    assert states == ["not played", "not judged", "right", "wrong"]
    assert answer_state(played(stop="max_rounds", correct=False)) == "no answer"


def test_a_refusal_shows_nothing() -> None:
    assert Turn(role="tool", content=(Text(text="Error: no such video."),)).refused
    assert not Turn(role="tool", content=(Text(text="Error: "), frame(1.0))).refused
    assert not Turn(role="assistant", content=(Text(text="Error: I am lost."),)).refused


def test_arguments_are_written_as_a_reader_would() -> None:
    call = ToolCall(id="1", name="f", arguments={"a": "ü\n", "b": 1.5, "c": [1, None], "d": True})
    assert arguments(call) == [("a", '"ü\\n"'), ("b", "1.5"), ("c", "[1, null]"), ("d", "true")]


@pytest.mark.parametrize("length_s", [0.0, 0.4, 3.0, 9.6, 61.0, 119.9, 3600.0, 9e5])
def test_axis_is_short_and_inside(length_s: float) -> None:
    axis = Ruler(length_s).axis()
    assert 1 <= len(axis) <= 9 and axis[0] == ("0.00", 0.0)
    assert all(time_s <= max(length_s, 1e-3) for _, time_s in axis)


def test_timeline_places_window_calls_and_frames(sample: Sample) -> None:
    calls = [
        ToolCall(id="1", name="crop_video", arguments={"start_time": 5, "end_time": 10.0}),
        ToolCall(id="2", name="crop_video", arguments={"start_time": 15, "end_time": 900}),
        ToolCall(id="3", name="zoom", arguments={"start_time": "NaN", "end_time": float("nan")}),
        ToolCall(id="4", name="", error="not JSON"),
        ToolCall(id="5", name="crop_video", arguments={"start_time": 1e300, "end_time": True}),
    ]
    turns = (
        Turn(role="user", content=(frame(0.0), frame(10.0))),
        Turn(role="assistant", tool_calls=tuple(calls)),
        Turn(role="tool", content=(frame(5.0), frame(7.5)), tool_call_id="1"),
        Turn(role="tool", content=(Text(text="Error: past the end."),), tool_call_id="2"),
        Turn(role="tool", content=(frame(2.0), frame(4.0), frame(3.0, "prompt_1")), tool_call_id="3"),
        Turn(role="tool", content=(Text(text="Error: not JSON."),), tool_call_id="4"),
    )
    time = timeline(sample, played(turns))
    assert time["window"] == (8.0, 11.0, "40.00", "15.00")
    assert (time["overview"], time["ticks"]) == (2, "M0.00 0V1M50.00 0V1")
    assert [call["state"] for call in time["calls"]] == ["done", "refused", "done", "refused", "not carried out"]
    bars = [call["bar"] and tuple(call["bar"][2:]) for call in time["calls"]]
    assert bars == [("25.00", "25.00"), ("75.00", "25.00"), ("10.00", "10.00"), None, None]
    assert time["calls"][0]["ticks"] == "M25.00 0V1M37.50 0V1"
    assert time["calls"][2]["marks"] == [("15.00", 3.0)]
