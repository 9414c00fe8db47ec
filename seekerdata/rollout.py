"""Rollout: the loop policy and tools play until an answer; its Trajectory is exactly what the policy saw.

Used by synthesis and evaluation. Ends with the Policy contract, which every file of `seekerdata/policies/` fulfils.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import PIL.Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from seekerdata.control import WHOLE, Control
from seekerdata.dialect import read_calls
from seekerdata.instructions import FORMATS, LAST_LOOK, MARKED, NO_LOOK_LEFT, ROLE, Mode, escape_markers, first_turns
from seekerdata.load import LOOKS, QUESTION_CHARS, TURN_TOKENS, Load, frame_count, frame_tokens, text_tokens
from seekerdata.observation import Observation, PromptFrame, joined, look_at_prompt, look_at_video
from seekerdata.plugin import Plugin
from seekerdata.sample import Sample
from seekerdata.tools import ToolSettings, VideoTools, call, refusal, tool_schemas
from seekerdata.trajectory import Image, StopReason, Text, ToolCall, Trajectory, Turn
from seekerdata.video import Clip, Video, fps_capped
from seekerdata.workspace import encode_jpeg, jpeg_uri

_ANSWER = re.compile(r"<answer>(.*?)</answer>", flags=re.DOTALL | re.IGNORECASE)


class RolloutSettings(BaseModel):
    """What a policy is shown first and how long it may look. Defaults are VideoSeeker's (arXiv 2605.16079)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode = "tool"
    overview_fps: float = 1.0
    overview_max_frames: int = 256
    max_pixels: int = 336 * 336
    """Size limit of an overview frame, width x height."""
    max_rounds: int = 5
    """Tool calls a policy may make before it must answer."""
    max_frames: int | None = Field(default=None, ge=1)
    """Pictures a play may show in all, overview included; a look that would show more ends it as `max_frames`."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Tokens a play may take, input and output of all its calls as the model's API counts them; a look after that
    ends it as `too_long`."""
    tools: ToolSettings = ToolSettings()

    @model_validator(mode="after")
    def _room(self) -> "RolloutSettings":
        if self.max_frames is not None and self.max_frames < self.overview_max_frames:
            raise ValueError(f"max_frames leaves no room for an overview of {self.overview_max_frames} frames")
        return self

    def mode_under(self, control: Control) -> Mode:
        """The mode of a play: who is offered no tool is not told of any."""
        return "reasoning" if self.mode == "tool" and control.tools == () else self.mode

    def overview(self, video: Video) -> Observation:
        """The frames of the whole video that stand before the question."""
        sampling = fps_capped(self.overview_fps, self.overview_max_frames)
        return look_at_video(Clip(video, 0.0, video.info.duration_s), sampling, self.max_pixels)

    def first_turns(
        self,
        sample: Sample,
        overview: Observation,
        marked: Observation,
        mode: Mode,
        duration_s: float,
        prompt_names: Sequence[str],
    ) -> Sequence[Turn]:
        """The turns that a play begins with; the user's, with all that is shown first, is the last."""
        shown = Observation(overview.blocks + marked.blocks)
        return first_turns(sample.question, sample.options, shown, mode, duration_s, prompt_names)

    def overview_frames(self, video_s: float | None) -> int:
        """How many those are; all that the limit allows for a video of unknown length."""
        return frame_count(self.overview_fps, self.overview_max_frames, video_s)

    def load(self, video_s: float | None, control: Control = WHOLE) -> Load:
        """What one play is expected to cost: the marked frame, one crop, the answer; all is sent with every call.

        Args:
            video_s: how long the video is, and the crop at most; None: both fill their limits.
            control: what is taken away.
        """
        tools, mode = self.tools, self.mode_under(control)
        frames = self.overview_frames(video_s) if control.opens_with in ("overview", "both") else 0
        marked = int(control.opens_with in ("prompt", "both"))
        crop = frame_count(tools.crop_fps, tools.crop_max_frames, video_s, tools.crop_min_frames)
        mark = frame_tokens(tools.prompt_max_pixels)
        shown = [(frames + marked, frames * frame_tokens(self.max_pixels) + marked * mark), (1, mark)]
        shown.append((crop, crop * frame_tokens(tools.max_pixels)))
        looks = min(LOOKS, self.max_rounds, len(_offered(mode, control))) if mode == "tool" else 0
        calls = looks + 1
        schemas = json.dumps(_offered(mode, control)) if mode == "tool" else ""
        text = text_tokens(ROLE, FORMATS[mode], schemas, chars=QUESTION_CHARS)
        images = sum(count * (calls - n) for n, (count, _) in enumerate(shown[:calls]))
        pictures = sum(tokens * (calls - n) for n, (_, tokens) in enumerate(shown[:calls]))
        said = TURN_TOKENS * sum(range(calls))  # earlier turns, sent again
        return Load(calls, images, calls * text + pictures + said, calls * TURN_TOKENS)


