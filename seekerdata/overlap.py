"""Overlap: which of our videos are a benchmark's too, and how that was found: by file, by name, or by picture.

A benchmark is a folder of videos or a list of their names. What a file looks like is kept in the run folder, so that
every video is read once (`video_print.py`).
"""

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from seekerdata.errors import ItemError, SeekerError
from seekerdata.sample import VideoRef, digest
from seekerdata.video import Video
from seekerdata.video_print import SAME, VERSION, VideoPrint, distance, may_be_same, print_of
from seekerdata.workspace import Workspace, write_atomically

VIDEOS = {".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".ts", ".mpg", ".mpeg", ".flv", ".wmv", ".gif"}
SHORTEST_NAME = 8
"""Shorter names, such as `001` or `clip12`, are those of many videos."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAMING = re.compile(r"video|url|path|file|youtube|sha256|(?:^|_)id$", re.IGNORECASE)
"""Columns and keys of a list that name videos."""
_YOUTUBE = re.compile(r"(?:[?&]v=|youtu\.be/|/shorts/|/embed/|^(?:v|ytb|youtube)_)([\w-]{11})(?![\w-])")


class Overlap(NamedTuple):
    """One video of ours in one benchmark."""

    benchmark: str
    """Name of its list, or of its folder, of the one above if that is only called `videos`."""
    by: Literal["file", "name", "picture"]
    """The same bytes (SHA-256); the same name, YouTube id or address; nearly the same pictures."""
    video: str
    """What the benchmark calls it."""


class Benchmark(NamedTuple):
    """A benchmark's videos."""

    name: str
    files: dict[str, str]
    """Names by the SHA-256 of the file."""
    names: dict[str, str]
    """Names by every word that means the video: its file's stem, its YouTube id."""
    prints: dict[str, VideoPrint]
    """What they look like, by name; those that cannot be read are left out."""
    unreadable: tuple[str, ...] = ()


def read_benchmarks(paths: Sequence[Path], workspace: Workspace) -> list[Benchmark]:
    """Folders of videos, and lists (`.txt`, `.csv`, `.jsonl`) of names, addresses or SHA-256 hashes.

    Raises:
        SeekerError: a path is neither, or holds nothing.
    """
    return [_folder(path, workspace) if path.is_dir() else _list(path) for path in paths]


def overlaps(
    benchmarks: Sequence[Benchmark], refs: Iterable[VideoRef], workspace: Workspace
) -> dict[str, list[Overlap]]:
    """What each video (by the SHA-256 of its file) shares with benchmarks; nothing for those that share nothing.

    Raises:
        SeekerError: a file is gone.
    """
    ours = {ref.sha256: ref for ref in refs}
    looking = any(b.prints for b in benchmarks)
    prints = _prints([workspace.video(ref.path).path for ref in ours.values()], workspace) if looking else {}
    indices = [_Index.of(b) if b.prints else None for b in benchmarks]
    found = {}
    for sha256, ref in ours.items():
        seen = prints.get(workspace.video(ref.path).path)
        looks = [_find(b, ref, seen and seen.look, index) for b, index in zip(benchmarks, indices, strict=True)]
        shared = [hit for hit in looks if hit]
        if shared:
            found[sha256] = shared
    return found


class _Index(NamedTuple):
    """All frames of a benchmark in one array, and whose they are."""

    names: list[str]
    bits: np.ndarray
    owner: np.ndarray

    @classmethod
    def of(cls, benchmark: Benchmark) -> "_Index":
        counts = [len(look.bits) for look in benchmark.prints.values()]
        bits = np.concatenate([look.bits for look in benchmark.prints.values()])
        return cls(list(benchmark.prints), bits, np.repeat(np.arange(len(counts)), counts))


def _find(benchmark: Benchmark, ref: VideoRef, look: VideoPrint | None, index: _Index | None) -> Overlap | None:
    """How a video was found in a benchmark: the surest way counts."""
    if name := benchmark.files.get(ref.sha256):
        return Overlap(benchmark.name, "file", name)
    if name := next((benchmark.names[word] for word in _words(ref.path, ref.origin) if word in benchmark.names), ""):
        return Overlap(benchmark.name, "name", name)
    if look is None or index is None:
        return None
    candidates = [index.names[n] for n in np.unique(index.owner[may_be_same(look, index.bits)])]
    apart = [(distance(look, benchmark.prints[name]), name) for name in candidates]
    nearest, name = min(apart, default=(1.0, ""))
    return Overlap(benchmark.name, "picture", name) if nearest <= SAME else None


def _folder(path: Path, workspace: Workspace) -> Benchmark:
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEOS and p.is_file())
    if not files:
        raise SeekerError(f"{path}: no videos in this folder")
    seen = _prints([str(file) for file in files], workspace)
    called = {str(file): str(file.relative_to(path)) for file in files}
    looks = {called[file]: one.look for file, one in seen.items() if one.look and len(one.look.bits)}
    broken = tuple(called[file] for file, one in seen.items() if one.look is None)
    names = {word: called[str(file)] for file in files for word in _words(file.name)}
    name = path.absolute().parent.name if path.name.lower() in {"video", "videos"} else path.name
    return Benchmark(name, {one.sha256: called[file] for file, one in seen.items()}, names, looks, broken)


