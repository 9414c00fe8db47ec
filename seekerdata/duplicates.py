"""Duplicates: rows that ask the same thing about the same thing in the same video. What is found depends on the set of
rows, never on their order.

Exact: one video (sha256), the same words of the question and of the answer. Near: nearly the same words of the question
(`NEAR`), the same words of the answer, and the same target (`SAME_TARGET`). Two targets that are seen apart at one time
are two questions, whatever their words: the mark tells them apart.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from seekerdata.instance import Box
from seekerdata.sample import Sample, digest

NEAR = 0.8
"""Least share of words that two near-equal questions have in common (Jaccard); they differ in no word with a digit."""
SAME_TARGET = 0.5
"""Least overlap (IoU) of two boxes of one target."""
SAME_TIME_S = 0.5
"""Boxes further apart in time than this are not compared."""


class Asking(NamedTuple):
    """What of a sample decides whether another asks the same."""

    id: str
    video: str
    question: tuple[str, ...]
    """Words of the text question: two marks of one thing are the same question."""
    answer: tuple[str, ...]
    boxes: tuple[tuple[float, Box], ...]
    """Where the target is, by time."""

    @classmethod
    def of(cls, sample: Sample) -> "Asking":
        sightings = sample.instance.sightings if sample.instance else ()
        return cls(
            sample.id,
            sample.video.sha256,
            _words(sample.text_question or sample.question),
            _words(sample.answer_text),
            tuple((seen.time_s, seen.box_xyxy) for seen in sightings),
        )


def duplicates(askings: Iterable[Asking]) -> dict[str, str]:
    """For every row that asks what an earlier one asks, that one's id; the order is that of the ids' hashes.

    The earlier one is never itself a duplicate.
    """
    first = defaultdict[tuple, list[Asking]](list)
    found = {}
    for asking in sorted(askings, key=lambda asking: (digest(asking.id), asking.id)):
        others = first[asking.video, asking.answer]
        same = next((other for other in others if asks_the_same(asking, other)), None)
        if same:
            found[asking.id] = same.id
        else:
            others.append(asking)
    return found


def asks_the_same(one: Asking, other: Asking) -> bool:
    """Whether two rows are exact or near duplicates."""
    if (one.video, one.answer) != (other.video, other.answer):
        return False
    alike = overlap_at_one_time(one, other)
    if one.question == other.question:
        return alike is None or alike >= SAME_TARGET
    return alike is not None and alike >= SAME_TARGET and _near(set(one.question), set(other.question))


def overlap_at_one_time(one: Asking, other: Asking) -> float | None:
    """IoU of the two boxes nearest in time, None if the targets are never known at the same time."""
    pairs = ((abs(a - b), a, b, mine, yours) for a, mine in one.boxes for b, yours in other.boxes)
    nearest = min(pairs, default=None)
    if nearest is None or nearest[0] > SAME_TIME_S:
        return None
    return box_iou(nearest[3], nearest[4])


def box_iou(one: Box, other: Box) -> float:
    """Intersection over union; 0.0 for boxes without area."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    either = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - both
    return both / either if both > 0 else 0.0


def _near(one: set[str], other: set[str]) -> bool:
    if any(any(letter.isdigit() for letter in word) for word in one ^ other):
        return False
    return len(one & other) >= NEAR * len(one | other)


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))
