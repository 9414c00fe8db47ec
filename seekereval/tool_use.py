"""ToolUse: how often a model looked closer, whether it looked at the right time, and whether that went with being
right. It says nothing of cause: who calls a tool may have met the harder item.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from seekereval.item import Call, Frozen, Graded, Item


class ToolUse(Frozen):
    """Over the items of a run. Shares are 0 to 1, None where there is nothing to divide by; accuracies in percent."""

    use_rate: float
    """Items with a call, of all items."""
    calls_per_item: float
    calls: dict[str, int] = Field(default_factory=dict)
    """By the tool's name, as the model wrote it."""
    error_rate: float | None
    """Calls that ended in an error, of all calls."""
    evidence_hit: float | None
    """Items of which a crop without an error meets a stretch that shows the answer, of those that state one."""
    evidence_items: int
    accuracy_with: float | None
    accuracy_without: float | None


def tool_use(graded: Sequence[Graded]) -> ToolUse:
    """What became of the tools over a run of one item or more."""
    calls = [call for row in graded for call in row.calls]
    used = [row for row in graded if row.calls]
    scored = [row for row in graded if row.item.is_scored]
    stated = [row for row in graded if row.item.evidence_s]
    return ToolUse(
        use_rate=len(used) / len(graded),
        calls_per_item=len(calls) / len(graded),
        calls=dict(Counter(call.name for call in calls).most_common()),
        error_rate=_share(sum(bool(call.error) for call in calls), len(calls)),
        evidence_hit=_share(sum(_hits(row) for row in stated), len(stated)),
        evidence_items=len(stated),
        accuracy_with=_accuracy([row for row in scored if row.calls]),
        accuracy_without=_accuracy([row for row in scored if not row.calls]),
    )


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None


def _accuracy(graded: Sequence[Graded]) -> float | None:
    return _share(100 * sum(row.score for row in graded), len(graded))


def _hits(row: Graded) -> bool:
    return any(_meets(call, row.item) for call in row.calls)


def _meets(call: Call, item: Item) -> bool:
    """Whether a crop shows some of the evidence; a moment counts where the crop's first and last moments do."""
    start, end = _seconds(call.arguments, "start_time"), _seconds(call.arguments, "end_time")
    if call.name != "crop_video" or call.error or start is None or end is None:
        return False
    return any(start <= last and first <= end for first, last in item.evidence_s)


def _seconds(arguments: Mapping[str, Any], name: str) -> float | None:
    try:
        return float(arguments[name])
    except (KeyError, TypeError, ValueError):
        return None
