"""rl_check: what a recipe of `rl` would play and train, before anything is: prompts, room for looks, steps, memory.

Reads rows, tokenizer and the model's config; no weights, no video: a frame's size and time follow from its video's.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from seekerdata.dataset import messages
from seekerdata.instructions import MARKED, first_turns
from seekerdata.load import frame_count
from seekerdata.observation import Observation, stamp
from seekerdata.patches import grid_of
from seekerdata.pixels import fit_size
from seekerdata.rollout import RolloutSettings
from seekerdata.sampling import fps_capped
from seekerdata.tools import tool_schemas
from seekerdata.trajectory import Image, Text, ToolCall, Turn
from seekertrain.assembly import prepare_rl, rl_config
from seekertrain.batch import Encoded, Encoder, chat
from seekertrain.check import Piece, estimate, pieces, template_facts, weightless
from seekertrain.parts import parameters
from seekertrain.rl import RlRecipe
from seekertrain.rows import spread
from seekertrain.trainer_settings import older_names

READ = ("id", "question", "video_duration_s", "video_size_wh", "frame_time_s")
CALL = ToolCall(id="call_1", name="crop_video", arguments={"video_path": "video", "start_time": 0.0, "end_time": 10.0})
"""The shortest that a look takes of the model's own words."""


@dataclass(frozen=True)
class RlReport:
    """What was found. `faults` are reasons not to train."""

    rows: dict[str, Any]
    held_out: dict[str, Any] | None
    prompts: dict[str, int]
    """Tokens of the prompts, the pictures' included."""
    room: dict[str, int]
    """Tokens after a prompt: how many there may be, and what the largest look of all rows takes of them."""
    steps: dict[str, int]
    opening: str
    """Whether what is shown first is what the rows were made with."""
    rewards: dict[str, float]
    template: dict[str, bool]
    parameters: dict[str, dict[str, int]]
    memory_gb: dict[str, float]
    assumptions: list[str]
    batch: list[tuple[str, list[Piece]]]
    """Id, tokens and text of the first prompts."""
    faults: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {
            "batch": [{"id": name, "pieces": [p._asdict() for p in row]} for name, row in self.batch]
        }

    def figures(self) -> dict[str, Any]:
        """For a terminal, by title."""
        rows = dict(self.rows)
        return {
            "questions": {**rows.pop("left_out"), **rows},
            "tokens of a prompt": {key: value for key, value in self.prompts.items() if key != "sum"},
            "tokens after it": self.room,
            "steps": self.steps,
            "play": self.opening,
            "rewards": self.rewards,
            "template": self.template,
            "parameters trained": {p: f"{n['trained']:,} of {n['all']:,}" for p, n in self.parameters.items()},
            "memory of one device, GB": self.memory_gb,
        }


@older_names()
def check_rl(recipe: RlRecipe, shown: int = 2) -> RlReport:
    """Look a recipe over.

    Args:
        recipe: what would be played and trained.
        shown: rows whose prompts are given as text.

    Raises:
        SeekerError: it could not be trained at all; the text says why.
    """
    from seekertrain.processor import load_processor
    from seekertrain.progress import walked

    settings = rl_config(recipe, trains=False)
    encoder, told = Encoder(load_processor(recipe.model.path, recipe.model.revision)), list[str]()
    questions, held = prepare_rl(recipe, told.append)
    rows = list(questions.data.with_format(None).select_columns(list(READ)))
    prompts = [prompt(row, recipe.play, encoder) for row in walked(rows, "prompts measured")]
    lengths = [encoded.length for encoded in prompts]
    model, template = weightless(recipe), template_facts(encoder.processor)
    room = room_of(rows, recipe, settings, encoder)
    steps = steps_of(len(rows), settings)
    memory, assumptions = rl_estimate(model, recipe, settings, max(lengths) + settings.max_completion_length)
    faults = [f"the chat template: {name.replace('_', ' ')} is not so" for name, good in template.items() if not good]
    context = int(model.config.get_text_config().max_position_embeddings)
    return RlReport(
        rows=questions.facts(),
        held_out=held.facts() if held else None,
        prompts=spread(lengths),
        room=room,
        steps=steps,
        opening="; ".join(told) or "shows first what the rows were made with",
        rewards={name: weight for name, weight in recipe.rewards.weights.model_dump().items() if weight},
        template=template,
        parameters=parameters(model),
        memory_gb=memory,
        assumptions=assumptions,
        batch=[_told(encoded, encoder, row, recipe.play) for encoded, row in zip(prompts[:shown], rows, strict=False)],
        faults=[*faults, *lacking(room, steps, max(lengths), context)],
    )


