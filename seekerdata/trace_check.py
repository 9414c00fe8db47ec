"""TraceCheck: what is wrong with a played trajectory, whatever its answer is worth. Pure functions of what was said.

Each gives the fault in one line, empty if there is none.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from seekerdata.said_time import every_number, said_times
from seekerdata.trajectory import Trajectory, Turn

_TAG = re.compile(r"<(/?(?:think|answer))>", flags=re.IGNORECASE)
_PAPER = re.compile(r"think /think (?:tool_call think /think )*answer /answer")


class Spoken(NamedTuple):
    """One turn as far as it concerns times: who spoke, the words, and the values a call asked with."""

    role: str
    text: str
    asked: Sequence[Any] = ()


def trace_fault(trajectory: Trajectory, max_tool_errors: int) -> str:
    """The first fault of a trajectory that training should imitate; begins with `bad_format`, `early_time` or
    `tool_errors`."""
    if fault := format_of(trajectory.turns):
        return f"bad_format: {fault}"
    if fault := early_time(spoken(trajectory)):
        return f"early_time: {fault}"
    errors = tool_errors(trajectory)
    return f"tool_errors: {errors}, at most {max_tool_errors}" if errors > max_tool_errors else ""


def spoken(trajectory: Trajectory) -> Iterable[Spoken]:
    """The turns of a trajectory as far as they concern times."""
    return (Spoken(t.role, t.text, [v for c in t.tool_calls for v in c.arguments.values()]) for t in trajectory.turns)


def format_of(turns: Sequence[Turn]) -> str:
    """The model's turns, read as one, are `think (tool_call think)* answer`: each opens with its thought, two calls
    never share a turn, and nothing follows the one answer. Source: VideoSeeker's format reward."""
    said = [turn for turn in turns if turn.role == "assistant"]
    for number, turn in enumerate(said, start=1):
        if not turn.text.lstrip().lower().startswith("<think>"):
            return f"turn {number} does not open with a thought"
    if not said or not said[-1].text.rstrip().lower().endswith("</answer>"):
        return "the last turn does not end with an answer"
    order = " ".join(word for turn in said for word in _structure(turn))
    return "" if _PAPER.fullmatch(order) else f"the order is {order[:200]}"


def _structure(turn: Turn) -> list[str]:
    return [tag.lower() for tag in _TAG.findall(turn.text)] + ["tool_call"] * len(turn.tool_calls)


def early_time(turns: Iterable[Spoken]) -> str:
    """A thought names only times that were shown or asked before it, or that it asks for itself."""
    known: set[float] = set()
    for turn in turns:
        own = {round(v, 1) for v in turn.asked if isinstance(v, int | float) and math.isfinite(v)}
        if turn.role == "assistant":
            if early := [said for said in said_times(turn.text) if not said.is_one_of(known | own)]:
                return f"names {early[0].words} before it was shown"
        else:
            known |= every_number(turn.text)
        known |= own
    return ""


def tool_errors(trajectory: Trajectory) -> int:
    """Calls that were refused."""
    return sum(turn.refused for turn in trajectory.turns)


def recovered(trajectory: Trajectory) -> Trajectory:
    """The trajectory with the turns of refused calls out of the loss: they are seen, not imitated. If a call was
    carried out after the last of them, it is of the kind `recovery`."""
    refused = [number for number, turn in enumerate(trajectory.turns) if turn.refused]
    if not refused:
        return trajectory
    wrong = {trajectory.turns[number].tool_call_id for number in refused}
    turns = tuple(
        turn.model_copy(update={"loss": False}) if wrong & {call.id for call in turn.tool_calls} else turn
        for turn in trajectory.turns
    )
    mended = any(turn.role == "tool" for turn in trajectory.turns[refused[-1] + 1 :])
    return trajectory.model_copy(update={"turns": turns, "kind": "recovery" if mended else trajectory.kind})
