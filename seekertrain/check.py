"""check: what a recipe would train, before anything is trained: its first batch as text, lengths, memory, prompts.

Reads rows, tokenizer and the model's config; no weights, no video.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import PIL.Image

from seekerdata.processor import chat
from seekerdata.tools import VideoTools, tool_names
from seekertrain.assembly import prepare, trainer_config
from seekertrain.batch import Encoded, Encoder
from seekertrain.parts import freeze, lora_config, parameters
from seekertrain.rows import ByLength, Rows, measured, spread
from seekertrain.sft import SftRecipe
from seekertrain.trainer_settings import older_names

if TYPE_CHECKING:
    from transformers import ProcessorMixin

    from seekertrain.rl import RlRecipe

COMPARED = 8
"""Rows whose prompt is compared with the one that GRPO would show."""


class Piece(NamedTuple):
    """A stretch of a row's tokens as text; `kind` is trained, context or picture."""

    kind: str
    text: str


@dataclass(frozen=True)
class Report:
    """What was found. `faults` are reasons not to train."""

    rows: dict[str, Any]
    held_out: dict[str, Any] | None
    lengths: dict[str, int]
    """Tokens of the rows before any was shortened."""
    over_limit: int
    steps: dict[str, int]
    template: dict[str, bool]
    parameters: dict[str, dict[str, int]]
    memory_gb: dict[str, float]
    assumptions: list[str]
    batch: list[tuple[str, list[Piece]]]
    """Id and text of the first rows of the first step."""
    prompts_compared: int
    faults: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {
            "batch": [{"id": name, "pieces": [p._asdict() for p in row]} for name, row in self.batch]
        }

    def figures(self) -> dict[str, Any]:
        """For a terminal, by title."""
        rows = {key: value for key, value in self.rows.items() if key != "tokens"}
        return {
            "rows": {**rows.pop("left_out"), **rows},
            "tokens of a row": self.lengths | {"over the limit": self.over_limit},
            "as trained": self.rows["tokens"],
            "steps": self.steps,
            "template": self.template,
            "parameters trained": {p: f"{n['trained']:,} of {n['all']:,}" for p, n in self.parameters.items()},
            "memory of one device, GB": self.memory_gb,
            "prompts compared with those of GRPO": self.prompts_compared,
        }


