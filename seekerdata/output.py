"""Output: what a finished run leaves beside its ledger: a file for each stage, the dataset folder, the manifest.

Everything in `dataset/` depends on the recipe and the inputs alone, apart from when models made what and what the run
paid them; what else differs between runs (seconds, versions, machine) is in `manifest.json`.
"""

import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seekerdata.budget import Purse, cost_of
from seekerdata.card import fill_dataset_card
from seekerdata.dataset import CONFIGS, qa_row, rl_row, sft_row
from seekerdata.ledger import Ledger, Row
from seekerdata.making import makings
from seekerdata.overlap import read_benchmarks
from seekerdata.plugin import describe
from seekerdata.retention import Expected
from seekerdata.sample import Sample, digest
from seekerdata.shards import write_config
from seekerdata.stage import Item, Status
from seekerdata.versions import versions
from seekerdata.workspace import Workspace, room_needed, write_atomically

if TYPE_CHECKING:
    from seekerdata.build import BuildRecipe, Watch

_PRIVATE = {"out", "engine", "budget", "prices", *Expected.model_fields}


def write_output(
    recipe: "BuildRecipe",
    ledger: Ledger,
    workspace: Workspace,
    stages: list[dict[str, Any]],
    started: float,
    watch: "Watch",
) -> dict[str, int]:
    """Write the stage files, the dataset and the manifest of a complete run; returns rows by configuration."""
    out = workspace.root
    for stage in stages:
        lines = (_line(row).encode() for row in ledger.rows(stage["name"]))
        write_atomically(out / f"{stage['name']}.jsonl", lines)
    with room_needed(out):
        rows = _write_dataset(recipe, ledger, workspace, stages, watch)
    files = sorted(p for p in (out / "dataset").rglob("*") if p.is_file())
    manifest = {
        "name": recipe.name,
        "recipe": resolved(recipe),
        "rows": rows,
        "stages": stages,
        "spent": spent(recipe, ledger),
        "overlap": {"rows": balance(ledger)["overlap"], "benchmarks": _benchmarks(recipe, workspace)},
        "files": {f"{p.relative_to(out)}": _sha256(p) for p in files},
        "versions": versions(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 2),
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    write_atomically(out / "manifest.json", text.encode())
    return rows


def resolved(recipe: "BuildRecipe") -> dict[str, Any]:
    """The recipe with every default written out, in the form that `load_recipe` reads."""
    written = recipe.model_dump(mode="json")
    for name, worker in recipe.stages():
        settings = describe(worker)
        if name != "source":
            settings.pop("use")
        written[name] = settings
    return written


def spent(recipe: "BuildRecipe", ledger: Ledger) -> list[dict[str, Any]]:
    """What all calls of the run took, by stage and model: of dropped and failed items and of every attempt too."""
    places = [name for name, _ in recipe.stages()]
    found = sorted(ledger.spent_by_stage(), key=lambda pair: places.index(pair[0]))
    return [{"stage": name, **usage._asdict(), "cost": cost_of(usage, recipe.prices)} for name, usage in found]


def _published(recipe: "BuildRecipe") -> dict[str, Any]:
    """The recipe as a card shows it: without what is this machine's or this purse's: folders, processes, prices."""
    written = {key: value for key, value in resolved(recipe).items() if key not in _PRIVATE}
    source = {k: Path(v).name if k == "path" else v for k, v in written["source"].items()}
    select = {**written["select"], "benchmarks": [Path(path).name for path in written["select"]["benchmarks"]]}
    return {**written, "source": source, "select": select}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _line(row: Row) -> str:
    """One row of a stage file. Seconds are left out: the file depends on recipe and inputs alone."""
    facts: dict[str, Any] = {"id": row.id, "status": row.status, "reason": row.reason}
    if row.status is Status.FAILED:
        facts |= {"retryable": row.retryable, "error": row.error}
    facts["output"] = json.loads(row.output) if row.output else None
    return json.dumps(facts, ensure_ascii=False) + "\n"


def _write_dataset(
    recipe: "BuildRecipe", ledger: Ledger, workspace: Workspace, stages: list[dict[str, Any]], watch: "Watch"
) -> dict[str, int]:
    """Write `dataset/` beside the old one and exchange the two, so that a kill leaves one of them whole."""
    folder, fresh = workspace.root / "dataset", workspace.root / ".dataset.new"
    shutil.rmtree(fresh, ignore_errors=True)
    watch.stage("dataset", None)
    media = recipe.dataset.media
    makers: dict[str, Iterator[dict[str, Any]]] = {
        "qa": (qa_row(item, workspace, _selected(recipe, ledger, item)) for item in _items(ledger, "render")),
        "sft": (sft_row(item, workspace, media) for item in _items(ledger, "select") if "sft" in item.sets),
        "rl": (rl_row(item, workspace, media) for item in _items(ledger, "select") if "rl" in item.sets),
    }
    rows = {
        config: write_config(config, _watched(_signed(makers[config], recipe, ledger), watch), fresh)
        for config in CONFIGS
    }
    paid = spent(recipe, ledger), str(Purse(recipe.budget, recipe.prices, ledger.spent()))
    facts, content = recipe.source.facts(), digest([_sha256(path) for path in sorted(fresh.rglob("*.parquet"))])
    card = fill_dataset_card(recipe.name, _published(recipe), stages, rows, balance(ledger), facts, *paid, content)
    write_atomically(fresh / "README.md", card.encode())
    old = workspace.root / ".dataset.old"
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(fresh, folder)
    shutil.rmtree(old, ignore_errors=True)
    return rows


def _signed(rows: Iterator[dict[str, Any]], recipe: "BuildRecipe", ledger: Ledger) -> Iterator[dict[str, Any]]:
    """The rows with what models made in them."""
    for row in rows:
        clock = partial(ledger.made_at, item_id=row["id"])
        yield row | {"made_by": makings(row["provenance"], set(row), clock, recipe.prices)}


def _benchmarks(recipe: "BuildRecipe", workspace: Workspace) -> list[dict[str, Any]]:
    """What videos were compared with, and which of a benchmark's could not be read."""
    read = read_benchmarks(recipe.select.benchmarks, workspace)
    return [{"name": b.name, "files": len(b.files), "names": len(b.names), "unreadable": b.unreadable} for b in read]


def _selected(recipe: "BuildRecipe", ledger: Ledger, item: Item) -> Sample | None:
    """The sample as the selection kept it, if that has tested it."""
    row = ledger.current("select", item.sample.id) if recipe.select.removal_tests else None
    return Item.model_validate_json(row.output).sample if row and row.status is Status.KEPT else None


def _watched(rows: Iterator[dict[str, Any]], watch: "Watch") -> Iterator[dict[str, Any]]:
    for row in rows:
        yield row
        watch.wrote()


def balance(ledger: Ledger) -> dict[str, dict[str, int]]:
    """How many rows have each shape, colour, dimension, answer letter, licence and kind of play."""
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("shape", "colour", "dimension", "answer", "licence", "origin", "play", "overlap")
    }
    for item in _items(ledger, "render"):
        sample = item.sample
        for prompt in sample.visual_prompts:
            counts["shape"][prompt.shape] += 1
            counts["colour"][prompt.colour] += 1
        counts["dimension"][sample.dimension or "not said"] += 1
        counts["answer"][sample.answer if sample.options else "open"] += 1
        counts["licence"][sample.video.licence or "not said"] += 1
        counts["origin"][sample.video.origin or "not said"] += 1
    for item in _items(ledger, "select"):
        for hit in item.sample.provenance.get("select", {}).get("overlap", ()):
            counts["overlap"][f"{hit['benchmark']}, by {hit['by']}"] += 1
        if item.trajectory:
            counts["play"][f"{item.trajectory.kind}, {len(item.trajectory.calls)} calls"] += 1
    return {name: dict(sorted(counter.items())) for name, counter in counts.items()}


def _items(ledger: Ledger, stage: str) -> Iterator[Item]:
    for item_id in ledger.ids(stage, Status.KEPT):
        yield Item.model_validate_json(ledger.output(stage, item_id))
