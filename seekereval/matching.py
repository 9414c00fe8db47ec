"""Match: which row of a file of replies belongs to which item. An item gets at most one row, a row at most one item.

A row is known by the question's id; where it names none, by its video and the question's words; where it holds neither
(lmms-eval), by its place, if the gold answer there is the same. What fits nothing is counted, never guessed.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from seekereval.item import Item
from seekereval.predictions import Prediction, Row

IDS = ("item_id", "question_id", "id")
VIDEOS = ("video_path", "video", "video_name", "videoID", "video_id")
_OPTIONS = re.compile(r"\n\s*\(?A\)?\s*[.:)].*", re.DOTALL)


@dataclass
class Match:
    """The rows by item id, and what did not fit: rows for no item, second rows for one, other gold answers."""

    found: dict[str, Prediction] = field(default_factory=dict)
    unknown: list[Prediction] = field(default_factory=list)
    repeated: list[Prediction] = field(default_factory=list)
    other_gold: list[Prediction] = field(default_factory=list)
    """Their row names another right answer than the item: another revision of the data, or shuffled options."""


def match(items: Sequence[Item], replies: Sequence[Prediction]) -> Match:
    """Give every row its item. Of two rows for the same item the first counts."""
    known, done = _Known(items), Match()
    for prediction in replies:
        candidates = known.of(prediction)
        item = next((one for one in candidates if one.id not in done.found), None)
        if item is None:
            (done.repeated if candidates else done.unknown).append(prediction)
            continue
        done.found[item.id] = prediction
        said = prediction.row.get("answer")
        if item.options and isinstance(said, str) and len(said) == 1 and item.answer and said != item.answer:
            done.other_gold.append(prediction)
    return done


class _Known:
    """Items by all that a row may call them."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.by_id: dict[str, list[Item]] = defaultdict(list)
        self.by_video: dict[str, list[Item]] = defaultdict(list)
        for item in items:
            for name in dict.fromkeys([item.id, *_values(item.row, IDS)]):
                self.by_id[name].append(item)
            for name in dict.fromkeys([_stem(item.video), *map(_stem, _values(item.row, VIDEOS))]):
                self.by_video[name].append(item)

    def of(self, prediction: Prediction) -> list[Item]:
        """The items a row may mean, the likeliest first; more than one only where a benchmark asks twice."""
        row = prediction.row
        for name in _values(row, IDS):
            if named := self.by_id.get(name):
                return _closest(named, row)
        asked = _plain(_OPTIONS.sub("", str(row.get("question", ""))))
        if asked:
            about = {item.id: item for name in _values(row, VIDEOS) for item in self.by_video.get(_stem(name), ())}
            return _closest([item for item in about.values() if _plain(item.question) == asked], row)
        if prediction.position is not None and prediction.position < len(self.items):
            item = self.items[prediction.position]
            return [item] if row.get("answer") in (item.answer, item.row.get("answer")) else []
        return []


def _closest(items: list[Item], row: Row) -> list[Item]:
    """Those first whose own row agrees with most of this one."""
    if len(items) < 2:
        return items
    return sorted(items, key=lambda item: -sum(item.row.get(key) == value for key, value in row.items()))


def _values(row: Row, keys: Sequence[str]) -> Iterator[str]:
    given: Any
    for key in keys:
        if (given := row.get(key)) is not None and given != "":
            yield str(given)


def _stem(path: str) -> str:
    """A video's name without folders and without the ending of a file."""
    name = PurePosixPath(path.replace("\\", "/")).name
    return re.sub(r"\.(mp4|mkv|webm|avi|mov|flv|m4v)$", "", name, flags=re.IGNORECASE)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()
