"""Assembly: the trainer of a recipe, put together: model, rows, batches, and what watches them.

Nothing is trained here, and nothing written but the list of rows that are left out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seekerdata.chat_model import load_model
from seekerdata.errors import SeekerError
from seekerdata.workspace import write_atomically
from seekertrain.checkpoints import check_room
from seekertrain.parts import freeze, lora_config
from seekertrain.rows import Data, Rows, load, measured, parted, questions

if TYPE_CHECKING:
    from seekertrain.batch import Encoder
    from seekertrain.questions import Questions
    from seekertrain.rl import RlRecipe
    from seekertrain.sft import Model, SftRecipe, Tell

TRAINER = {"report_to": "tensorboard", "save_total_limit": 2}
"""What a run sets in TRL's configuration where the recipe does not."""


def trainer_config(recipe: "SftRecipe", trains: bool = True) -> Any:
    """TRL's SFTConfig of a recipe; one that is only looked at (not `trains`) may ask for a GPU that is not here.

    Raises:
        SeekerError: this machine cannot do what it asks, or TRL refuses a value.
    """
    from trl import SFTConfig

    ours = {
        "max_length": None,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "prediction_loss_only": True,
        "include_num_input_tokens_seen": "all" if recipe.packing else "non_padding",
    }
    measured_by = "epoch" if recipe.held_out or recipe.held_out_share else "no"
    return _config(SFTConfig, recipe, {"eval_strategy": measured_by}, ours, trains)


def rl_config(recipe: "RlRecipe", trains: bool = True) -> Any:
    """TRL's GRPOConfig of a recipe; `trains` as above.

    Raises:
        SeekerError: this machine cannot do what it asks, or TRL refuses a value.
    """
    from trl import GRPOConfig

    from seekertrain.trl_names import check_names

    check_names()
    ours = {"log_completions": False, "max_tool_calling_iterations": recipe.play.max_rounds}
    return _config(GRPOConfig, recipe, {}, ours, trains)


def _config(
    kind: type, recipe: "SftRecipe | RlRecipe", defaults: Mapping[str, Any], ours: Mapping[str, Any], trains: bool
) -> Any:
    from seekertrain.trainer_settings import build, check_machine, for_machine, older_names, without_gpu

    values = TRAINER | dict(defaults) | for_machine(recipe.trainer)
    if trains:
        check_machine(values, recipe.model.attention)
    else:
        values |= without_gpu()
    shared = {"output_dir": str(recipe.checkpoints), "seed": recipe.seed}
    shared |= {"remove_unused_columns": False, "disable_tqdm": True}
    with older_names():
        return build(kind, "trainer", values | shared | dict(ours))


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
    model, adapters = _to_train(recipe, recipe.start())
    watching = _watching(recipe, held.data["id"] if held else (), processor, tell)
    trainer = Trainer(model, settings, rows, held, feed, processor, adapters, watching)
    _join(trainer, recipe, adapters)
    return trainer


def assemble_rl(recipe: "RlRecipe", settings: Any, tell: "Tell") -> Any:
    """The trainer of a recipe for GRPO; nothing is played or trained yet."""
    from seekerdata.processor import NEVER_SAID
    from seekertrain.environment import Environments
    from seekertrain.grpo import GroupTrainer
    from seekertrain.looking import Looking
    from seekertrain.processor import load_processor
    from seekertrain.rewards import reward_functions
    from seekertrain.rollout_log import Rolled, RolloutLog
    from seekertrain.watch import Watch

    processor = load_processor(recipe.model.path, recipe.model.revision)
    rows, held = prepare_rl(recipe, tell)
    if held and held.videos != rows.videos and settings.eval_strategy != "no":
        raise SeekerError("trainer.eval_strategy: held_out has videos of its own; let 'rollouts' play them instead")
    if settings.process_index == 0:
        _write_left_out(recipe, rows)
        tell(f"{len(rows)} questions" + _told(rows.facts()["left_out"]))
    unsaid = [processor.tokenizer.convert_tokens_to_ids(token) for token in NEVER_SAID]
    settings.generation_kwargs = (
        {"logit_bias": dict.fromkeys(unsaid, -100.0)} if settings.use_vllm else {"suppress_tokens": unsaid}
    )
    if recipe.turn_tokens:
        settings.generation_kwargs["max_tokens" if settings.use_vllm else "max_new_tokens"] = recipe.turn_tokens
    rewards, settings.reward_weights = reward_functions(recipe.rewards)
    model, adapters = _to_train(recipe, recipe.model)
    log = RolloutLog(recipe.out, rows.videos, recipe.record_every, processes=settings.world_size)
    watch = Watch(recipe.alarm, tell)
    watching = [*_watching(recipe, held.data["id"] if held else (), processor, tell), watch]

    def seen(step: int, rolled: Sequence[Rolled]) -> None:
        watch.seen(rolled)
        if settings.process_index == 0:
            log.record(step, rolled)

    factory = Environments(rows.videos, recipe.play, looking=Looking(recipe.look_timeout_s))
    trainer = GroupTrainer(model, settings, rows, held, processor, factory, rewards, adapters, watching, seen)
    _join(trainer, recipe, adapters)
    return trainer


