"""export: a dataset in the form that another trainer's own loader reads, in a folder that appears whole or not at all.

A row that cannot be told in that form, or whose pictures are not at hand, is left out with its reason.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seekerdata import dataset_row
from seekerdata.dataset import features, pictures
from seekerdata.drawn_mark import redrawn
from seekerdata.errors import ItemError, SeekerError
from seekerdata.export_format import ExportFormat, Shown, is_jpeg
from seekerdata.plugin import load
from seekerdata.shards import read
from seekerdata.video import FrameCache, Video
from seekerdata.workspace import encode_jpeg, room_needed, write_atomically

_EXAMPLES = 20
"""Rows left out that README.md names one by one."""


class Exported(NamedTuple):
    """What was written, and what was not."""

    folder: Path
    trainer: str
    config: str
    rows: int
    left_out: dict[str, int]
    """Rows that were left out, by the reason's code."""
    reasons: list[str]
    """The first of them, each with its whole reason."""
    lost: dict[str, int]
    """What the form cannot carry, with the number of rows that have it."""
    columns: list[str]
    """The dataset's columns that these rows do not hold."""


def export(dataset: Path, to: str, config: str, out: Path | None = None, videos: Path | None = None) -> Exported:
    """Write `<out>`, by default `<dataset>-<trainer>-<config>` beside the dataset.

    Args:
        dataset: a dataset folder.
        to: the trainer, by the name of its file in `exports/`.
        config: `sft` or `rl`.
        out: the folder to be; must not be there yet.
        videos: for pictures kept by reference; `../videos` by default.

    Raises:
        SeekerError: no such trainer, dataset or videos; the trainer has no such training; no row could be written.
    """
    kind = load("exports", to)
    form = kind()
    assert isinstance(form, ExportFormat)
    if config not in form.configs:
        raise SeekerError(f"--config {config}: {to} is given {' or '.join(form.configs)} rows only")
    folder = dataset.resolve()
    out = out or folder.with_name(f"{folder.name}-{to}-{config}")
    if out.exists():
        raise SeekerError(f"{out}: is there already; remove it or give another --out")
    if videos and not videos.is_dir():
        raise SeekerError(f"{videos}: no such folder of videos")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with room_needed(out.parent):
            part.mkdir(parents=True)
            done = _write(folder, form, to, config, part, videos or folder.parent / "videos")
            if not done.rows:
                raise SeekerError(f"{dataset}: no {config} row could be exported: {' '.join(done.reasons[:1])}")
            os.replace(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return done._replace(folder=out)


def _write(dataset: Path, form: ExportFormat, to: str, config: str, folder: Path, videos: Path) -> Exported:
    codes, lost, reasons, rows = Counter[str](), Counter[str](), list[str](), 0
    cache = FrameCache()
    with form.writing(config, folder) as put:
        for index, (raw, row) in enumerate(_rows(dataset, config)):
            try:
                shown = _shown(config, index, raw, row, videos, cache)
                record = form.record(shown, folder)
            except ItemError as error:
                codes[error.code] += 1
                reasons += [f"{row['id']}: {error.message}"] * (len(reasons) < _EXAMPLES)
                continue
            put(record)
            lost.update(form.lost(shown))
            rows += 1
    columns = [name for name in features(config) if name not in form.carried[config]]
    done = Exported(folder, to, config, rows, dict(sorted(codes.items())), reasons, dict(sorted(lost.items())), columns)
    form.finish(config, folder)
    write_atomically(folder / "README.md", _readme(form, done).encode())
    return done


def _rows(dataset: Path, config: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every row as it is kept and as `load_dataset` gives it: the file of a picture is not to be written anew."""
    wanted = features(config)
    for raw in read(dataset, config, pictures=False):
        yield raw, wanted.decode_example(raw)


def _shown(config: str, index: int, raw: dict[str, Any], row: dict[str, Any], videos: Path, cache: FrameCache) -> Shown:
    turns = dataset_row.turns(row)
    if row["media"] == "embedded":
        files = [picture["bytes"] for picture in raw["images"]]
        files = [data if is_jpeg(data) else _jpeg(picture) for data, picture in zip(files, row["images"], strict=True)]
    else:
        files = [_jpeg(picture) for picture in pictures(row, videos, cache)]
    mark = raw["image"]["bytes"] if raw["image"] else b""
    if not mark and row["drawn"]:
        mark = redrawn(row, Video(videos / row["video_path"], cache=cache))
    return Shown(config, index, row, turns, files, mark)


def _jpeg(picture: Any) -> bytes:
    return encode_jpeg(np.asarray(picture.convert("RGB")))


def _readme(form: ExportFormat, done: Exported) -> str:
    """What is here, how to load it, what is missing."""
    lines = [f"# {done.rows} {done.config} rows for {done.trainer}", "", form.how_to(done.config, done.rows), ""]
    lines += ["## What the rows do not say here", ""]
    lines += [f"- {what} ({rows} rows)" for what, rows in done.lost.items()]
    lines += [f"- columns of the dataset that are not in them: {', '.join(f'`{name}`' for name in done.columns)}"]
    lines += ["", "## Rows left out", "", *(f"- {code}: {rows}" for code, rows in done.left_out.items())]
    lines += ["", *(f"    {reason}" for reason in done.reasons)] if done.reasons else ["None."]
    return "\n".join([*lines, "", "Written by `seekerdata export`.", ""])
