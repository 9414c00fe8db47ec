"""Turn, Trajectory: exactly what the model saw, in order. Pixels are kept by reference, never inside.

A reference names a frame by its source, true time and size and carries the hash of its pixels, so that replaying a
recorded call can be checked to give the same picture (`seekerdata.observation.materialise`).
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Frozen):
    """A piece of text inside a turn."""

    type: Literal["text"] = "text"
    text: str


class Image(Frozen):
    """A picture inside a turn, by reference. `source` is `video` or the opaque name of a visual prompt."""

    type: Literal["image"] = "image"
    source: str
    time_s: float | None
    """True presentation time; None for a benchmark's marked frame whose time nobody published."""
    max_pixels: int | None
    """The limit the picture was scaled to; with `source` and `time_s` it determines the pixels."""
    size_wh: tuple[int, int]
    sha256: str
    """Hash of the RGB bytes, first 16 hex digits."""


Block = Annotated[Text | Image, Field(discriminator="type")]


class ToolCall(Frozen):
    """One call as the model wrote it. `arguments` is what could be parsed; `error` is set when it was refused."""

    id: str
    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    error: str = ""


class Turn(Frozen):
    """One message. An assistant's text holds its `<think>` and `<answer>` blocks; calls stand apart."""

    role: Literal["system", "user", "assistant", "tool"]
    content: tuple[Block, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    loss: bool = True
    """False for an assistant turn that training must not imitate (the mistake of a recovery row)."""

    @property
    def text(self) -> str:
        """All text of the turn, blocks joined by newlines."""
        return "\n".join(block.text for block in self.content if isinstance(block, Text))

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(block for block in self.content if isinstance(block, Image))

    @property
    def refused(self) -> bool:
        """Whether a tool turn tells the model of a mistake instead of showing it something."""
        return self.role == "tool" and not self.images and self.text.startswith("Error:")


class StopReason(StrEnum):
    """How a rollout ended. Every ending has a name; none is a default answer."""

    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    MAX_ROUNDS = "max_rounds"
    MAX_FRAMES = "max_frames"
    REFUSED = "refused"
    TOO_LONG = "too_long"


class Trajectory(Frozen):
    """A finished rollout over one sample."""

    sample_id: str
    policy: str
    kind: str = "look"
    """look | direct | recovery: the play that was asked for, or what a model's turned out to be (stage `solve`)."""
    turns: tuple[Turn, ...]
    stop: StopReason
    answer: str = ""
    """What the last turn's <answer> block says; empty unless `stop` is answered."""
    correct: bool | None = None
    usage: dict[str, int] = Field(default_factory=dict)

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(call for turn in self.turns for call in turn.tool_calls)

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(image for turn in self.turns for image in turn.images)
