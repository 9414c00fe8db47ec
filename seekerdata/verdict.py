"""Verdict: a decision that a model states as JSON, read strictly into a frozen class. Repaired once, else failed.

A reply that cannot be read is never a verdict; it is kept in the error.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seekerdata.errors import ItemError
from seekerdata.models import ModelSettings, ask, connect, without_secrets
from seekerdata.prompts import REPAIR, Prompt
from seekerdata.question_rules import Category
from seekerdata.trajectory import StopReason

if TYPE_CHECKING:
    from inspect_ai.model import ChatMessage, Content

KEPT_CHARS = 2000
"""How much of an unreadable reply is kept."""

_FENCE = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", flags=re.DOTALL)


class Verdict(BaseModel):
    """What a model decides. Subclasses state the JSON's keys; other keys, missing ones and other types are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


V = TypeVar("V", bound=Verdict)


class FilterVerdict(Verdict):
    """Whether a question targets one visible thing, after the paper's text filter."""

    is_valid: bool
    category: Literal["none", "other", Category]
    reason: str

    @model_validator(mode="after")
    def _agreeing(self) -> "FilterVerdict":
        if self.is_valid != (self.category == "none"):
            raise ValueError("category must be none exactly if is_valid is true")
        return self


class WindowVerdict(Verdict):
    """One stretch of the video, in seconds from its start."""

    start_s: float = Field(ge=0, allow_inf_nan=False)
    end_s: float = Field(ge=0, allow_inf_nan=False)


class TargetVerdict(Verdict):
    """Which one thing in the video a question means, after the paper's five steps; empty words if it is not valid."""

    is_valid: bool
    category: Literal["none", "absent", "ambiguous", "unanswerable", "other"]
    reason: str
    description: str
    tag: str
    window: WindowVerdict | None
    question: str
    options: list[str]
    shape: Literal[
        "none", "rectangle", "mask_contour", "ellipse", "triangle", "scribble", "point", "arrow", "set_of_mark"
    ]

    @model_validator(mode="after")
    def _agreeing(self) -> "TargetVerdict":
        if self.is_valid != (self.category == "none"):
            raise ValueError("category must be none exactly if is_valid is true")
        if self.is_valid and (self.window is None or self.shape == "none"):
            raise ValueError("a valid question needs a window and a shape")
        return self


class PhraseVerdict(Verdict):
    """A question and its options with a phrase in place of `<vp>`."""

    question: str
    options: list[str]


class OpenVerdict(Verdict):
    """A multiple-choice question as it is asked without its options; empty if it cannot be."""

    is_open: bool
    reason: str
    question: str

    @model_validator(mode="after")
    def _agreeing(self) -> "OpenVerdict":
        if self.is_open != bool(self.question.strip()):
            raise ValueError("question must be empty exactly if is_open is false")
        return self


@dataclass(frozen=True)
class Decision(Generic[V]):
    """A verdict, and what it took."""

    verdict: V
    facts: dict[str, Any]
    """For provenance: model, prompt hash, calls, tokens, and whether the reply had to be repaired."""


async def decide(
    settings: ModelSettings,
    prompt: Prompt,
    item: "str | Sequence[Content]",
    kind: type[V],
    check: Callable[[V], None] = lambda verdict: None,
    read: Callable[[str], V] | None = None,
) -> Decision[V]:
    """Ask a model for a verdict about one item.

    Args:
        settings: the model.
        prompt: what to decide.
        item: the item's message: `prompt.item(...)`, or pictures and that text.
        kind: the verdict's class.
        check: raises `ValueError` with what is wrong about a verdict that can be read; repaired alike.
        read: reads a reply, or raises ValueError with what is wrong; strictly (`read_verdict`) if None.

    Raises:
        SeekerError: a wrong key, an unknown model or a missing package.
        ItemError: `model_failed` without a reply, `model_refused`, `bad_verdict` with the reply that is at fault.
    """
    connect(settings)
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    asked = item if isinstance(item, str) else list(item)
    messages: list[ChatMessage] = [ChatMessageSystem(content=prompt.text), ChatMessageUser(content=asked)]
    usage: Counter[str] = Counter()
    fault, said = "", ""
    for repaired in (False, True):
        reply = await ask(settings, messages, schema=kind)
        usage.update(reply.usage)
        if reply.stop == StopReason.REFUSED:
            raise ItemError("model_refused", f"{settings.model} refused: {kept(reply.text) or 'no words'}")
        said = reply.text
        try:
            verdict = read(said) if read else read_verdict(said, kind)
            check(verdict)
        except ValueError as error:
            fault = "it was cut off" if reply.stop == StopReason.TOO_LONG else str(error)
            messages += [ChatMessageAssistant(content=said)] * bool(said)
            messages.append(ChatMessageUser(content=REPAIR.format(fault=fault)))
            continue
        facts = {"model": settings.model, "prompt": prompt.hash, **usage}
        return Decision(verdict, {**facts, "repaired": True} if repaired else facts)
    raise ItemError("bad_verdict", f"{settings.model}: {fault}; it said: {kept(said) or 'nothing'}")


def read_verdict(text: str, kind: type[V]) -> V:
    """The verdict in a reply; thoughts before it and a code fence around it are no fault.

    Raises:
        ValueError: what is wrong, in one line for the model.
    """
    body = text.rpartition("</think>")[2].strip()
    fenced = _FENCE.fullmatch(body)
    try:
        value = json.loads(fenced[1] if fenced else body, object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON ({error})") from None
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(": ".join(filter(None, [place, first["msg"].removeprefix("Value error, ")]))) from None


def kept(reply: str) -> str:
    """A reply as it stands in an error: one line, without secrets."""
    return " ".join(without_secrets(reply).split())[:KEPT_CHARS]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"the key {twice[0]} stands twice")
    return dict(pairs)


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")
