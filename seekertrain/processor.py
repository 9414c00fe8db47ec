"""Processor: seekerdata's, with what TRL wants of it besides: how a reply is read, what of a text is trained."""

from typing import TYPE_CHECKING

from seekerdata import processor as played
from seekerdata.errors import SeekerError

if TYPE_CHECKING:
    from transformers import ProcessorMixin


def load_processor(model: str, revision: str | None = None) -> "ProcessorMixin":
    """The processor that plays the model (`seekerdata.processor`), as TRL trains with it. Raises as that one does."""
    from trl.chat_template_utils import qwen3_template

    processor = played.load_processor(model, revision)
    processor.tokenizer.response_template = qwen3_template
    return processor


def training_template(processor: "ProcessorMixin") -> str:
    """The template that renders the same text and marks what the model says.

    Raises:
        SeekerError: nothing marks the model's turns.
    """
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    if has_generation_markers(processor.chat_template):
        return str(processor.chat_template)
    try:
        return str(get_training_chat_template(processor))
    except ValueError:
        raise SeekerError("the chat template does not mark the model's turns: it needs {% generation %}") from None
