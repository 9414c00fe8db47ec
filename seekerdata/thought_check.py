"""ThoughtCheck: a model that names the thoughts of a play which state what had not been shown by then.

It reads the play as words: of a picture it knows where and when it was taken. A failure is never a pass.
"""

import re
from typing import Any

from seekerdata.errors import ItemError
from seekerdata.judge import settle
from seekerdata.models import ModelSettings
from seekerdata.prompts import THOUGHTS
from seekerdata.trajectory import Trajectory, Turn
from seekerdata.verdict import Decision, Verdict

_STAMP = re.compile(r"<\d+\.\d seconds>\n?")


class ThoughtVerdict(Verdict):
    """Which turns hold such a thought, by their number in the play; none if all is well."""

    early: list[int]
    reason: str


async def check_thoughts(settings: ModelSettings, trajectory: Trajectory) -> Decision[ThoughtVerdict]:
    """The verdict on one play, asked as a judge is.

    Raises:
        SeekerError: a wrong key, an unknown model or a missing package.
        ItemError: `judge_failed`, to be tried again.
    """
    turns = [_as_words(number, turn) for number, turn in enumerate(trajectory.turns, start=1) if turn.role != "system"]
    thoughts = {turn["turn"] for turn in turns if "said" in turn}

    def among_thoughts(verdict: ThoughtVerdict) -> None:
        if wrong := sorted(set(verdict.early) - thoughts):
            raise ValueError(f"turn {wrong[0]} holds no thought")

    try:
        return await settle(settings, THOUGHTS, THOUGHTS.item(turns=turns), ThoughtVerdict, check=among_thoughts)
    except ItemError as error:
        raise ItemError(error.code, f"check_thoughts: {error.message}", error.retryable) from None


def _as_words(number: int, turn: Turn) -> dict[str, Any]:
    """One turn: what the model said and called, or what it was told and shown."""
    if turn.role == "assistant":
        calls = [{"name": call.name, "arguments": call.arguments} for call in turn.tool_calls]
        return {"turn": number, "said": turn.text, **({"calls": calls} if calls else {})}
    pictures: dict[str, list[float | None]] = {}
    for image in turn.images:
        time_s = None if image.time_s is None else round(image.time_s, 1)
        pictures.setdefault(image.source, []).append(time_s)
    return {"turn": number, "pictures_at_s": pictures, "told": _STAMP.sub("", turn.text).strip()}