@dataclass
class Conversation:
    """What a policy sees: the turns so far and the picture of every `Image` block in them, sent or not."""

    turns: list[Turn]
    prompt_names: tuple[str, ...] = ()
    """Names of the marked frames that may be viewed."""
    pictures: dict[Image, PIL.Image.Image] = field(default_factory=dict)
    schemas: list[dict] = field(default_factory=list)
    uris: dict[Image, str] = field(default_factory=dict)
    """Pictures as data URIs, for policies that send them; see `uri`."""

    def uri(self, image: Image) -> str:
        """A picture as it is sent: encoded once, and then kept in this form only, a tenth of its size."""
        if image not in self.uris:
            self.uris[image] = jpeg_uri(encode_jpeg(np.asarray(self.pictures.pop(image))))
        return self.uris[image]

    def add(self, turn: Turn, observation: Observation | None = None) -> None:
        self.turns.append(turn)
        if observation:
            images = (block for block in observation.blocks if isinstance(block, Image))
            shown = zip(images, observation.pictures, strict=True)
            self.pictures.update((image, picture) for image, picture in shown if image not in self.uris)

    @property
    def rounds(self) -> int:
        """Tool calls made so far, refused ones included."""
        return sum(len(turn.tool_calls) for turn in self.turns)


@dataclass(frozen=True)
class Reply:
    """What a policy said. `stop` says why it ended if it did not end by itself; `loss` as in `Turn`."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    stop: StopReason | None = None
    loss: bool = True
    usage: dict[str, int] = field(default_factory=dict)


class Policy(Plugin):
    """Contract of `seekerdata/policies/<name>.py`: says the next thing in a conversation.

    A policy keeps no state: the conversation says how far it is. Only a scripted policy may read more of `sample`
    than what the conversation shows; its docstring says so.
    """

    plays: ClassVar[tuple[str, ...]] = ("look",)
    """Kinds of play it can be asked for; only scripted ones know more than one."""

    def playing(self, kind: str) -> "Policy":
        """This policy, asked for one of its `plays`."""
        return self

    def trying(self, attempt: int) -> "Policy":
        """This policy for its try number `attempt` (from 0) at one question; one that draws draws anew for each."""
        return self

    def facts(self) -> dict[str, str]:
        """What made its words, for provenance: the model's name. Nothing if no model did."""
        return {}

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        """The next assistant turn: text with `<think>` and `<answer>`, and calls (structured or inside the text)."""
        raise NotImplementedError


async def rollout(
    policy: Policy,
    sample: Sample,
    video: Video,
    prompts: Sequence[PromptFrame],
    settings: RolloutSettings,
    tools: VideoTools | None = None,
    control: Control = WHOLE,
) -> Trajectory:
    """Play one sample to its end.

    Args:
        policy: who looks and answers.
        sample: the question; its truth is for scripted policies only.
        video: the sample's video.
        prompts: its marked frames, in order.
        settings: what is shown first, limits.
        tools: the toolset, reset here; a fresh `VideoTools` if None.
        control: what is taken away.

    Raises:
        ItemError: the video cannot be shown. A model's mistakes are told to it and raise nothing.
    """
    tools = tools or VideoTools(settings.tools)
    tools.reset(video, prompts)
    conversation = opening(sample, video, prompts, settings, control)
    usage: Counter[str] = Counter()
    limit: StopReason | None = None
    while True:
        reply = await policy.reply(conversation, sample)
        usage.update(reply.usage)
        rounds = conversation.rounds
        turn = read_reply(reply, rounds)
        conversation.add(turn)
        if reply.stop or not turn.tool_calls or rounds >= settings.max_rounds:
            break
        if limit := look(conversation, tools, turn, settings, usage):
            break
    stop, answer = ending(turn, reply.stop or limit, settings.mode_under(control))
    return Trajectory(
        sample_id=sample.id,
        policy=policy.plugin_name(),
        turns=tuple(conversation.turns),
        stop=stop,
        answer=answer,
        usage=dict(usage),
    )


