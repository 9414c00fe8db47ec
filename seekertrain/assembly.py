"""Assembly: the trainer of a recipe, put together: model, rows, batches, and what watches them.

Nothing is trained here, and nothing written but the list of rows that are left out.
"""

import json
import warnings
from typing import TYPE_CHECKING, Any

from seekerdata.errors import SeekerError
from seekerdata.workspace import write_atomically
from seekertrain.checkpoints import check_room
from seekertrain.parts import freeze, lora_config
from seekertrain.rows import Data, Rows, load, measured, parted, questions

if TYPE_CHECKING:
    from seekertrain.batch import Encoder
    from seekertrain.sft import Model, SftRecipe, Tell

TRAINER = {"report_to": "tensorboard", "save_total_limit": 2}
"""What a run sets in TRL's configuration where the recipe does not."""


def trainer_config(recipe: "SftRecipe") -> Any:
    """TRL's SFTConfig of a recipe.

    Raises:
        SeekerError: this machine cannot do what it asks, or TRL refuses a value.
    """
    from trl import SFTConfig

    from seekertrain.trainer_settings import build, check_machine, for_machine

    values = TRAINER | for_machine(recipe.trainer)
    check_machine(values, recipe.model.attention)
    if recipe.held_out or recipe.held_out_share:
        values.setdefault("eval_strategy", "epoch")
    ours = {
        "output_dir": str(recipe.checkpoints),
        "seed": recipe.seed,
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        "prediction_loss_only": True,
        "include_num_input_tokens_seen": "all" if recipe.packing else "non_padding",
        "disable_tqdm": True,
    }
    with warnings.catch_warnings():  # its new name is unknown to older releases that we support
        warnings.filterwarnings("ignore", "`gradient_checkpointing", FutureWarning)
        return build(SFTConfig, "trainer", values | ours)


def assemble(recipe: "SftRecipe", settings: Any, tell: "Tell") -> Any:
    """The trainer with model, rows and what watches it; nothing is trained yet."""
    from seekertrain.batch import Collator, Encoder
    from seekertrain.feed import Feed
    from seekertrain.processor import load_processor
    from seekertrain.trainer import Trainer

    processor = load_processor(recipe.model.path, recipe.model.revision)
    encoder = Encoder(processor, recipe.max_length)
    rows, held = prepare(recipe, encoder)
    if settings.process_index == 0:
        _tell_left_out(recipe, rows, tell)
    feed = Feed(Collator(encoder, recipe.packing), [rows, *([held] if held else [])], recipe.out / "replaced.jsonl")
    model = load_model(recipe.start())
    adapters = None if recipe.lora is None else lora_config(recipe.lora, recipe.freeze)
    if adapters is None:
        freeze(model, recipe.freeze)
    watching = _watching(recipe, held, processor, tell)
    trainer = Trainer(model, settings, rows, held, feed, processor, adapters, watching)
    _join(trainer, recipe)
    saved = [p for p in trainer.model.parameters() if p.requires_grad or not adapters]
    weights = sum(p.numel() * p.element_size() for p in saved)
    check_room(recipe.checkpoints, weights, sum(p.numel() for p in saved if p.requires_grad))
    return trainer


def prepare(recipe: "SftRecipe", encoder: "Encoder") -> tuple[Rows, Rows | None]:
    """The rows to train on and those held out, measured.

    Raises:
        SeekerError: there are none, or a row is in both.
    """
    data, held = load(recipe.data), None
    if recipe.held_out_share:
        data, held = parted(data, recipe.held_out_share)
    elif recipe.held_out:
        held = load(recipe.held_out)
        if both := set(data["id"]) & set(held["id"]):
            raise SeekerError(f"held_out: {len(both)} of its rows are trained on too, such as {min(both)}")
    if recipe.take == "looks":
        from seekertrain.looks import all_looks

        data, held = all_looks(data), None if held is None else all_looks(held)
    rows = _some(measured(data, encoder, recipe.data.videos()), recipe.data)
    if held is None:
        return rows, None
    source = recipe.held_out or recipe.data
    return rows, _some(measured(held, encoder, source.videos()), source)


def _some(rows: Rows, data: Data) -> Rows:
    if not len(rows):
        reason = f": {rows.left_out[0].reason}" if rows.left_out else ""
        raise SeekerError(f"{data.path}: none of {len(rows.left_out)} rows can be used, the first{reason}")
    return rows


def load_model(settings: "Model") -> Any:
    """The weights.

    Raises:
        SeekerError: they cannot be found or read.
    """
    import torch
    from transformers import AutoModelForImageTextToText
    from transformers.utils import logging

    logging.disable_progress_bar()
    dtype = settings.dtype if settings.dtype == "auto" else getattr(torch, settings.dtype)
    try:
        return AutoModelForImageTextToText.from_pretrained(
            settings.path, revision=settings.revision, dtype=dtype, attn_implementation=settings.attention
        )
    except (OSError, ValueError, ImportError) as error:
        raise SeekerError(f"{settings.path}: cannot be loaded: {' '.join(str(error).split())[:300]}") from None


def _tell_left_out(recipe: "SftRecipe", rows: Rows, tell: "Tell") -> None:
    """Rows left out are named in a file, counted on the terminal."""
    lines = (json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows.left_out)
    write_atomically(recipe.out / "left_out.jsonl", (line.encode() for line in lines))
    facts = rows.facts()
    told = "".join(f", {count} left out as {code}" for code, count in facts["left_out"].items())
    told += f", {facts['shortened']} shortened" if facts["shortened"] else ""
    tell(f"{facts['rows']} rows of {facts['tokens']['p50']} tokens (p95 {facts['tokens']['p95']}){told}")


def _watching(recipe: "SftRecipe", held: Rows | None, processor: Any, tell: "Tell") -> list[Any]:
    """What shows how it goes: bar, curve, and plays of held-out rows."""
    from seekertrain.plays import Plays
    from seekertrain.progress import Bar, Curve

    watching: list[Any] = [Bar(), Curve(recipe.out)]
    if recipe.rollouts.every and held is not None:
        data = recipe.held_out or recipe.data
        rows = questions(data, held.data["id"], recipe.rollouts.samples)
        watching.insert(0, Plays(rows, data.videos(), recipe.rollouts, processor, recipe.out, tell))
    return watching


def _join(trainer: Any, recipe: "SftRecipe") -> None:
    """What needs the trainer that it watches, or the run's folder.

    Raises:
        SeekerError: plays are asked for where no process holds all weights.
    """
    for watcher in trainer.callback_handler.callbacks:
        if type(watcher).__name__ == "TensorBoardCallback":
            watcher.logging_dir = str(recipe.out / "tensorboard")
        if type(watcher).__name__ == "Plays":
            watcher.trainer = trainer
            zero3 = (
                trainer.is_deepspeed_enabled and trainer.accelerator.deepspeed_config["zero_optimization"]["stage"] == 3
            )
            if trainer.is_fsdp_enabled or zero3:
                raise SeekerError("rollouts.every: no process holds all weights under FSDP or ZeRO-3; set it to 0")
