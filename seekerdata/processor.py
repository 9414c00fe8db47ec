"""Processor: a model's tokenizer, picture settings and chat template, which carries tools: for training and playing.

A template that would drop a tool, a call or a picture of a tool's turn is refused. Runs without torchvision.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seekerdata.errors import SeekerError
from seekerdata.hub import is_place, reach_hub
from seekerdata.tools import tool_schemas

if TYPE_CHECKING:
    from transformers import ProcessorMixin

FAMILIES = {
    "qwen2_vl": "Qwen2VLProcessor",
    "qwen2_5_vl": "Qwen2_5_VLProcessor",
    "qwen3_vl": "Qwen3VLProcessor",
    "qwen3_vl_moe": "Qwen3VLProcessor",
}
"""Model types that can be trained and played, and the class that transformers reads their processor with."""
WITHOUT_TOOLS = ("qwen2_vl", "qwen2_5_vl")
"""Families whose own template has no tools: they get Qwen3-VL's, the Hermes form."""
IMAGE = "<|image_pad|>"
NEVER_SAID = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|im_start|>")
"""Tokens that a sampled turn must not hold: they would stand for pictures, or for a turn, that are not there."""


def load_processor(model: str, revision: str | None = None) -> "ProcessorMixin":
    """The processor of a model, with a template that carries tools.

    Args:
        model: a hub id or a folder.
        revision: of a hub id.

    Raises:
        SeekerError: it cannot be found, is of another family, or its template drops tools or their pictures.
    """
    kind = family(model, revision)
    processor = _read(model, revision, FAMILIES[kind])
    if (lost := lost_by_template(processor)) and kind in WITHOUT_TOOLS:
        processor.chat_template = processor.tokenizer.chat_template = _with_tools(model, lost)
        lost = lost_by_template(processor)
    if lost:
        raise SeekerError(f"{model}: its chat template drops {lost}; give it a template that shows it")
    return processor


def _with_tools(model: str, lost: str) -> str:
    """Qwen3-VL's template, which comes with TRL. What `seekertrain` saved has it inside and needs no TRL."""
    try:
        from trl.chat_template_utils import qwen3_vl_chat_template
    except ImportError:
        hint = "for Qwen3-VL's template, which shows it: pip install 'videoseeker-toolkit[train]'"
        raise SeekerError(f"{model}: its chat template drops {lost}; {hint}") from None
    return str(qwen3_vl_chat_template)


def chat(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row's messages in the form that chat templates take; a picture is `{"type": "image"}`.

    A turn without text has the empty text, as a sampled turn has: an empty block would print a line break.
    """
    turns: list[dict[str, Any]] = []
    for message in messages:
        blocks = [
            {"type": "text", "text": block["text"]} if block["type"] == "text" else {"type": "image"}
            for block in message["content"]
        ]
        turn: dict[str, Any] = {"role": message["role"], "content": blocks or ""}
        if message["tool_calls"]:
            turn["tool_calls"] = [{"type": "function", "function": call["function"]} for call in message["tool_calls"]]
        turns.append(turn)
    return turns


def family(model: str, revision: str | None = None) -> str:
    """What kind of model it is, one of `FAMILIES`.

    Raises:
        SeekerError: there is no such model, or it is of another kind.
    """
    kind = model_type(model, revision)
    if kind not in FAMILIES:
        raise SeekerError(f"{model}: models of type {kind} cannot be trained or played; can be: {', '.join(FAMILIES)}")
    return kind


def model_type(model: str, revision: str | None = None) -> str:
    """What kind of model it is, as its config says, such as `qwen3_vl`.

    Raises:
        SeekerError: there is no such model.
    """
    config = _config(model, revision)
    if "model_type" not in config:
        raise SeekerError(f"{model}: no model can be read there: it has no config.json that names its model_type")
    return str(config["model_type"])


def _config(model: str, revision: str | None) -> dict[str, Any]:
    """A model's config; what was downloaded once needs no network."""
    from transformers import PreTrainedConfig

    here = Path(model).is_dir()
    if not here and is_place(model):
        raise SeekerError(f"{model}: no such folder")
    try:
        if not here:
            with suppress(OSError, ValueError):
                return dict(PreTrainedConfig.get_config_dict(model, revision=revision, local_files_only=True)[0])
            reach_hub(model, "or name a folder that there is")
        return dict(PreTrainedConfig.get_config_dict(model, revision=revision)[0])
    except (OSError, ValueError) as error:
        raise SeekerError(f"{model}: no model can be read there: {' '.join(str(error).split())[:200]}") from None


def lost_by_template(processor: "ProcessorMixin") -> str:
    """What of a conversation with tools the template does not show; empty if it shows all."""
    import jinja2

    seen = [{"type": "text", "text": "seen"}, {"type": "image"}]
    call = {"type": "function", "function": {"name": "called", "arguments": {"key": "value"}}}
    said: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "asked"}, {"type": "image"}]},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": seen},
    ]
    if processor.chat_template is None:
        return "everything: there is none"
    try:
        text = str(processor.apply_chat_template(said, tools=tool_schemas(), tokenize=False))
    except (jinja2.TemplateError, TypeError):
        return "tool turns: it does not take them"
    wanted = {"the tools": "crop_video", "tool calls": "called", "their arguments": "value", "tool turns": "seen"}
    lost = [name for name, word in wanted.items() if word not in text]
    lost += ["pictures of tool turns"] * (text.count(IMAGE) < 2)
    return lost[0] if lost else ""


