"""Grading: what became of one play, as a graded item. How it ended comes before what it says.

An error's text is never read as a reply, and words before the last look are no answer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from seekerdata.models import ModelSettings
from seekerdata.reward import accuracy_by_rule
from seekerdata.trajectory import StopReason
from seekereval.item import Call, Graded, Item, State, Turned

LIMITED = "the runner's limits ended it"
GRADED, HOPELESS = "graded", "hopeless"
"""Where a score's metadata in the log holds the graded item but for the item itself, and what a judge of whom no
verdict can be expected said: a wrong key, an unknown model."""


async def graded_of(item: Item, played: Mapping[str, Any] | None, judge: ModelSettings | None) -> Graded:
    """The grade of one play.

    Args:
        item: the item as it was asked.
        played: what came of the play (`task.facts_of`), or its `error`; None if a limit of the runner ended it.
        judge: who grades open answers.
    """
    from seekereval.scoring import grade, grade_open

    if played is None:
        return Graded(item=item, state=State.TRUNCATED, error=LIMITED)
    if error := played.get("error"):
        return grade(item, "", error=error)
    facts: dict[str, Any] = {
        "calls": tuple(Call.model_validate(call) for call in played["calls"]),
        "frames": played["frames"],
        "seconds": played["seconds"],
        "usage": played["usage"],
    }
    reply, stop = played["reply"], StopReason(played["stop"])
    if stop is StopReason.REFUSED:
        return Graded(item=item, state=State.REFUSED, reply=reply, rule="the provider's filter", **facts)
    if played["looking"]:
        return Graded(item=item, state=State.TRUNCATED, reply=reply, rule=str(stop), **facts)
    truncated = stop is StopReason.TOO_LONG
    if item.scoring == "rule":
        return _by_rule(item, played, stop, facts)
    if judge is None:
        return grade(item, reply, truncated=truncated, **facts)
    return await grade_open(item, reply, judge, truncated=truncated, **facts)


def _by_rule(item: Item, played: Mapping[str, Any], stop: StopReason, facts: Mapping[str, Any]) -> Graded:
    """As training counts its plays (`seekerdata.grade.grade_by_rule`): a play that gave none has none."""
    from seekereval.scoring import grade

    if stop is not StopReason.ANSWERED:
        state = State.TRUNCATED if stop is StopReason.TOO_LONG else State.MISSING
        return Graded(item=item, state=state, reply=played["reply"], rule=str(stop), **facts)
    score = accuracy_by_rule(played["answer"], item.answer, item.options)
    read = grade(item, played["answer"], **facts)
    return read.model_copy(update={"reply": played["reply"], "score": score})


def whole(item: Item, turns: Sequence[Graded]) -> Graded:
    """One grade of all turns of an item: right if every turn is. Its reply and options are those of its worst turn."""
    if len(turns) == 1:
        return turns[0]
    worst = min(turns, key=lambda graded: graded.score)
    usage: Counter[str] = Counter()
    for turn in turns:
        usage.update(turn.usage)
    more = {
        "item": worst.item.model_copy(update={"id": item.id}),
        "turns": tuple(_turned(turn) for turn in turns),
        "calls": tuple(call for turn in turns for call in turn.calls),
        "frames": sum(turn.frames for turn in turns),
        "seconds": sum(turn.seconds for turn in turns),
        "usage": dict(usage),
    }
    return worst.model_copy(update=more)


def _turned(turn: Graded) -> Turned:
    kept = turn.model_dump(include=set(Turned.model_fields))
    return Turned(options=turn.item.options, gold=turn.item.answer, **kept)
