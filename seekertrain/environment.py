"""Environment: one rollout as TRL plays it: what is shown first, and the very tools of synthesis and evaluation.

A call is answered by the same code as there (`seekerdata.rollout`), in the same words. What cannot be answered is
told to the model or ends the run; nothing ends a rollout in silence.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seekerdata.dataset_row import asked
from seekerdata.errors import ItemError
from seekerdata.instructions import FORMATS, ROLE, Mode
from seekerdata.observation import Observation, PromptFrame
from seekerdata.player import control_of
from seekerdata.rollout import Conversation, Reply, RolloutSettings, ending, observe, opening, read_reply
from seekerdata.tools import VideoTools, refusal
from seekerdata.trajectory import Image, StopReason, Text, ToolCall, Trajectory, Turn
from seekerdata.video import Video
from seekertrain.shared import Pictures

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_ROOM = "there is no room for more frames; answer now"
"""Told to a model whose look would show more frames than a play may."""
CUT = "cut"
"""Key of a message whose reply was cut off before its end: it calls nothing and answers nothing."""
NOT_SHOWN = "the video cannot be read"
"""Told to a model whose look met a fault of the video; the rollout is then left out of its group."""

Row = dict[str, Any]


class Called(str):
    """The name of a tool as a reply gave it, with the whole call, faults of its writing included."""

    call: ToolCall


class Opening:
    """A rollout without tools: what is shown first, the marked frame included.

    Attributes:
        sample_id: the row that is played.
        calls: how many were answered, refused ones included.
        refused: how many of them were.
        frames: pictures shown so far, what is shown first included.
        fault: why the video could not be shown; None if it could.
    """

    def __init__(self, videos: Path, settings: RolloutSettings, pictures: Pictures, latest: dict[str, Any]) -> None:
        self._videos, self._settings, self._pictures, self._latest = videos, settings, pictures, latest
        self._tools = VideoTools(settings.tools)
        self._bug: Exception | None = None
        self._start("", Conversation([]))

    def _start(self, name: str, conversation: Conversation) -> None:
        self._conversation = conversation
        self._before = len(conversation.turns)
        self.sample_id, self.calls, self.refused = name, 0, 0
        self.frames = sum(len(turn.images) for turn in conversation.turns)
        self.fault: ItemError | None = None

    def reset(self, **row: Any) -> list[dict[str, Any]]:
        """Begin a row's rollout.

        Args:
            row: of the `rl` configuration, the marked frame as `marked` (TRL takes `image` for a prompt's picture).

        Returns:
            What the user's turn shows: frames with their times, then the question.
        """
        video = Video(self._videos / row["video_path"], cache=self._pictures.frames)
        marked = [PromptFrame(row["marked"], row["frame_time_s"])]
        self._tools.reset(video, marked)
        try:
            opened = self._opened(row, video, marked)
        except ItemError as error:
            self._start(row["id"], Conversation([]))
            self.fault = error
            return [{"type": "text", "text": row["question"]}]
        turns = Conversation(list(opened.turns), opened.prompt_names, dict(opened.pictures), opened.schemas)
        self._start(row["id"], turns)
        user = turns.turns[-1]
        return self._content(Observation(user.content, tuple(turns.pictures[image] for image in user.images)))

    def _opened(self, row: Row, video: Video, marked: list[PromptFrame]) -> Conversation:
        """What the rollouts of a group begin with, made once: they follow each other."""
        if self._latest.get("id") != row["id"]:
            opened = opening(asked(row), video, marked, self._settings, control_of(self._settings))
            self._latest.update(id=row["id"], opened=opened)
        found: Conversation = self._latest["opened"]
        return found

    def _content(self, observation: Observation) -> list[dict[str, Any]]:
        """What is shown, as TRL takes it; of equal pixels the same picture for all rollouts."""
        images = [block for block in observation.blocks if isinstance(block, Image)]
        shown = zip(images, observation.pictures, strict=True)
        pictures = tuple(self._pictures.one(image.sha256, picture) for image, picture in shown)
        return replace(observation, pictures=pictures).content()

    def _answer(self, call: ToolCall) -> list[dict[str, Any]]:
        """What a call shows.

        Raises:
            Exception: a mistake in our own code; kept too, because TRL would make words of it.
        """
        call = call.model_copy(update={"id": f"call_{self.calls + 1}"})  # a reply alone does not know its number
        try:
            observation = observe(self._conversation, self._tools, call, self._settings.max_rounds)
        except ItemError as error:
            self.fault, observation = self.fault or error, refusal(NOT_SHOWN)
        except Exception as bug:
            self._bug = bug
            raise
        limit = self._settings.max_frames
        if limit is not None and self.frames + len(observation.pictures) > limit:
            told = refusal(NO_ROOM)
            last = observation.blocks[-1:] if self.calls + 1 == self._settings.max_rounds else ()
            observation = replace(told, blocks=told.blocks + last)
        self.calls += 1
        self.refused += bool(observation.error)
        self.frames += len(observation.pictures)
        self._conversation.add(Turn(role="tool", content=observation.blocks, tool_call_id=call.id))
        return self._content(observation)


class Environment(Opening):
    """A rollout with the tools: each public method apart from `reset` is one, as TRL takes them."""

    def view_visual_prompt(self, frame_path: str):  # type: ignore[no-untyped-def]
        return self._named("view_visual_prompt", frame_path=frame_path)

    def crop_video(self, video_path: str, start_time: float, end_time: float):  # type: ignore[no-untyped-def]
        return self._named("crop_video", video_path=video_path, start_time=start_time, end_time=end_time)

    view_visual_prompt.__doc__ = VideoTools.view_visual_prompt.__doc__
    crop_video.__doc__ = VideoTools.crop_video.__doc__

    def _named(self, name: str, **arguments: Any) -> list[dict[str, Any]]:
        return self._answer(ToolCall(id="call", name=name, arguments=arguments))


class AnyTool(dict[str, Callable[..., Any]]):
    """The tools of an environment by name, for TRL: also of a call that is wrong, which is told what is wrong."""

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.environment = environment

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> Callable[..., Any]:
        assert isinstance(name, Called), "calls are read by our own tokenizer"
        return lambda **_: self.environment._answer(name.call)


def environment_factory(
    videos: Path, settings: RolloutSettings, pictures: Pictures | None = None
) -> Callable[[], Opening]:
    """What TRL makes its environments with.

    Args:
        videos: the folder that `video_path` is relative to.
        settings: what is shown first, limits; without tools where the mode is not `tool`.
        pictures: shared by all environments that it makes.
    """
    shared, latest = pictures or Pictures(), dict[str, Any]()
    kind = Environment if settings.mode == "tool" else Opening
    return lambda: kind(videos, settings, shared, latest)


def begun(mode: Mode) -> list[dict[str, Any]]:
    """The turns that a row's prompt holds before `reset` fills the user's."""
    return [{"role": "system", "content": [_text(f"{ROLE} {FORMATS[mode]}")]}, {"role": "user", "content": []}]


def read_as_played(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Let a tokenizer read a reply, which TRL asks it to, as synthesis and evaluation read it.

    What is no valid call stays a call, with its fault; a turn that was cut before its end calls and answers nothing.
    """
    stock = type(tokenizer)

    class Reading(stock):  # type: ignore[valid-type,misc]
        def parse_response(self, response: list[int], *_: Any, **__: Any) -> dict[str, Any]:
            text = self.decode(response, skip_special_tokens=True).strip()
            if not response or response[-1] != self.eos_token_id:
                return {"role": "assistant", "content": text, CUT: True}
            turn = read_reply(Reply(text), 0)
            said: dict[str, Any] = {"role": "assistant", "content": turn.text}
            return said | ({"tool_calls": [_called(call) for call in turn.tool_calls]} if turn.tool_calls else {})

    Reading.__name__, Reading.__qualname__, Reading.__module__ = stock.__name__, stock.__qualname__, stock.__module__
    tokenizer.__class__ = Reading


def _called(call: ToolCall) -> dict[str, Any]:
    name = Called(call.name)
    name.call = call
    return {"type": "function", "function": {"name": name, "arguments": call.arguments}}


def trajectory(environment: Opening, completion: list[dict[str, Any]]) -> Trajectory:
    """A finished rollout as the trajectory that synthesis and evaluation would record.

    Args:
        environment: that played it.
        completion: what TRL made of it: the messages after the prompt.
    """
    turns = environment._conversation.turns
    played, shown, calls = turns[: environment._before], iter(turns[environment._before :]), 0
    last = Turn(role="assistant")
    for message in completion:
        if message["role"] == "tool":
            played.append(next(shown))
            continue
        made = [c["function"]["name"].call for c in message.get("tool_calls") or ()]
        numbered = [call.model_copy(update={"id": f"call_{calls + n}"}) for n, call in enumerate(made, start=1)]
        calls += len(numbered)
        content = (Text(text=message["content"]),) if message["content"] else ()
        last = Turn(role="assistant", content=content, tool_calls=tuple(numbered))
        played.append(last)
    too_long = next(shown, None) is not None or completion[-1]["role"] == "tool"
    too_long = too_long or bool(completion[-1].get(CUT))
    stop, answer = ending(last, StopReason.TOO_LONG if too_long else None)
    return Trajectory(sample_id=environment.sample_id, policy="trained", turns=tuple(played), stop=stop, answer=answer)


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
