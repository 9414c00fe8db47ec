"""plan: what a build would do, said before it does anything. Reads the source's list and an earlier run's ledger.

Needs no network, no keys and no GPU. Items are upper bounds (no item is dropped) unless the recipe states
`expected_retention`. What models take is an estimate by the formulas of `load.py`, whose assumptions are part of the
plan; a price, or a GPU's time, that nobody stated is unknown.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Any

from seekerdata.budget import Purse, dollars
from seekerdata.build import STAGES, BuildRecipe
from seekerdata.ledger import Ledger
from seekerdata.load import ASSUMPTIONS, Load, frame_count
from seekerdata.role import Probed, Role, probe_all, roles
from seekerdata.stage import Stage, Status

FRAME_BYTES = 250_000
"""A 720p frame as JPEG q95 4:4:4; marked and raw frame are one each."""
LOOK_BYTES = 25_000
"""A frame of 112,896 pixels in the same form."""
OWN = {"hf", "vllm", "sglang", "ollama", "llama-cpp-python", "transformer_lens", "openai-api"}
"""inspect_ai's providers whose models may run on a GPU of one's own."""


def estimate(recipe: BuildRecipe) -> dict[str, Any]:
    """Items, model calls, tokens, cost, GPU hours and disk of a build, and what an earlier run has already done.

    Raises:
        SeekerError: the source cannot be listed.
    """
    items = _items(recipe)
    reaching = _reaching(recipe, items["items"])
    models = _models(recipe, reaching)
    stages = _stages(recipe, reaching, models["models"])
    return {
        "recipe": recipe.name,
        "out": str(recipe.out),
        "source": recipe.source.plugin_name(),
        **items,
        "processes": recipe.engine.processes,
        "stages": stages,
        "expected_items": reaching,
        **models,
        "disk_mb": round(_disk(recipe, reaching) / 1e6),
        "disk_free_mb": round(shutil.disk_usage(_existing(recipe.out)).free / 1e6),
        "assumptions": _assumptions(recipe, stages, models["models"]),
        **_earlier(recipe),
        "questions": recipe.source.facts() if recipe.source.at_hand else {},
    }


def ask_models(recipe: BuildRecipe) -> list[Probed]:
    """Every model that the recipe names, asked once: what is wrong with it, before the first paid call."""
    return asyncio.run(probe_all(list(roles(recipe))))


def _items(recipe: BuildRecipe) -> dict[str, Any]:
    """How many questions there are, and how that is known."""
    if recipe.expected_items and not recipe.source.at_hand:
        known = "expected_items of the recipe: the source's files are not on this machine"
        return {"items": recipe.expected_items, "items_from": known, "unusable_rows": "not known"}
    entries = list(recipe.source.entries())
    unusable = sum(bool(entry.problem) for entry in entries)
    return {"items": len(entries) - unusable, "items_from": "the source's own list", "unusable_rows": unusable}


def _reaching(recipe: BuildRecipe, items: int) -> dict[str, int]:
    """Items expected at the door of each stage, in the dataset and, where the recipe says so, in its `rl` rows."""
    shares = {str(name): share for name, share in recipe.expected_retention.items()}
    reaching, left = {}, float(items)
    for name in STAGES:
        reaching[name] = round(left)
        left *= shares.get(name, 1.0)
    train = {"rl": round(left * shares["rl"])} if "rl" in shares else {}
    return {**reaching, "dataset": round(left), **train}


def _stages(recipe: BuildRecipe, reaching: dict[str, int], models: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each stage: who works, on how many items, what is kept, frames for a segmenter, GPU hours.

    `gpu_hours` is None where no GPU of one's own works, and `unknown` where one does and nobody says how long.
    """
    own = {row["role"].split(".")[0] for row in models if row["own_gpu"]}
    frames = recipe.segment.by.frames(recipe.expected_video_s)
    own |= {"segment"} if frames else set()
    taken = {str(name): seconds for name, seconds in recipe.gpu_seconds.items()}
    after = dict(zip(STAGES, [*STAGES[1:], "dataset"], strict=True))
    rows = []
    for name in STAGES:
        items, seconds = reaching[name], taken.get(name)
        hours = "unknown" if name in own else None
        rows.append(
            {
                "stage": name,
                "by": _worker(recipe, name),
                "items": items,
                "keeps": reaching[after[name]],
                "frames": frames * items if name == "segment" else 0,
                "gpu_hours": hours if seconds is None else round(seconds * items / 3600, 1),
            }
        )
    return rows


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
    facts["budget"] = (
        ", ".join(f"{k} {v:,g}" if isinstance(v, float) else f"{k} {v:,}" for k, v in recipe.budget if v is not None)
        or "no limit"
    )
    return facts


def _model(recipe: BuildRecipe, role: Role, stage: str, items: int, each: Load | None) -> dict[str, Any]:
    """One role's row; `cost` is None without a price or without figures."""
    name = role.settings.model
    price = recipe.prices.get(name)
    load = each.times(items) if each else None
    figures = load._asdict() if load else dict.fromkeys(Load._fields)
    cost = round(price.cost(load.input_tokens, load.output_tokens), 4) if price and load else None
    note = "" if cost is not None else "no figures for this role" if not load else "unknown price"
    own = name.partition("/")[0] in OWN and not (price and price.cost(1, 1))
    row = {"role": f"{stage}.{role.path}", "model": name, "items": items}
    return {**row, **figures, "cost": cost, "note": note, "own_gpu": own}


def _assumptions(recipe: BuildRecipe, stages: list[dict[str, Any]], models: list[dict[str, Any]]) -> list[str]:
    """What the figures take for granted, in words."""
    kept = ", ".join(f"{name} {share:.4g}" for name, share in recipe.expected_retention.items())
    seconds = recipe.expected_video_s
    length = f"{seconds:g} s, crops and windows as long" if seconds else "fills every limit of frames"
    words = [
        f"kept, as the recipe expects: {kept}" if kept else "no item is dropped (expected_retention says otherwise)",
        f"a video: {length} (expected_video_s)",
        f"disk: a marked and a raw frame {FRAME_BYTES / 1e6:g} MB each, in the run folder and in the dataset; an "
        f"embedded overview or crop frame {LOOK_BYTES / 1e6:g} MB; the videos not counted",
    ]
    if any(row["gpu_hours"] is not None for row in stages):
        taken = ", ".join(f"{name} {each:g} s" for name, each in recipe.gpu_seconds.items())
        words.append(f"your own GPU's time for an item: {taken or 'not stated'} (gpu_seconds)")
    prices = "prices as the recipe has them, in dollars for a million tokens; cached input at the full price"
    return [*words, *ASSUMPTIONS, prices] if models else words


def _worker(recipe: BuildRecipe, name: str) -> str:
    worker = getattr(recipe, name)
    by = getattr(worker, "by", worker)
    return by if isinstance(by, str) else by.plugin_name()


def _disk(recipe: BuildRecipe, reaching: dict[str, int]) -> int:
    """Bytes: marked and raw frames of what is rendered, in the run folder and again inside the dataset, and looks."""
    disk = reaching["solve"] * 2 * FRAME_BYTES * 2
    if recipe.dataset.media == "embedded":
        shown, video_s = recipe.solve.rollout, recipe.expected_video_s
        frames = frame_count(shown.overview_fps, shown.overview_max_frames, video_s)
        frames += frame_count(shown.tools.crop_fps, shown.tools.crop_max_frames, video_s)
        disk += (reaching["dataset"] + reaching.get("rl", 0)) * frames * LOOK_BYTES
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
