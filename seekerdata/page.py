"""Page: a static HTML page of what a run made, each item as its model saw it: frames, thoughts, calls, verdict.

Every word on it is text (escaped, kept in its own direction); opened from a file, it asks no server for anything.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.exhibit import Exhibit, answer_state, arguments, pieces, timeline
from seekerdata.sample import LETTERS
from seekerdata.site import CHUNK_ITEMS, Shot, Site
from seekerdata.visual_prompt import COLOURS
from seekerdata.workspace import write_atomically

__all__ = ["Exhibit", "LeftOut", "write_page"]

EMBED_LIMIT_BYTES = 30_000_000
"""Up to here pictures and words go inside the page, which is then one file to share."""
MARKED_PX, RAW_PX, STRIP_PX, INDEX_PX = 960, 640, 160, 128
"""Longest side of the marked frame, the raw frame, an overview frame and the picture in the list of items."""
STRIP_FRAMES = 48
"""Of a longer overview this many frames are shown, evenly spread; the page says how many there were."""
MOST_LEFT_OUT = 100
"""So many items are named that were left out for one reason; the others are counted."""
FILTERS = ("outcome", "answer", "dimension", "shape", "calls")
"""What items are chosen by; a benchmark's groupings come after."""
BALANCES = ("shape", "dimension", "gold")
NOT_SAID = "not said"


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

    A small run becomes one file: pictures and words are inside while they take up to `embed_limit_bytes`. Beyond that
    the page holds one line for each item, and the rest are files named by content in `<stem>_files/` beside it, read
    when they are looked at; the two travel together. Exhibits are taken one at a time; only those lines and, below the
    limit, words and small JPEGs are kept.

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

    site = Site(path.with_name(f"{path.stem}_files"), embed_limit_bytes)
    words: dict[str, Any] = {"dimensions": dimensions or {}, "letters": LETTERS}
    lines = []
    for number, exhibit in enumerate(exhibits, start=1):
        view = _view(number, exhibit, site, thumbnail_px)
        site.add(template("item.html.jinja").render(view=view, src=site.place, **words))
        lines.append(_line(view))
    site.finish()
    labels = {key: key for key in FILTERS} | _groupings(lines)
    counts = {key: _counts(lines, key) for key in labels}
    parts = template("page.html.jinja").generate(
        title=title,
        facts=facts,
        stages=stages,
        index={"chunks": site.chunks, "share": CHUNK_ITEMS, "items": [_listed(line, labels, site) for line in lines]},
        bodies=site.bodies(),
        filters={key: found for key, found in counts.items() if len(found) > 1},
        labels=labels,
        balances={key: _counts([line for line in lines if line["shape"] != NOT_SAID], key) for key in BALANCES},
        left_out=_grouped(left_out),
        most_left_out=MOST_LEFT_OUT,
        csp_hash=_csp_hash,
        **words,
    )
    write_atomically(path, (part.encode("utf-8", "replace") for part in parts))


def _view(number: int, exhibit: Exhibit, site: Site, thumbnail_px: int) -> dict[str, Any]:
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
        "marked": site.shot(exhibit.marked, MARKED_PX),
        "raw": site.shot(exhibit.raw, RAW_PX),
        "small": site.shot(exhibit.marked, INDEX_PX),
        "time": timeline(sample, trajectory),
        "ways": exhibit.ways,
        "turns": _turns(exhibit, site, thumbnail_px),
    }


def _line(view: dict[str, Any]) -> dict[str, Any]:
    """What the list keeps of an item: its values of every filter, and the words that are searched before all others."""
    sample, trajectory = view["sample"], view["trajectory"]
    target = sample.target
    told = [
        sample.id,
        *sample.options,
        target.tag,
        target.evidence,
        sample.text_question,
        view["note"],
        view["verdict"],
    ]
    told += [sample.video.origin, *view["groups"].values(), *([trajectory.answer] if trajectory else [])]
    named = [sample.dimension, view["shape"].replace("_", " ")]
    label = [name for name in named if name and name != NOT_SAID] or list(dict.fromkeys(view["groups"].values()))[:3]
    return {
        **{key: view[key] for key in {*FILTERS, *BALANCES, "groups", "small"}},
        "asks": sample.question,
        "label": " · ".join(label),
        "also": " ".join(dict.fromkeys(filter(None, told))),
    }


def _groupings(lines: list[dict[str, Any]]) -> dict[str, str]:
    """Put every grouping that items have into their lines, as `group0`, `group1`, ...; the words to choose it by."""
    names = list(dict.fromkeys(name for line in lines for name in line["groups"]))
    for n, name in enumerate(names):
        for line in lines:
            line[f"group{n}"] = line["groups"].get(name) or NOT_SAID
    return {f"group{n}": name.replace("_", " ") for n, name in enumerate(names)}


def _listed(line: dict[str, Any], labels: Iterable[str], site: Site) -> dict[str, Any]:
    """A line as the page's script reads it."""
    small: Shot = line["small"]
    shown = {key: line[key] for key in ("asks", "label", "also")}
    picture = site.src(small.name) if small.name else ""
    framed = bool(picture) or line["shape"] != NOT_SAID
    return {**shown, "of": {key: line[key] for key in labels}, "picture": picture, "framed": framed}


def _turns(exhibit: Exhibit, site: Site, thumbnail_px: int) -> list[dict[str, Any]]:
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
            shots = [(site.look(exhibit, image, longest_px), image, told) for image, told in frames]
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