def lacking(room: Mapping[str, int], steps: Mapping[str, int], longest: int, context: int) -> list[str]:
    """What would go wrong for want of tokens or of questions."""
    found, least = [], room.get("largest_look", 0) + room.get("its_call", 0)
    if least > room["max_completion_length"]:
        found.append(
            f"trainer.max_completion_length: one look takes up to {least:,} tokens ({room['its_frames']} frames and "
            f"its call) and {room['max_completion_length']:,} may follow a prompt: such a look would never be shown"
        )
    if longest + least >= context:
        found.append(f"the longest prompt ({longest:,} tokens) and one look leave the model's context of {context:,}")
    if not steps["steps_of_an_epoch"]:
        found.append(f"data: there are fewer questions than the {steps['questions_of_a_step']} of a step")
    return found


def overview(row: Mapping[str, Any], play: RolloutSettings) -> Observation:
    """What stands before the question, without its pixels; times are those asked for, not yet those of frames."""
    times = fps_capped(play.overview_fps, play.overview_max_frames).times(0.0, row["video_duration_s"])
    return _frames(row, times, play.max_pixels)


def _frames(
    row: Mapping[str, Any], times: Sequence[float], max_pixels: int | None, source: str = "video"
) -> Observation:
    size, blocks = fit_size(tuple(row["video_size_wh"]), max_pixels), list[Any]()
    for time_s in times:
        image = Image(source=source, time_s=time_s, max_pixels=max_pixels, size_wh=size, sha256="")
        blocks += [Text(text=stamp(time_s)), image]
    return Observation(tuple(blocks))


def opened(row: Mapping[str, Any], play: RolloutSettings) -> list[Turn]:
    """The turns that a row's rollout begins with."""
    marked: tuple[Any, ...] = ()
    if play.mode != "tool":
        frame = _frames(row, [row["frame_time_s"]], play.tools.prompt_max_pixels, "prompt_1")
        marked = (Text(text=MARKED), *frame.blocks)
    shown = Observation(overview(row, play).blocks + marked)
    return list(first_turns(row["question"], (), shown, play.mode, row["video_duration_s"], ("prompt_1",)))


def prompt(row: Mapping[str, Any], play: RolloutSettings, encoder: Encoder) -> Encoded:
    """A row's prompt as tokens."""
    return _tokens(row["id"], opened(row, play), play, encoder)


def _tokens(name: str, turns: Sequence[Turn], play: RolloutSettings, encoder: Encoder) -> Encoded:
    said = encoder.processor.tokenizer.apply_chat_template(
        chat(messages(turns)),
        tools=tool_schemas() if play.mode == "tool" else None,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
    )
    ids = np.array(said["input_ids"], dtype=np.int64)
    settings = encoder.processor.image_processor
    grids = [grid_of(image.size_wh, settings) for turn in turns for image in turn.images]
    counts = np.ones(len(ids), dtype=np.int64)
    counts[ids == encoder.pad_id] = [encoder.features(grid) for grid in grids]
    whole = np.repeat(ids, counts)
    return Encoded(name, whole, np.zeros(len(whole), dtype=bool), np.array(grids, dtype=np.int64).reshape(-1, 3))


