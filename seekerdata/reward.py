"""Reward: what an answer and the way to it are worth. Pure functions of what was said; each part is 0 to 1."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from seekerdata.answers import is_choice_right, read_choice
from seekerdata.rollout import ending
from seekerdata.trace_check import format_of
from seekerdata.trajectory import Turn

ANSWER_CHARS = 1000
"""From this length on an answer is none, as VideoSeeker's reward code has it: it would hold every possible answer."""


def accuracy_by_rule(answer: str, gold: str, options: tuple[str, ...] = ()) -> float:
    """1.0 if the answer is right, else 0.0; no answer is 0.0, never a guess.

    Multiple choice is read with `read_choice`; an open answer must have the gold's words (case, articles and
    punctuation apart), which suits a closed vocabulary such as the world's. Free answers need a judge.
    """
    if options:
        return float(is_choice_right(read_choice(answer, list(options)), gold))
    return float(bool(_plain(answer)) and _plain(answer) == _plain(gold))


def answer_of(turns: Sequence[Turn]) -> str:
    """The answer that a play commits to, empty if there is none: the last block after the last thought of the last
    turn, if that is the model's, calls nothing and is shorter than `ANSWER_CHARS`."""
    if not turns or turns[-1].role != "assistant":
        return ""
    answer = ending(turns[-1], None)[1]
    return answer if len(answer) < ANSWER_CHARS else ""


def format_reward(turns: Sequence[Turn]) -> float:
    """1.0 if every turn of the model is a thought and then either one readable call or, last, the one answer; else 0.0.

    Source: VideoSeeker (arXiv 2605.16079), whose tags must read `think (tool_call think)* answer` from the first sign
    to the last, with an answer shorter than `ANSWER_CHARS`. Ours alone: a call must be readable, an answer not empty.
    """
    readable = not any(call.error for turn in turns for call in turn.tool_calls)
    return float(readable and bool(answer_of(turns)) and not format_of(turns))


def parsimony(calls: int, weight: float) -> float:
    """max(0, 1 - weight * calls): 1.0 without calls, less with each, refused ones included.

    Source: VideoSeeker's third term; its weight (lambda) is unpublished.
    """
    return max(0.0, 1.0 - weight * calls)


def zoom_bonus(accuracy: float, looks: int) -> float:
    """1.0 for a right answer (accuracy 1.0) after at least one look, else 0.0; more looks are worth no more.

    Source: VideoZoomer (arXiv 2512.22315), which gives a bonus for tool use only where the answer is right. Its size is
    unpublished, and off in the released script.

    Args:
        accuracy: 0 to 1.
        looks: calls that were carried out; refused ones do not count.
    """
    return float(accuracy == 1.0 and looks > 0)


def combined(parts: Mapping[str, float | None], weights: Mapping[str, float]) -> float | None:
    """The weighted sum of a rollout's parts; None if any of them could not be told.

    Raises:
        KeyError: a part has no weight.
    """
    told = [(weights[name], value) for name, value in parts.items()]
    return None if any(value is None for _, value in told) else sum(w * v for w, v in told if v is not None)


def _plain(text: str) -> list[str]:
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())
    return [word for word in words if word not in {"a", "an", "the"}]