@older_names()
def check(recipe: SftRecipe, shown: int = 2) -> Report:
    """Look a recipe over.

    Args:
        recipe: what would be trained.
        shown: rows of the first batch that are given as text.

    Raises:
        SeekerError: it could not be trained at all; the text says why.
    """
    from seekertrain.processor import load_processor

    settings = trainer_config(recipe, trains=False)
    processor = load_processor(recipe.model.path, recipe.model.revision)
    encoder = Encoder(processor, recipe.max_length)
    rows, held = prepare(recipe, encoder)
    whole = rows if recipe.max_length is None else measured(_all(recipe), Encoder(processor), recipe.data.videos())
    step_rows = settings.per_device_train_batch_size * settings.gradient_accumulation_steps * settings.world_size
    first = list(islice(ByLength(rows.lengths, step_rows, recipe.seed), settings.per_device_train_batch_size))
    model = weightless(recipe)
    template = template_facts(processor)
    faults = [f"the chat template: {name.replace('_', ' ')} is not so" for name, good in template.items() if not good]
    compared = list(islice(rows.data, COMPARED))
    faults += [fault for row in compared if (fault := unlike_prompt(row, encoder, processor))]
    memory, assumptions = estimate(model, recipe, settings, max(rows.lengths))
    steps = -(-len(rows) // step_rows)
    return Report(
        rows=rows.facts(),
        held_out=held.facts() if held else None,
        lengths=spread(whole.lengths),
        over_limit=sum(recipe.max_length is not None and n > recipe.max_length for n in whole.lengths),
        steps={
            "rows_of_a_step": step_rows,
            "steps_of_an_epoch": steps,
            "steps": settings.max_steps if settings.max_steps > 0 else int(steps * settings.num_train_epochs),
            "tokens_of_an_epoch": sum(rows.lengths),
        },
        template=template,
        parameters=parameters(model),
        memory_gb=memory,
        assumptions=assumptions,
        batch=[_told(rows, place, encoder) for place in first[:shown]],
        prompts_compared=len(compared),
        faults=faults,
    )


def template_facts(processor: "ProcessorMixin") -> dict[str, bool]:
    """What TRL asks of a chat template, each by TRL's own test."""
    from trl import chat_template_utils as trl

    from seekertrain.processor import training_template

    template = training_template(processor)
    return {
        "supports_tool_calling": trl.supports_tool_calling(processor),
        "is_chat_template_prefix_preserving": trl.is_chat_template_prefix_preserving(processor),
        "is_chat_template_stop_token_trained": trl.is_chat_template_stop_token_trained(processor, template),
        "has_generation_markers": trl.has_generation_markers(template),
    }


def unlike_prompt(row: Any, encoder: Encoder, processor: "ProcessorMixin") -> str:
    """Whether a row's tokens begin with exactly those that GRPO shows for its first turns; empty if they do."""
    encoded = encoder.encode(row)
    opening = [turn for n, turn in enumerate(row["messages"]) if not _spoken_before(row["messages"], n)]
    turns = chat(opening)
    sizes = iter([b["size_wh"] for turn in opening for b in turn["content"] if b["type"] == "image"])
    for block in (block for turn in turns for block in turn["content"] if block["type"] == "image"):
        block["image"] = PIL.Image.new("RGB", tuple(next(sizes)))
    shown = processor.apply_chat_template(
        [turns], tools=_environment_tools(), add_generation_prompt=True, tokenize=True, return_dict=True
    )["input_ids"][0]
    ids = [int(token) for token in encoded.ids[: len(shown)]]
    if ids != [int(token) for token in shown]:
        place = next((n for n, (a, b) in enumerate(zip(ids, shown, strict=False)) if a != b), min(len(ids), len(shown)))
        return f"{row['id']}: its prompt is not the one that GRPO shows, from token {place} on"
    if encoded.trained[: len(shown)].any():
        return f"{row['id']}: some of its prompt is trained"
    return ""


def estimate(
    model: Any, recipe: "SftRecipe | RlRecipe", settings: Any, longest: int
) -> tuple[dict[str, float], list[str]]:
    """Gigabytes that one device takes for the longest rows, by what takes them, and what that takes for granted."""
    counts = parameters(model)
    every, trained = (sum(part[key] for part in counts.values()) for key in ("all", "trained"))
    size = 4 if recipe.model.dtype == "float32" else 2
    text = model.config.get_text_config()
    computed = 2 if settings.bf16 or settings.fp16 or size == 2 else 4
    tokens = settings.per_device_train_batch_size * longest
    layer = 17 * computed * tokens * text.hidden_size
    kept = computed * tokens * text.hidden_size * text.num_hidden_layers + layer
    checkpointed = settings.gradient_checkpointing or getattr(settings, "activation_checkpointing", False)
    found = {
        "weights": every * size,
        "gradients": trained * size,
        "optimiser": trained * 2 * size,
        "activations": kept if checkpointed else layer * text.num_hidden_layers,
    }
    found["sum"] = sum(found.values())
    assumptions = [
        f"a batch of {settings.per_device_train_batch_size} rows of {longest} tokens, the longest there is",
        "AdamW keeps two numbers for each that is trained, as wide as the weights (DeepSpeed: 12 bytes for each)",
        f"a layer keeps 17 numbers of {computed} bytes for each token and hidden unit (no attention scores)",
        "checkpointing keeps one of them for each layer"
        if checkpointed
        else "every layer's are kept: no checkpointing",
        "the language model only: a vision tower that is trained adds its own activations",
        "ZeRO-2 divides gradients and optimiser by the number of processes, ZeRO-3 and FSDP weights too",
    ]
    return {name: round(value / 1e9, 3) for name, value in found.items()}, assumptions


def pieces(encoded: Encoded, encoder: Encoder, sizes: Sequence[Sequence[int]]) -> list[Piece]:
    """A row's tokens as text: what is trained, what is context, and pictures as their sizes."""
    tokenizer, left = encoder.processor.tokenizer, iter(zip(sizes, encoded.grids, strict=False))
    kinds = [(int(t) == encoder.pad_id, bool(yes)) for t, yes in zip(encoded.ids, encoded.trained, strict=True)]
    found: list[Piece] = []
    for (is_picture, trained), run in groupby(range(encoded.length), key=lambda n: kinds[n]):
        places = list(run)
        if not is_picture:
            words = tokenizer.decode(encoded.ids[places[0] : places[-1] + 1].tolist(), skip_special_tokens=False)
            found.append(Piece("trained" if trained else "context", words))
            continue
        (width, height), grid = next(left)
        found.append(Piece("picture", f"[{width}x{height}, {encoder.features(grid)} tokens]"))
    return found


def _told(rows: Rows, place: int, encoder: Encoder) -> tuple[str, list[Piece]]:
    row = rows.data[place]
    sizes = [b["size_wh"] for turn in row["messages"] for b in turn["content"] if b["type"] == "image"]
    return row["id"], pieces(encoder.encode(row), encoder, sizes)


def _all(recipe: SftRecipe) -> Any:
    """The rows that would be trained on, before any is left out."""
    from seekertrain.rows import load, parted

    data = load(recipe.data)
    return parted(data, recipe.held_out_share)[0] if recipe.held_out_share else data


def _environment_tools() -> list[dict[str, Any]]:
    """The tools as transformers describes them for TRL; what one returns is not part of what a model is told."""
    from transformers.utils import get_json_schema

    schemas = [get_json_schema(getattr(VideoTools(), name)) for name in tool_names(VideoTools)]
    for schema in schemas:
        schema["function"].pop("return", None)
    return schemas


def _spoken_before(messages: Sequence[Any], place: int) -> bool:
    return any(turn["role"] == "assistant" for turn in messages[: place + 1])


def weightless(recipe: "SftRecipe | RlRecipe") -> Any:
    """The model without its numbers, frozen or with adapters as the recipe says."""
    import torch
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(recipe.model.path, revision=recipe.model.revision)
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
        if recipe.lora is not None:
            from peft import get_peft_model

            return get_peft_model(model, lora_config(recipe.lora, recipe.freeze))
    freeze(model, recipe.freeze)
    return model
