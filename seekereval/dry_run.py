"""Dry run: what a run would ask, said before it asks anybody: one prompt as the model gets it, and what all would cost.

Figures are estimates by the formulas of `seekerdata/load.py`; a price that nobody stated is unknown.
"""

import shutil
from pathlib import Path
from typing import Any

from seekerdata.budget import Price, dollars
from seekerdata.errors import ItemError
from seekerdata.load import ASSUMPTIONS, Load
from seekerdata.models import ModelSettings
from seekerdata.rollout import opening
from seekereval.evaluation import Evaluation
from seekereval.item import Item
from seekereval.play import as_text, control_of, shown_by, staged

LOG_BYTES = 60_000
"""What an item with 256 frames leaves on disk: its log without pictures, its grade, its frames by reference."""
SHOWN_LINES = 12
"""Of a prompt's frames so many lines are shown, the first and the last."""


def dry_run(evaluation: Evaluation, model: ModelSettings, price: Price | None = None) -> dict[str, Any]:
    """One prompt and the load of all items.

    Args:
        evaluation: what would be asked.
        model: who would be asked.
        price: dollars for a million tokens, if they are known.

    Raises:
        SeekerError: the data is not there.
    """
    items = evaluation.items()
    asked = evaluation.asked(items)
    total = Load()
    for item in asked:
        total = total.plus(_load(evaluation, item))
    total = total.times(1)
    preset = evaluation.preset
    return {
        "benchmark": evaluation.benchmark,
        "model": model.model,
        "preset": f"{preset.name} ({preset.source})",
        "mode": preset.mode,
        "decoder": preset.decoder,
        "baseline": evaluation.baseline or "none",
        "items": len(items),
        "plays": len(asked),
        "videos": len({item.video for item in items}),
        **{key: int(value) for key, value in total._asdict().items()},
        "cost": round(price.cost(total.input_tokens, total.output_tokens), 4) if price else None,
        "disk_mb": round(len(asked) * LOG_BYTES / 1e6, 2),
        "disk_free_mb": round(shutil.disk_usage(Path.cwd()).free / 1e6),
        **_prompt(evaluation, asked),
        "assumptions": ASSUMPTIONS[:1] + ASSUMPTIONS[2:3] + ASSUMPTIONS[4:],
    }


def _load(evaluation: Evaluation, item: Item) -> Load:
    baseline = evaluation.baseline
    marked = bool(item.marked_frames) and baseline not in ("blind", "no_visual_prompt")
    control = control_of(evaluation.preset, baseline, marked)
    return shown_by(evaluation.preset, control, baseline).rollout().load(item.duration_s, control)


def _prompt(evaluation: Evaluation, asked: list[Item]) -> dict[str, Any]:
    """The first prompt that can be shown; items before it have videos that cannot be read."""
    unreadable: list[str] = []
    for item in asked:
        try:
            return {"unreadable": unreadable, "prompt": _opening(evaluation, item)}
        except ItemError as error:
            unreadable.append(f"{item.id}: {error.message}")
            if len(unreadable) == 10:  # none of the first ten: the videos are not there
                break
    return {"unreadable": unreadable, "prompt": None}


def _opening(evaluation: Evaluation, item: Item) -> dict[str, Any]:
    at = staged(item, evaluation.data, evaluation.preset, evaluation.baseline)
    begun = opening(at.sample, at.video, at.prompts, at.settings, at.control)
    frames = [image for turn in begun.turns for image in turn.images]
    return {
        "item": item.id,
        "frames": len(frames),
        "sizes_wh": sorted({image.size_wh for image in frames}),
        "tools": [schema["function"]["name"] for schema in begun.schemas],
        "turns": [{"role": turn.role, "text": as_text(turn)} for turn in begun.turns],
    }


def drawn(facts: dict[str, Any]) -> list[Any]:
    """The facts as rich draws them: the prompt as the model gets it, then a table."""
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = []
    if prompt := facts["prompt"]:
        parts += [Text(f"--- {turn['role']}\n{_shortened(turn['text'])}") for turn in prompt["turns"]]
        tools = ", ".join(prompt["tools"]) or "none"
        parts.append(Text(f"--- that was {prompt['item']}: {prompt['frames']} frames, tools: {tools}"))
    parts += [Text(f"cannot be shown: {line}") for line in facts["unreadable"]]
    plain = {key: value for key, value in facts.items() if isinstance(value, str | int | float)}
    plain["cost"] = "unknown; name the price with --price IN,OUT" if facts["cost"] is None else dollars(facts["cost"])
    table = Table(box=None, show_header=False)
    for key, value in plain.items():
        table.add_row(key.replace("_", " "), Text(f"{value:,}" if isinstance(value, int) else str(value)))
    return [*parts, table, Text("\n- ".join(["These are estimates:", *facts["assumptions"]]))]


def _shortened(text: str) -> str:
    """A prompt's text with the middle of a long row of frames left out."""
    lines = text.split("\n")
    framed = [n for n, line in enumerate(lines) if line.startswith(("[", "<"))]
    if len(framed) <= 2 * SHOWN_LINES:
        return text
    first, last = framed[SHOWN_LINES // 2 * 2], framed[-SHOWN_LINES // 2]
    left_out = sum(line.startswith("[") for line in lines[first:last])
    return "\n".join([*lines[:first], f"... {left_out} frames more ...", *lines[last:]])