def opening(
    sample: Sample, video: Video, prompts: Sequence[PromptFrame], settings: RolloutSettings, control: Control = WHOLE
) -> Conversation:
    """The conversation before the first reply: instructions, what is shown first, question."""
    duration_s, mode = video.info.duration_s, settings.mode_under(control)
    names = tuple(f"prompt_{n}" for n in range(1, len(prompts) + 1))
    overview = settings.overview(video) if control.opens_with in ("overview", "both") else Observation(())
    marks = []
    for name, prompt in zip(names, prompts, strict=True) if control.opens_with in ("prompt", "both") else ():
        label = Observation((Text(text=MARKED),) * (control.opens_with == "both"))
        marks += [label, look_at_prompt(name, prompt, settings.tools.prompt_max_pixels)]
    marked = joined(marks)
    *before, user = settings.first_turns(sample, overview, marked, mode, duration_s, names)
    conversation = Conversation(before, names, schemas=_offered(mode, control))
    conversation.add(user, joined([overview, marked]))
    return conversation


def _offered(mode: Mode, control: Control) -> list[dict]:
    """Schemas of the tools that a policy may call."""
    schemas = tool_schemas(VideoTools) if mode == "tool" else []
    return [s for s in schemas if control.tools is None or s["function"]["name"] in control.tools]


def read_reply(reply: Reply, rounds: int) -> Turn:
    """A reply as an assistant turn: calls read unless it was cut off, markers that are not its structure escaped."""
    text, calls = (reply.text, reply.tool_calls)
    if not calls and not reply.stop:
        text, calls = read_calls(reply.text, first_id=rounds + 1)
    content = (Text(text=escape_markers(text)),) if text else ()
    return Turn(role="assistant", content=content, tool_calls=calls, loss=reply.loss)


def look(
    conversation: Conversation, tools: VideoTools, turn: Turn, settings: RolloutSettings, usage: Mapping[str, int]
) -> StopReason | None:
    """Carry out a turn's calls and add what each shows, as long as the play's limits allow; says which does not."""
    if settings.max_tokens is not None and usage["input_tokens"] + usage["output_tokens"] >= settings.max_tokens:
        return StopReason.TOO_LONG
    for tool_call in turn.tool_calls:
        done = sum(turn.role == "tool" for turn in conversation.turns)
        observation = observe(conversation, tools, tool_call, done + 1, settings.max_rounds)
        shown = sum(len(earlier.images) for earlier in conversation.turns) + len(observation.pictures)
        if settings.max_frames is not None and shown > settings.max_frames:
            return StopReason.MAX_FRAMES
        conversation.add(Turn(role="tool", content=observation.blocks, tool_call_id=tool_call.id), observation)
    return None


def observe(
    conversation: Conversation, tools: VideoTools, tool_call: ToolCall, number: int, max_rounds: int
) -> Observation:
    """What the call of this number in its play shows, from 1; the last one allowed says that it was the last."""
    if number > max_rounds:
        observation = refusal(NO_LOOK_LEFT)
    elif tool_call.error:
        observation = refusal(tool_call.error)
    else:
        offered = [schema["function"]["name"] for schema in conversation.schemas]
        observation = call(tools, tool_call.name, tool_call.arguments, offered)
    return replace(observation, blocks=observation.blocks + (Text(text=LAST_LOOK),) * (number == max_rounds))


def ending(turn: Turn, stop: StopReason | None, mode: Mode = "tool") -> tuple[StopReason, str]:
    """How a rollout ended and the words of its answer, from its last turn; in mode `direct` they need no tags."""
    if stop:
        return stop, ""
    if turn.tool_calls:
        return StopReason.MAX_ROUNDS, ""
    said = turn.text.rpartition("</think>")[2]
    answers = _ANSWER.findall(said) or [said] * (mode == "direct")
    if not answers or not answers[-1].strip():
        return StopReason.NO_ANSWER, ""
    return StopReason.ANSWERED, answers[-1].strip()