def prepare_rl(recipe: "RlRecipe", tell: "Tell") -> "tuple[Questions, Questions | None]":
    """The questions to play and those held out.

    Raises:
        SeekerError: there are none, or a row is in both.
    """
    from seekertrain.questions import load as load_questions
    from seekertrain.questions import other_opening, playable

    data, held = load_questions(recipe.data), None
    if other := other_opening(data, recipe.play):
        tell(other)
    if recipe.held_out_share:
        data, held = parted(data, recipe.held_out_share)
    elif recipe.held_out:
        held = load_questions(recipe.held_out)
        check_apart(data, held)
    rows = playable(data, recipe.data, recipe.play.mode)
    return rows, None if held is None else playable(held, recipe.held_out or recipe.data, recipe.play.mode)


def check_apart(data: Any, held: Any) -> None:
    """Rows that are held out are not trained on.

    Raises:
        SeekerError: some are.
    """
    if both := set(data["id"]) & set(held["id"]):
        raise SeekerError(f"held_out: {len(both)} of its rows are trained on too, such as {min(both)}")


def _to_train(recipe: "SftRecipe | RlRecipe", start: "Model") -> tuple[Any, Any]:
    """The weights, and the adapters if those are trained."""
    model = load_model(start.path, start.revision, start.dtype, start.attention)
    adapters = None if recipe.lora is None else lora_config(recipe.lora, recipe.freeze)
    if adapters is None:
        freeze(model, recipe.freeze)
    return model, adapters


def _check_room(trainer: Any, recipe: "SftRecipe | RlRecipe", adapters: Any) -> None:
    saved = [p for p in trainer.model.parameters() if p.requires_grad or not adapters]
    weights = sum(p.numel() * p.element_size() for p in saved)
    check_room(recipe.checkpoints, weights, sum(p.numel() for p in saved if p.requires_grad))


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
        check_apart(data, held)
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


def _tell_left_out(recipe: "SftRecipe", rows: Rows, tell: "Tell") -> None:
    """Rows left out are named in a file, counted on the terminal."""
    _write_left_out(recipe, rows)
    facts = rows.facts()
    told = _told(facts["left_out"])
    told += f", {facts['shortened']} shortened" if facts["shortened"] else ""
    tell(f"{facts['rows']} rows of {facts['tokens']['p50']} tokens (p95 {facts['tokens']['p95']}){told}")


def _write_left_out(recipe: "SftRecipe | RlRecipe", rows: "Rows | Questions") -> None:
    lines = (json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in rows.left_out)
    write_atomically(recipe.out / "left_out.jsonl", (line.encode() for line in lines))


def _told(left_out: Mapping[str, int]) -> str:
    return "".join(f", {count} left out as {code}" for code, count in left_out.items())


def _watching(recipe: "SftRecipe | RlRecipe", held: Sequence[str], processor: Any, tell: "Tell") -> list[Any]:
    """What shows how it goes: bar, curve, and plays of held-out rows."""
    from seekertrain.plays import Plays
    from seekertrain.progress import Bar, Curve
    from seekertrain.rl_curves import rl_curves

    picture = Curve(recipe.out, "curves.png", rl_curves) if recipe.kind == "rl" else Curve(recipe.out)
    watching: list[Any] = [Bar(), picture]
    if recipe.rollouts.every and held:
        data = recipe.held_out or recipe.data
        rows = questions(data, held, recipe.rollouts.samples)
        first = recipe.kind == "rl"
        watching.insert(0, Plays(rows, data.videos(), recipe.rollouts, processor, recipe.out, tell, first))
    return watching


def _join(trainer: Any, recipe: "SftRecipe | RlRecipe", adapters: Any) -> None:
    """What needs the trainer that it watches, or the run's folder.

    Raises:
        SeekerError: plays are asked for where no process holds all weights, or a checkpoint does not fit.
    """
    _check_room(trainer, recipe, adapters)
    for watcher in trainer.callback_handler.callbacks:
        if type(watcher).__name__ == "TensorBoardCallback":
            watcher.logging_dir = str(recipe.out / "tensorboard")
        if type(watcher).__name__ == "Plays":
            watcher.trainer = trainer
            if _spread(trainer):
                raise SeekerError("rollouts.every: no process holds all weights under FSDP or ZeRO-3; set it to 0")
    if recipe.kind == "rl":
        check_turns(trainer)


def check_turns(trainer: Any) -> None:
    """Whether each process can end its rollouts after as many turns as they take: then the others must not need it.

    Raises:
        SeekerError: the weights are spread, and every turn gathers them: a process that is done would be waited for.
    """
    settings = trainer.args
    apart = settings.use_vllm and (settings.vllm_mode == "server" or not settings.vllm_enable_sleep_mode)
    if trainer.tools and _spread(trainer) and not apart:
        raise SeekerError(
            "FSDP and ZeRO-3 gather the weights for every turn, and rollouts with looks take different numbers of turns"
            " in each process: the run would hang; use ZeRO-2, or trainer.use_vllm (without vllm_enable_sleep_mode)"
        )


def _spread(trainer: Any) -> bool:
    """Whether no process holds all weights."""
    config = trainer.accelerator.deepspeed_config if trainer.is_deepspeed_enabled else {}
    return bool(trainer.is_fsdp_enabled or config.get("zero_optimization", {}).get("stage") == 3)
