"""Looks: each look of a trajectory as a conversation of its own."""

from collections.abc import Callable
from typing import Any

from seekertrain.looks import looks

Row = dict[str, Any]


def thought_of(row: Row, turn: int, thought: str) -> None:
    row["messages"][turn]["content"] = [{"type": "text", "text": f"<think>{thought}</think>"}]


def test_a_look_is_its_pictures_between_two_thoughts(trajectory: Callable[..., Row]) -> None:
    row = trajectory("one", thought="I need to see it.")
    thought_of(row, 4, "It is on the left.")
    mark, crop = looks(row)
    assert mark["images"] == row["images"][3:4] and crop["images"] == row["images"][4:]
    user, said = mark["messages"]
    assert [block["type"] for block in user["content"]] == ["text", "text", "image"]
    assert (user["role"], user["content"][0]["text"], user["loss"]) == ("user", "I need to see it.\n", False)
    assert (said["content"], said["loss"]) == (row["messages"][4]["content"], True)
    assert said["tool_calls"] == [] == mark["tools"]
    assert crop["messages"][1]["content"][0]["text"] == "<think>It is red.</think>"
    assert len({row["id"], mark["id"], crop["id"]}) == 3


def test_looks_after_which_nothing_is_thought_or_imitated_are_none(trajectory: Callable[..., Row]) -> None:
    row = trajectory("one")  # its crop is asked for without a thought
    assert [len(look["images"]) for look in looks(row)] == [4]
    row["messages"][-1]["loss"] = False
    assert list(looks(row)) == []
    refused = trajectory("two", refused=True)  # a refusal shows no picture
    assert [len(look["images"]) for look in looks(refused)] == [4]
