"""plan: what a build would do, said before it does anything. Reads the source's list and an earlier run's ledger.

Figures are upper bounds: they take it that no item is dropped.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Any

from seekerdata.build import STAGES, BuildRecipe
from seekerdata.ledger import Ledger
from seekerdata.role import Probed, probe_all, roles
from seekerdata.stage import Status

FRAME_BYTES = 250_000
"""A 720p frame as JPEG q95 4:4:4 (research measurement); marked and raw frame are one each."""
LOOK_BYTES = 25_000
"""A frame of 112,896 pixels in the same form."""


def estimate(recipe: BuildRecipe) -> dict[str, Any]:
    """Items, model calls, tokens and disk of a build, and what an earlier run has already done.

    Raises:
        SeekerError: the source cannot be listed.
    """
    entries = list(recipe.source.entries())
    unusable = sum(bool(entry.problem) for entry in entries)
    items = len(entries) - unusable
    calls = items * _calls_each(recipe)
    frames = recipe.solve.rollout.overview_max_frames + recipe.solve.rollout.tools.crop_max_frames
    disk = items * 2 * FRAME_BYTES * 2  # in the run folder and again inside the dataset
    if recipe.dataset.media == "embedded":
        disk += items * frames * LOOK_BYTES
    return {
        "recipe": recipe.name,
        "out": str(recipe.out),
        "source": recipe.source.plugin_name(),
        "items": items,
        "unusable_rows": unusable,
        "stages": ", ".join(f"{name} ({_worker(recipe, name)})" for name in STAGES[1:]),
        "processes": recipe.engine.processes,
        "model_calls": calls,
        "tokens": "not known before the first call" if calls else 0,
        "disk_at_most_mb": round(disk / 1e6),
        "disk_free_mb": round(shutil.disk_usage(_existing(recipe.out)).free / 1e6),
        "already_done": _done(recipe.out),
        "questions": recipe.source.facts(),
    }


def ask_models(recipe: BuildRecipe) -> list[Probed]:
    """Every model that the recipe names, asked once: what is wrong with it, before the first paid call."""
    return asyncio.run(probe_all(list(roles(recipe))))


def _worker(recipe: BuildRecipe, name: str) -> str:
    by = getattr(recipe, name).by
    return by if isinstance(by, str) else by.plugin_name()


def _calls_each(recipe: BuildRecipe) -> int:
    """Model calls for one item at most: a verdict and its repair, and the rounds of a model that plays."""
    played = hasattr(recipe.solve.by, "model") * (recipe.solve.rollout.max_rounds + 1)
    return played + 2 * (recipe.filter.by == "model")


def _existing(folder: Path) -> Path:
    """The folder itself or its nearest parent that exists."""
    return next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())


def _done(out: Path) -> str:
    if not (out / "run.db").exists():
        return "nothing"
    ledger = Ledger(out / "run.db")
    try:
        counts = {name: ledger.counts(name) for name in STAGES}
    finally:
        ledger.close()
    return ", ".join(f"{name} {sum(c[s] for s in Status)}" for name, c in counts.items())
