"""Page: a static HTML page of what a run made, each item as its model saw it: frames, thoughts, calls, verdict.

Every word on it is text (escaped, kept in its own direction); opened from a file, it asks no server for anything.
"""

import base64
import hashlib
import io
import math
import os
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import PIL.Image

from seekerdata.errors import ItemError
from seekerdata.exhibit import (
    Exhibit,
    answer_state,
    arguments,
    pieces,
    timeline,
)
from seekerdata.sample import LETTERS
from seekerdata.trajectory import Image
from seekerdata.visual_prompt import COLOURS
from seekerdata.workspace import write_atomically

__all__ = ["Exhibit", "LeftOut", "write_page"]

EMBED_LIMIT_BYTES = 30_000_000
"""Up to here the pictures go inside the page, which is then one file to share."""
MARKED_PX, RAW_PX, STRIP_PX, INDEX_PX = 960, 640, 160, 128
"""Longest side of the marked frame, the raw frame, an overview frame and the picture in the list of items."""
STRIP_FRAMES = 48
"""Of a longer overview this many frames are shown, evenly spread; the page says how many there were."""
FILTERS = {
    "outcome": "any outcome",
    "answer": "any answer",
    "dimension": "all dimensions",
    "shape": "all shapes",
    "calls": "any calls",
}
"""What items are chosen by, and what stands there while nothing is chosen; a benchmark's groupings come after."""
BALANCES = ("shape", "dimension", "gold")
NOT_SAID = "not said"

_PICTURE_NAME = re.compile(r"[0-9a-f]{24}\.jpg")


class LeftOut(NamedTuple):
    """An item that did not come through. `reason` begins with the word that is counted."""

    id: str
    stage: str
    status: str
    reason: str


def write_page(
    path: Path,
    title: str,
    facts: Mapping[str, str],
    stages: Sequence[Mapping[str, Any]],
    exhibits: Iterable[Exhibit],
    left_out: Iterable[LeftOut] = (),
    *,
    dimensions: Mapping[str, str] | None = None,
    thumbnail_px: int = 320,
    embed_limit_bytes: int = EMBED_LIMIT_BYTES,
) -> None:
    """Write a page that opens from disk in any browser; the same arguments give the same bytes.

    A small run becomes one file: its pictures are inside while they take up to `embed_limit_bytes` as text. Beyond
    that they are files named by content in `<stem>_files/` beside the page, and the two travel together. Exhibits
    are taken one at a time; only words and, below the limit, small JPEGs are kept.

    Args:
        path: the HTML file; replaced whole.
        title: what the page is about.
        facts: shown below the title in this order.
        stages: `name, kept, dropped, failed` of each stage, as in a run's manifest; may be empty.
        exhibits: the items, in the order shown.
        left_out: items that were dropped or failed, listed by stage and reason.
        dimensions: names of dimension codes. The caller says which: V2P-Bench has two maps.
        thumbnail_px: longest side of the frames that calls returned.

    Raises:
        SeekerError: the disk is full or not writable.
    """
    from seekerdata.card import template

    pictures = _Pictures(path.with_name(f"{path.stem}_files"), embed_limit_bytes)
    views = [_view(n, e, pictures, thumbnail_px) for n, e in enumerate(exhibits, start=1)]
    labels = {**FILTERS, **_grouped_views(views)}
    parts = template("page.html.jinja").generate(
        title=title,
        facts=facts,
        stages=stages,
        views=views,
        filters={key: _counts(views, key) for key in labels},
        labels=labels,
        balances={key: _counts([v for v in views if v["shape"] != NOT_SAID], key) for key in BALANCES},
        left_out=_grouped(left_out),
        dimensions=dimensions or {},
        letters=LETTERS,
        src=pictures.src,
        csp_hash=_csp_hash,
    )
    write_atomically(path, (part.encode("utf-8", "replace") for part in parts))
    pictures.tidy()


class _Shot(NamedTuple):
    """A picture on the page: its file name and size, or why there is none."""

    name: str = ""
    width: int = 0
    height: int = 0
    fault: str = "no picture"


