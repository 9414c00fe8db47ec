"""Inventory: what of a benchmark lies in a folder: what is there, is missing, or differs from what is published.

Nothing is downloaded or decoded.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from seekerdata.errors import ItemError
from seekerdata.listing import is_file
from seekerdata.row import inside_path
from seekereval.benchmark import DEFECTS, Benchmark, Count
from seekereval.item import Item

Verdict = Literal["ok", "missing", "differs", "known"]
"""`known`: a defect of the set as it is published, which no download mends."""


class Line(NamedTuple):
    """One thing that was looked for."""

    what: str
    expected: str
    found: str
    verdict: Verdict
    note: str = ""


def inventory(which: Benchmark, data: Path) -> list[Line]:
    """What lies in a folder, line by line: items, groups, files, defects.

    Raises:
        SeekerError: the folder does not hold the annotation files, or they are not what they should be.
    """
    items = which.items(data)
    lines = [*_sizes(which.counts, items)]
    for what, paths in (
        ("videos", [item.video for item in items]),
        ("marked frames", [frame for item in items for frame in item.marked_frames]),
        ("subtitles", [item.subtitles for item in items if item.subtitles]),
    ):
        lines += _files(what, list(dict.fromkeys(paths)), data)
    found = Counter(code for item in items for code in item.defects)
    lines += [Line(f"defect {code}", "", str(n), "known", DEFECTS.get(code, "")) for code, n in sorted(found.items())]
    return lines


def nearest(counts: Sequence[Count], items: int) -> Count | None:
    """The published size that is meant: the one with as many items, else the first."""
    return next((count for count in counts if count.items == items), counts[0] if counts else None)


def _sizes(counts: Sequence[Count], items: Sequence[Item]) -> Iterable[Line]:
    count = nearest(counts, len(items))
    if count is None:
        yield Line("items", "", str(len(items)), "ok", "no number is published for these settings")
        return
    sizes = ", ".join(f"{other.items} ({other.source})" for other in counts if other.items is not None)
    yield _compared("items", count.items, len(items), sizes)
    for grouping, groups in count.groups.items():
        found = Counter(item.groups.get(grouping, "") for item in items)
        unnamed = 0 if count.items is not None else None
        for group in [*groups, *sorted(set(found) - set(groups))]:
            yield _compared(f"{grouping} {group}", groups.get(group, unnamed), found[group])
    if count.videos is not None:
        yield _compared("videos asked about", count.videos, len({item.cluster for item in items}))


def _compared(what: str, expected: int | None, found: int, note: str = "") -> Line:
    if expected is None:
        return Line(what, "", str(found), "ok", note or "no number is published")
    return Line(what, str(expected), str(found), "ok" if expected == found else "differs", note)


def _files(what: str, paths: Sequence[str], data: Path) -> Iterable[Line]:
    if paths:
        absent = [path for path in paths if not _is_there(path, data)]
        note = f"first: {absent[0]}" if absent else ""
        there = len(paths) - len(absent)
        yield Line(what, str(len(paths)), str(there), "missing" if absent else "ok", note)


def _is_there(path: str, data: Path) -> bool:
    try:
        return is_file(data / inside_path(path))
    except ItemError:
        return False