def _read(model: str, revision: str | None, name: str) -> "ProcessorMixin":
    """The stock processor; without torchvision, whose video part it needs, one of the same name for pictures alone."""
    from transformers import AutoProcessor
    from transformers.utils import is_torchvision_available

    if is_torchvision_available():
        return AutoProcessor.from_pretrained(model, revision=revision)
    processor = picture_processor(name).from_pretrained(model, revision=revision)
    processor.video_settings = _video_settings(model, revision)
    return processor


def picture_processor(name: str) -> Any:
    """A class that transformers loads and saves as the stock processor `name`, without its video part."""
    from transformers import ProcessorMixin

    class PictureProcessor(ProcessorMixin):
        return_mm_token_type_ids = True

        def __init__(self, image_processor: Any, tokenizer: Any, chat_template: str | None = None, **_: Any) -> None:
            self.image_token, self.video_token = IMAGE, "<|video_pad|>"
            self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
            self.video_token_id = tokenizer.convert_tokens_to_ids(self.video_token)
            self.video_settings: dict[str, Any] = {}
            super().__init__(image_processor, tokenizer, chat_template=chat_template)

        def replace_image_token(self, image_inputs: dict[str, Any], image_idx: int, **_: Any) -> str:
            patches = image_inputs["image_grid_thw"][image_idx].prod()
            return IMAGE * int(patches // self.image_processor.merge_size**2)

        @property
        def model_input_names(self) -> list[str]:
            return [*super().model_input_names, "mm_token_type_ids"]

        def to_dict(self) -> dict[str, Any]:
            """What is saved: also the video part that this class does not use, for those who do."""
            facts = {key: value for key, value in super().to_dict().items() if key != "video_settings"}
            return facts | ({"video_processor": self.video_settings} if self.video_settings else {})

    PictureProcessor.__name__ = PictureProcessor.__qualname__ = name
    return PictureProcessor


def _video_settings(model: str, revision: str | None) -> dict[str, Any]:
    """The stock video part's settings, as the model's files have them; empty if they have none."""
    from transformers.utils import cached_file

    for name in ("processor_config.json", "video_preprocessor_config.json"):
        file = cached_file(model, name, revision=revision, _raise_exceptions_for_missing_entries=False)
        if file is not None:
            facts = json.loads(Path(file).read_text(encoding="utf-8"))
            found = facts.get("video_processor") if name == "processor_config.json" else facts
            if found:
                return dict(found)
    return {}
