"""Environment: one rollout as TRL plays it: what is shown first, and the very tools of synthesis and evaluation.

A call is answered by the same code as there (`seekerdata.rollout`), in the same words. What cannot be answered is
told to the model or ends the run; nothing ends a rollout in silence.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from seekerdata.errors import ItemError
from seekerdata.instructions import FORMATS, ROLE, Mode
from seekerdata.observation import Observation, PromptFrame
from seekerdata.rollout import Conversation, Reply, ending, read_reply
from seekerdata.tools import VideoTools, refusal
from seekerdata.trajectory import StopReason, Text, ToolCall, Trajectory, Turn
from seekertrain.looking import Look
from seekertrain.showing import Opened, Showing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_ROOM = "there is no room for more frames; answer now"
"""Told to a model whose look would show more frames than a play may."""
CUT = "cut"
"""Key of a message whose reply was cut off before its end: it calls nothing and answers nothing."""
NOT_SHOWN = "the video cannot be read"
"""Told to a model whose look met a fault of the video; the rollout is then left out of its group."""


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

    def __init__(self, shared: Showing) -> None:
        self._shared = shared
        self._bug: Exception | None = None
        self._start("", Conversation([]))

    def _start(self, name: str, conversation: Conversation, opened: Opened | None = None) -> None:
        self._conversation, self._opened = conversation, opened
        self._before = len(conversation.turns)
        self.sample_id, self.calls, self.refused = name, 0, 0
        self.frames = sum(len(turn.images) for turn in conversation.turns)
        self.fault: ItemError | None = None
        self._begun: Sequence[ToolCall] = ()
        self._looks: dict[int, Look[Observation]] = {}

    @property
    def marks(self) -> Sequence[PromptFrame]:
        """The marked frames that it may view; none if the row could not be opened."""
        return self._opened.marks if self._opened else ()

    def reset(self, **row: Any) -> list[dict[str, Any]]:
        """Begin a row's rollout.

        Args:
            row: of the `rl` configuration, the marked frame as `marked` (TRL takes `image` for a prompt's picture).

        Returns:
            What the user's turn shows: frames with their times, then the question.
        """
        try:
            opened = self._shared.opened(row)
        except ItemError as error:
            self._start(row["id"], Conversation([]))
            self.fault = error
            return [_text(row["question"])]
        known = opened.conversation
        turns = Conversation(list(known.turns), known.prompt_names, dict(known.pictures), known.schemas)
        self._start(row["id"], turns, opened)
        user = turns.turns[-1]
        return Observation(user.content, tuple(turns.pictures[image] for image in user.images)).content()

    def _begin(self, calls: Sequence[ToolCall]) -> None:
        """Begin the looks of a turn, unless they are; after a fault nothing is looked at."""
        if self._opened is None or self.fault or any(call is begun for call in calls for begun in self._begun):
            return
        self._begun = calls
        for number, call in enumerate(calls, start=self.calls + 1):  # a reply alone does not know its number
            named = call.model_copy(update={"id": f"call_{number}"})
            self._looks[id(call)] = self._shared.look(self._opened, named, number)

    def _answer(self, call: ToolCall) -> list[dict[str, Any]]:
        """What a call shows. Only here a rollout changes, one call after the other.

        Raises:
            Exception: a mistake in our own code; kept too, because TRL would make words of it.
        """
        self._begin([call])
        observation = self._seen(self._looks.pop(id(call), None))
        limit = self._shared.settings.max_frames
        if limit is not None and self.frames + len(observation.pictures) > limit:
            told = refusal(NO_ROOM)
            last = observation.blocks[-1:] if self.calls + 1 == self._shared.settings.max_rounds else ()
            observation = replace(told, blocks=told.blocks + last)
        self.calls += 1
        self.refused += bool(observation.error)
        self.frames += len(observation.pictures)
        turn = Turn(role="tool", content=observation.blocks, tool_call_id=f"call_{self.calls}")
        self._conversation.add(turn)
        return observation.content()

    def _seen(self, look: Look[Observation] | None) -> Observation:
        if look is None or self.fault:
            return refusal(NOT_SHOWN)
        try:
            return self._shared.looking.result(look)
        except ItemError as error:
            self.fault = error
            return refusal(NOT_SHOWN)
        except Exception as bug:
            self._bug = bug
            raise


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


class Environments(Showing):
    """Makes the environments of a process, which share what it shows: TRL's `environment_factory`."""

    def __call__(self) -> Opening:
        return Environment(self) if self.settings.mode == "tool" else Opening(self)


class AnyTool(dict[str, Callable[..., Any]]):
    """The tools of an environment by name, for TRL: also of a call that is wrong, which is told what is wrong.

    Args:
        environment: whose calls they answer.
        begin: is called before a call that was not begun: TRL goes from call to call, and others may be begun too.
    """

    def __init__(self, environment: Opening, begin: Callable[[], None]) -> None:
        super().__init__()
        self.environment, self.begin = environment, begin

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> Callable[..., Any]:
        assert isinstance(name, Called), "calls are read by our own tokenizer"
        if not any(name.call is call for call in self.environment._begun):
            self.begin()
        return lambda **_: self.environment._answer(name.call)


def overlapping(environments: Sequence[Opening], completions: Sequence[list[dict[str, Any]]]) -> list[AnyTool]:
    """The tools of a batch of rollouts: with the first call of a turn those of all rollouts are begun.

    Args:
        environments: that play.
        completions: what each has said, and was shown, so far; TRL adds to them. It answers all calls that stand last
            when it answers one, those apart that were begun and did not fit; after its last turn it answers none.
    """

    def begin() -> None:
        for environment, completion in zip(environments, completions, strict=True):
            environment._begin(_calls(completion[-1]))

    return [AnyTool(environment, begin) for environment in environments]


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


def _calls(message: dict[str, Any]) -> list[ToolCall]:
    return [made["function"]["name"].call for made in message.get("tool_calls") or ()]


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
        made = enumerate(_calls(message), start=calls + 1)
        numbered = [call.model_copy(update={"id": f"call_{number}"}) for number, call in made]
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
