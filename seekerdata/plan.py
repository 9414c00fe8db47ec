"""plan: what a build would do, said before it does anything. Reads the source's list and an earlier run's ledger.

Items are upper bounds (no item is dropped) unless the recipe states `expected_retention`. What models take is an
estimate by the formulas of `load.py`, whose assumptions are part of the plan; a price that is not known is said so.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Any

from seekerdata.budget import Purse, dollars
from seekerdata.build import STAGES, BuildRecipe
from seekerdata.ledger import Ledger
from seekerdata.load import ASSUMPTIONS, Load
from seekerdata.role import Probed, Role, probe_all, roles
from seekerdata.stage import Stage, Status

FRAME_BYTES = 250_000
"""A 720p frame as JPEG q95 4:4:4; marked and raw frame are one each."""
LOOK_BYTES = 25_000
"""A frame of 112,896 pixels in the same form."""


def estimate(recipe: BuildRecipe) -> dict[str, Any]:
    """Items, model calls, tokens, cost and disk of a build, and what an earlier run has already done.

    Raises:
        SeekerError: the source cannot be listed.
    """
    entries = list(recipe.source.entries())
    unusable = sum(bool(entry.problem) for entry in entries)
    items = len(entries) - unusable
    reaching = _reaching(recipe, items)
    return {
        "recipe": recipe.name,
        "out": str(recipe.out),
        "source": recipe.source.plugin_name(),
        "items": items,
        "unusable_rows": unusable,
        "stages": ", ".join(f"{name} ({_worker(recipe, name)})" for name in STAGES[1:]),
        "processes": recipe.engine.processes,
        **_weights(recipe),
        "expected_items": reaching,
        **_models(recipe, reaching),
        "disk_at_most_mb": round(_disk(recipe, items) / 1e6),
        "disk_free_mb": round(shutil.disk_usage(_existing(recipe.out)).free / 1e6),
        **_earlier(recipe),
        "questions": recipe.source.facts(),
    }


def ask_models(recipe: BuildRecipe) -> list[Probed]:
    """Every model that the recipe names, asked once: what is wrong with it, before the first paid call."""
    return asyncio.run(probe_all(list(roles(recipe))))


def _reaching(recipe: BuildRecipe, items: int) -> dict[str, int]:
    """Items expected at the door of each stage, and in the dataset."""
    shares = {str(name): share for name, share in recipe.expected_retention.items()}
    reaching, left = {}, float(items)
    for name in STAGES:
        reaching[name] = round(left)
        left *= shares.get(name, 1.0)
    return {**reaching, "dataset": round(left)}


def _models(recipe: BuildRecipe, reaching: dict[str, int]) -> dict[str, Any]:
    """What every model takes, by role, and in all. A role whose stage gives no figures has none."""
    rows = []
    for name, worker in recipe.stages():
        loads = worker.loads(recipe.expected_video_s) if isinstance(worker, Stage) else {}
        for role in roles(worker):
            rows.append(_model(recipe, role, name, reaching[name], loads.get(role.path)))
    total = Load(*(sum(row[field] or 0 for row in rows) for field in Load._fields))
    facts: dict[str, Any] = {"model_calls": total.calls, **total._asdict(), "models": rows}
    del facts["calls"]
    if not rows:
        return facts
    unknown = sorted({row["model"] for row in rows if row["cost"] is None})
    known = sum(row["cost"] or 0 for row in rows)
    facts["cost"] = dollars(known) + (f" and what is not known of {', '.join(unknown)}" if unknown else "")
    facts["budget"] = ", ".join(f"{k} {v:,}" for k, v in recipe.budget if v is not None) or "no limit"
    return {**facts, "assumptions": _assumptions(recipe)}


def _model(recipe: BuildRecipe, role: Role, stage: str, items: int, each: Load | None) -> dict[str, Any]:
    """One role's row; `cost` is None without a price or without figures."""
    price = recipe.prices.get(role.settings.model)
    load = each.times(items) if each else None
    figures = load._asdict() if load else dict.fromkeys(Load._fields)
    cost = round(price.cost(load.input_tokens, load.output_tokens), 4) if price and load else None
    note = "" if cost is not None else "no figures for this role" if not load else "unknown price"
    row = {"role": f"{stage}.{role.path}", "model": role.settings.model, "items": items}
    return {**row, **figures, "cost": cost, "note": note}


def _assumptions(recipe: BuildRecipe) -> list[str]:
    """What the figures take for granted, in words."""
    kept = ", ".join(f"{name} {share:g}" for name, share in recipe.expected_retention.items())
    seconds = recipe.expected_video_s
    return [
        f"kept, as the recipe expects: {kept}" if kept else "no item is dropped (expected_retention says otherwise)",
        f"a video: {seconds:g} s, crops as long" if seconds else "videos fill every limit of frames (expected_video_s)",
        *ASSUMPTIONS,
        "prices as the recipe has them, in dollars for a million tokens; cached input at the full price",
    ]


def _worker(recipe: BuildRecipe, name: str) -> str:
    by = getattr(recipe, name).by
    return by if isinstance(by, str) else by.plugin_name()


def _weights(recipe: BuildRecipe) -> dict[str, str]:
    """How often a segmenter's weights will be in memory: each process has its own."""
    if not recipe.segment.by.follows:
        return {}
    count = recipe.engine.processes
    several = f"{count} times, once a process; for one GPU: engine.workers=1"
    return {"segmenter_weights_loaded": several if count > 1 else "once"}


def _disk(recipe: BuildRecipe, items: int) -> int:
    """Bytes if no item is dropped: marked and raw frames in the run folder and again inside the dataset, and looks."""
    disk = items * 2 * FRAME_BYTES * 2
    if recipe.dataset.media == "embedded":
        frames = recipe.solve.rollout.overview_max_frames + recipe.solve.rollout.tools.crop_max_frames
        disk += items * frames * LOOK_BYTES
    return disk


def _existing(folder: Path) -> Path:
    """The folder itself or its nearest parent that exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def _earlier(recipe: BuildRecipe) -> dict[str, str]:
    """What an earlier call of the run has done and spent."""
    if not (recipe.out / "run.db").exists():
        return {"already_done": "nothing", "already_spent": "nothing"}
    ledger = Ledger(recipe.out / "run.db")
    try:
        counts = {name: ledger.counts(name) for name in STAGES}
        spent = str(Purse(recipe.budget, recipe.prices, ledger.spent()))
    finally:
        ledger.close()
    done = ", ".join(f"{name} {sum(c[s] for s in Status)}" for name, c in counts.items())
    return {"already_done": done, "already_spent": spent}