class _Pictures:
    """The page's JPEGs by content: held in memory while they fit inside the page, else files in its folder."""

    def __init__(self, folder: Path, room_bytes: int) -> None:
        self.folder, self.room_bytes = folder, room_bytes
        self.held: dict[str, bytes] = {}
        self.names: set[str] = set()
        self._known: dict[tuple[str, tuple[int, int], int], _Shot] = {}

    @property
    def embedded(self) -> bool:
        return self.room_bytes >= 0

    def shot(self, picture: PIL.Image.Image | None, longest_px: int) -> _Shot:
        """Take in a picture, shrunk to `longest_px`."""
        if picture is None:
            return _Shot()
        small = picture.convert("RGB")
        small.thumbnail((longest_px, longest_px), PIL.Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        fine = longest_px >= RAW_PX  # 4:2:0 smears coloured marks, which people look at closely there
        small.save(buffer, "JPEG", quality=88 if fine else 80, subsampling=0 if fine else 2)
        data = buffer.getvalue()
        name = f"{hashlib.sha256(data).hexdigest()[:24]}.jpg"
        self.names.add(name)
        if self.embedded:
            self.held[name] = data
            self._use(name)
        else:
            self._write(name, data)
        return _Shot(name, *small.size, fault="")

    def look(self, exhibit: Exhibit, image: Image, longest_px: int) -> _Shot:
        """The picture of a reference; a frame that an earlier conversation showed is not made again."""
        key = (image.sha256, image.size_wh, longest_px)
        if key in self._known:
            self._use(self._known[key].name)
        elif exhibit.picture is None:
            return _Shot()
        else:
            try:
                self._known[key] = self.shot(exhibit.picture(image), longest_px)
            except ItemError as error:
                return _Shot(fault=f"{error.code}: {error.message}")
        return self._known[key]

    def src(self, name: str) -> str:
        """What an <img> names: the picture itself, or its file."""
        if self.embedded:
            return f"data:image/jpeg;base64,{base64.b64encode(self.held[name]).decode('ascii')}"
        return f"{urllib.parse.quote(os.fsencode(self.folder.name))}/{name[:2]}/{name}"

    def tidy(self) -> None:
        """Remove pictures that an earlier page of this name left and this one does not show."""
        kept = set() if self.embedded else self.names
        for file in self.folder.glob("??/*.jpg"):
            if _PICTURE_NAME.fullmatch(file.name) and file.name not in kept:
                file.unlink(missing_ok=True)

    def _use(self, name: str) -> None:
        """Count one more place that shows a picture; when there is no room left, all become files."""
        if not self.embedded:
            return
        self.room_bytes -= 4 * math.ceil(len(self.held[name]) / 3)
        while not self.embedded and self.held:
            self._write(*self.held.popitem())

    def _write(self, name: str, data: bytes) -> None:
        file = self.folder / name[:2] / name
        if not file.exists():
            write_atomically(file, data)


def _view(number: int, exhibit: Exhibit, pictures: _Pictures, thumbnail_px: int) -> dict[str, Any]:
    """What the template shows of one item; no pixels in it."""
    sample, trajectory = exhibit.sample, exhibit.trajectory
    mark = sample.visual_prompts[0] if sample.visual_prompts else None
    return {
        "number": number,
        "sample": sample,
        "trajectory": trajectory,
        "verdict": exhibit.verdict,
        "mark": mark,
        "swatch": COLOURS.get(mark.colour) if mark else None,
        "outcome": exhibit.verdict.partition(":")[0].strip() or NOT_SAID,
        "answer": exhibit.state or answer_state(trajectory),
        "note": exhibit.note,
        "groups": exhibit.groups,
        "dimension": sample.dimension or NOT_SAID,
        "shape": mark.shape if mark else NOT_SAID if exhibit.state else "no mark",
        "calls": str(len(trajectory.calls)) if trajectory else "not played",
        "gold": sample.answer if sample.options else "open",
        "marked": pictures.shot(exhibit.marked, MARKED_PX),
        "raw": pictures.shot(exhibit.raw, RAW_PX),
        "small": pictures.shot(exhibit.marked, INDEX_PX),
        "time": timeline(sample, trajectory),
        "ways": exhibit.ways,
        "turns": _turns(exhibit, pictures, thumbnail_px),
    }


def _grouped_views(views: list[dict[str, Any]]) -> dict[str, str]:
    """Put every grouping that items have into their views, as `group0`, `group1`, ...; the words to choose it by."""
    names = list(dict.fromkeys(name for view in views for name in view["groups"]))
    for n, name in enumerate(names):
        for view in views:
            view[f"group{n}"] = view["groups"].get(name) or NOT_SAID
    return {f"group{n}": f"any {name.replace('_', ' ')}" for n, name in enumerate(names)}


def _turns(exhibit: Exhibit, pictures: _Pictures, thumbnail_px: int) -> list[dict[str, Any]]:
    """Every turn in order, frames with their pictures, calls numbered through."""
    turns, calls_before = [], 0
    for turn in exhibit.trajectory.turns if exhibit.trajectory else ():
        calls = [
            {"number": n, "call": call, "arguments": arguments(call)}
            for n, call in enumerate(turn.tool_calls, start=calls_before + 1)
        ]
        calls_before += len(calls)
        longest_px = thumbnail_px if turn.role == "tool" else STRIP_PX
        shown = []
        for piece in pieces(turn):
            frames = piece.frames if turn.role == "tool" else _thinned(piece.frames)
            shots = [(pictures.look(exhibit, image, longest_px), image, told) for image, told in frames]
            shown.append({"piece": piece, "shots": shots})
        turns.append({"turn": turn, "pieces": shown, "calls": calls, "refused": turn.refused})
    return turns


def _thinned(frames: list[Any]) -> list[Any]:
    """At most STRIP_FRAMES of them, evenly spread, the first and the last among them."""
    if len(frames) <= STRIP_FRAMES:
        return frames
    step = (len(frames) - 1) / (STRIP_FRAMES - 1)
    return [frames[round(n * step)] for n in range(STRIP_FRAMES)]


def _counts(views: list[dict[str, Any]], key: str) -> list[tuple[str, int]]:
    """How many items have each value: numbers by size, words by the alphabet, what is not said last."""
    counts = Counter(view[key] for view in views)
    return sorted(counts.items(), key=lambda pair: _rank(pair[0]))


def _rank(value: str) -> tuple[bool, int, str]:
    return value == NOT_SAID, int(value) if value.isdecimal() else 0, value


def _grouped(left_out: Iterable[LeftOut]) -> list[tuple[str, str, str, list[LeftOut]]]:
    """Items left out by stage, status and first word of the reason, in the order given."""
    groups: dict[tuple[str, str, str], list[LeftOut]] = {}
    for row in map(LeftOut._make, left_out):
        key = (row.stage, row.status, row.reason.partition(":")[0])
        groups.setdefault(key, []).append(row)
    return [(*key, rows) for key, rows in groups.items()]


def _csp_hash(script: str) -> str:
    """The page's own script by its hash: a browser then runs no other, wherever it came from."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode('ascii')}"
