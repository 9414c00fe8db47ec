"""model: any model plays the tools. It is sent the conversation and nothing else, block by block in its order.

Stamps stay beside their frames: where an API takes no pictures in a tool's result, the whole result follows in a
user message.
"""

import base64
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import PrivateAttr

from seekerdata.dialect import offer_tools, tool_response, write_call
from seekerdata.models import AtHand, ModelRole, as_content, ask, connect
from seekerdata.rollout import Conversation, Policy, Reply
from seekerdata.sample import Sample
from seekerdata.trajectory import Block, Turn

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, Content
    from inspect_ai.tool import ToolCall, ToolInfo

__all__ = ["Model"]

SHOWN_BELOW = "The result is in the next message."
"""A tool's result where pictures cannot be in one."""
UNSIGNED = base64.b64encode(b"skip_thought_signature_validator").decode()
"""Stands where Gemini 3 wants the signature of the thought before a call; Google's word for a call that has none."""


class Model(Policy):
    """Any model by name (OpenAI, Gemini, vLLM, a compatible server, local transformers). Sees only the conversation."""

    shown_frames = frozenset({"model"})

    model: ModelRole
    calls: Literal["native", "text"] = "native"
    """How it calls tools: through its API, or as `<tool_call>` text for models without (Hermes form)."""
    _at_hand: AtHand | None = PrivateAttr(None)

    def asking(self, model: AtHand) -> "Model":
        """The same policy over a model that its runner has made: an evaluation's own."""
        policy = self.model_copy()
        policy._at_hand = model
        return policy

    def facts(self) -> dict[str, str]:
        return {"model": self.model.model, "dialect": self.calls}

    def trying(self, attempt: int) -> "Model":
        """The same model with a seed of its own for every try; tries differ at a temperature above 0 only."""
        seeded = self.model.model_copy(update={"seed": (self.model.seed or 0) + attempt})
        return self.model_copy(update={"model": seeded}) if attempt else self

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        """The model's next turn; `sample` is not read.

        Raises:
            SeekerError: a wrong key, an unknown model or a missing package.
            ItemError: `model_failed` when there is no reply after all retries.
        """
        google = self.model.model.startswith("google/")  # there a result's pictures are parted from their stamps
        model = self._at_hand.model if self._at_hand else connect(self.model)
        in_results = model.api.tool_result_images() and not google
        if self.calls == "native":
            messages, tools = _native(conversation, in_results, google), _tools(conversation.schemas)
        else:
            messages, tools = _as_text(conversation), []
        first_id = conversation.rounds + 1
        return await ask(self.model, list(messages), tools, first_id=first_id, at_hand=self._at_hand)


def _native(conversation: Conversation, pictures_in_results: bool, signed: bool) -> "Iterator[ChatMessage]":
    """The conversation with structured calls and results; `signed` where calls need the signature of a thought."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageTool, ChatMessageUser

    shown: list[Block] = []
    named: dict[str, str] = {}
    for turn in conversation.turns:
        if turn.role != "tool" and shown:  # the results of one turn stand together, their pictures after them
            yield ChatMessageUser(content=_content(shown, conversation))
            shown = []
        if turn.role == "system":
            yield ChatMessageSystem(content=turn.text)
        elif turn.role == "user":
            yield ChatMessageUser(content=_content(turn.content, conversation))
        elif turn.role == "assistant":
            calls = _calls(turn)
            named |= {call.id: call.function for call in calls}
            content = _signed(turn.text, calls) if signed and calls else turn.text
            yield ChatMessageAssistant(content=content, tool_calls=calls or None)
        else:
            below = bool(turn.images) and not pictures_in_results
            result = SHOWN_BELOW if below else _content(turn.content, conversation)
            name = named.get(turn.tool_call_id)
            yield ChatMessageTool(content=result, tool_call_id=turn.tool_call_id, function=name)
            shown += turn.content if below else ()
    if shown:
        yield ChatMessageUser(content=_content(shown, conversation))


def _as_text(conversation: Conversation) -> "Iterator[ChatMessage]":
    """The conversation with calls and results written into the text, for models and servers without tool calls."""
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    results: list[Block] = []
    for turn in conversation.turns:
        if turn.role == "tool":
            results += tool_response(turn.content)
            continue
        if results:
            yield ChatMessageUser(content=_content(results, conversation))
            results = []
        if turn.role == "system":
            yield ChatMessageSystem(content="\n\n".join([turn.text, *offer_tools(conversation.schemas)]))
        elif turn.role == "user":
            yield ChatMessageUser(content=_content(turn.content, conversation))
        else:
            yield ChatMessageAssistant(content="\n".join(filter(None, [turn.text, *map(write_call, turn.tool_calls)])))
    if results:
        yield ChatMessageUser(content=_content(results, conversation))


def _content(blocks: Sequence[Block], conversation: Conversation) -> "list[Content]":
    return as_content(blocks, conversation.uri)


def _calls(turn: Turn) -> "list[ToolCall]":
    """The calls of a turn; a name that an API would refuse, from a call that could not be read, is made harmless."""
    from inspect_ai.tool import ToolCall

    return [
        ToolCall(
            id=call.id,
            function=re.sub(r"[^A-Za-z0-9_-]", "_", call.name)[:64] or "unreadable",
            arguments=call.arguments,
        )
        for call in turn.tool_calls
    ]


def _signed(text: str, calls: "Sequence[ToolCall]") -> "list[Content]":
    """A turn's words and what stands for the signature of its first call, the one that has to have one."""
    from inspect_ai.model import ContentReasoning, ContentText

    anchor = ContentReasoning(reasoning=UNSIGNED, redacted=True, internal={"gemini_function_call_id": calls[0].id})
    return [*([ContentText(text=text)] if text else []), anchor]


def _tools(schemas: Sequence[dict[str, Any]]) -> "list[ToolInfo]":
    from inspect_ai.tool import ToolInfo

    return [ToolInfo.model_validate(schema["function"]) for schema in schemas]