def _list(path: Path) -> Benchmark:
    files, names = dict[str, str](), dict[str, str]()
    try:
        for value in map(str.strip, _values(path)):
            if _SHA256.fullmatch(value.lower()):
                files[value.lower()] = value
            names |= dict.fromkeys(_words(value), value)
    except FileNotFoundError:
        raise SeekerError(f"{path}: no such folder or list of videos") from None
    except (OSError, ValueError, csv.Error) as error:
        raise SeekerError(f"{path}: not a list of videos (.txt, .csv or .jsonl): {error}") from None
    if not files and not names:
        raise SeekerError(f"{path}: no name of {SHORTEST_NAME} letters, address or SHA-256 in this list")
    return Benchmark(path.stem, files, names, {})


def _values(path: Path) -> Iterator[str]:
    """Every text of a list that may name a video: its lines, or the columns and keys whose names say so."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".csv":
            yield from _naming(list(csv.DictReader(file)))
        elif path.suffix == ".jsonl":
            rows = [json.loads(line) for line in file if line.strip()]
            yield from (row for row in rows if isinstance(row, str))
            yield from _naming([row for row in rows if isinstance(row, dict)])
        else:
            yield from file


def _naming(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield from (value for key, value in row.items() if isinstance(value, str) and _NAMING.search(str(key)))


def _words(*values: str) -> list[str]:
    """What the name or address of a video may be found by."""
    found = []
    for value in filter(None, values):
        stem = Path(value.rstrip("/")).name
        stem = stem[: -len(Path(stem).suffix)] if Path(stem).suffix.lower() in VIDEOS else stem
        found += [match[1] for match in map(_YOUTUBE.search, (value, stem)) if match]
        found += [stem] if len(stem) >= SHORTEST_NAME and not _SHA256.fullmatch(stem.lower()) else []
    return found


class _Seen(NamedTuple):
    """A file's hash and what it looks like; None if it cannot be decoded."""

    sha256: str
    look: VideoPrint | None


def _prints(paths: Sequence[str], workspace: Workspace) -> dict[str, _Seen]:
    """Every file's, read on all cores; decoding leaves Python's lock."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return dict(zip(paths, pool.map(lambda path: _seen(path, workspace), paths), strict=True))


def _seen(path: str, workspace: Workspace) -> _Seen:
    """One file's, from the run folder if it was read before: a file that changed is another one."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise SeekerError(f"{path}: {error.strerror}") from None
    key = digest([VERSION, os.path.realpath(path), status.st_size, status.st_mtime_ns], length=24)
    kept = workspace.root / "prints" / key[:2] / f"{key}.json"
    if kept.exists():
        facts = json.loads(kept.read_text())
    else:
        sha256 = Video(path).sha256
        try:
            look = print_of(path)
        except ItemError:
            return _Seen(sha256, None)
        rows = {"times_s": look.times_s.tolist(), "bits": look.bits.tolist()}
        facts = {"sha256": sha256, "duration_s": look.duration_s, **rows}
        write_atomically(kept, json.dumps(facts).encode())
    times, bits = np.array(facts["times_s"], np.float64), np.array(facts["bits"], np.uint64)
    return _Seen(facts["sha256"], VideoPrint(facts["duration_s"], times, bits))