def room_of(rows: Sequence[Mapping[str, Any]], recipe: RlRecipe, settings: Any, encoder: Encoder) -> dict[str, int]:
    """Tokens that may follow a prompt, and what the largest look takes: all of a video, or as much as one may see."""
    play, found = recipe.play, {"max_completion_length": int(settings.max_completion_length)}
    if recipe.turn_tokens:
        found["turn_tokens"] = recipe.turn_tokens
    if play.mode != "tool":
        return found
    largest, frames, call = 0, 0, 0
    for row in _widest(rows, play, encoder):
        tools = play.tools
        count = frame_count(tools.crop_fps, tools.crop_max_frames, row["video_duration_s"], tools.crop_min_frames)
        times = fps_capped(tools.crop_fps, tools.crop_max_frames, tools.crop_min_frames).times(
            0, row["video_duration_s"]
        )
        before = opened(row, play)
        asked = [*before, Turn(role="assistant", tool_calls=(CALL,))]
        sized = [before, asked]
        for look in (_frames(row, times, tools.max_pixels), _frames(row, [0.0], tools.prompt_max_pixels, "prompt_1")):
            sized.append([*asked, Turn(role="tool", content=look.blocks, tool_call_id=CALL.id)])
        opening, after, *looked = (_tokens(row["id"], turns, play, encoder).length for turns in sized)
        for shown, number in zip(looked, (count, 1), strict=True):
            if shown - after > largest:
                largest, frames = shown - after, number
        call = after - opening
    return found | {"largest_look": largest, "its_frames": frames, "its_call": call}


def _widest(rows: Sequence[Mapping[str, Any]], play: RolloutSettings, encoder: Encoder) -> list[Mapping[str, Any]]:
    """The rows in which a crop and the marked frame take most."""
    tools, settings = play.tools, encoder.processor.image_processor

    def crop(row: Mapping[str, Any]) -> int:
        count = frame_count(tools.crop_fps, tools.crop_max_frames, row["video_duration_s"], tools.crop_min_frames)
        return count * encoder.features(grid_of(fit_size(tuple(row["video_size_wh"]), tools.max_pixels), settings))

    def mark(row: Mapping[str, Any]) -> int:
        size = fit_size(tuple(row["video_size_wh"]), tools.prompt_max_pixels)
        return encoder.features(grid_of(size, settings))

    return [max(rows, key=crop), max(rows, key=mark)]


def steps_of(questions: int, settings: Any) -> dict[str, int]:
    """How many rollouts and questions a step has, and how many steps there are, as TRL's sampler deals them."""
    together = settings.generation_batch_size // settings.num_generations
    rounds = questions // together  # TRL leaves out what is left
    of_epoch = -(
        -rounds * settings.steps_per_generation * settings.num_iterations // settings.gradient_accumulation_steps
    )
    rollouts = settings.per_device_train_batch_size * settings.gradient_accumulation_steps * settings.world_size
    return {
        "processes": settings.world_size,
        "rollouts_of_a_step": rollouts,
        "questions_of_a_step": rollouts // settings.num_generations,
        "rollouts_played_at_once": settings.per_device_train_batch_size * settings.steps_per_generation,
        "steps_of_an_epoch": of_epoch,
        "steps": settings.max_steps if settings.max_steps > 0 else math.ceil(of_epoch * settings.num_train_epochs),
    }


def rl_estimate(model: Any, recipe: RlRecipe, settings: Any, longest: int) -> tuple[dict[str, float], list[str]]:
    """As `check.estimate`, with the reference and with what the rollouts keep while they are played."""
    found, assumptions = estimate(model, recipe, settings, longest)
    every, text = sum(part["all"] for part in parameters(model).values()), model.config.get_text_config()
    if settings.beta and recipe.lora is None:
        found["reference"] = round(every * (4 if recipe.model.dtype == "float32" else 2) / 1e9, 3)
        assumptions.append("the reference is a second model as large as the first, without gradients")
    if settings.use_vllm:
        assumptions.append("what vLLM takes is trainer.vllm_gpu_memory_utilization, or a server's own, and not counted")
    else:
        together = settings.per_device_train_batch_size * settings.steps_per_generation
        heads, size = text.num_key_value_heads, 4 if recipe.model.dtype == "float32" else 2
        width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        cache = together * longest * text.num_hidden_layers * 2 * heads * width * size
        found["rollouts"] = round(cache / 1e9, 3)
        assumptions.append(
            f"{together} rollouts of a process are written at once and keep keys and values of {longest} tokens each, "
            "which is given back before training; trainer.steps_per_generation makes them fewer"
        )
    found.pop("sum")
    return found | {"sum": round(sum(found.values()), 3)}, assumptions


def _told(encoded: Encoded, encoder: Encoder, row: Mapping[str, Any], play: RolloutSettings) -> tuple[str, list[Piece]]:
    sizes = [image.size_wh for turn in opened(row, play) for image in turn.images]
    return f"{encoded.id}, {encoded.length:,} tokens", pieces(encoded, encoder, sizes)
