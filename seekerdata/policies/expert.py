"""expert: plays the tools knowing the truth, for demonstrations without a model.

It knows where and when to look, but every thought rests on what the conversation has shown so far, and it answers
only after the deciding frames were really shown to it.
"""

from typing import ClassVar, Literal

from seekerdata.rollout import Conversation, Policy, Reply
from seekerdata.sample import Sample, digest
from seekerdata.tools import VIDEO
from seekerdata.trajectory import Image, StopReason, ToolCall, Turn

__all__ = ["Expert"]

Span = tuple[float, float]

MOST_CALLS = 5
"""After this many looks without having seen what decides, it gives up (the paper's limit)."""


class Expert(Policy):
    """Scripted and knowing: looks at the mark, crops the right time, answers. Reads the sample's truth."""

    version = 2

    play: Literal["look", "direct", "recovery"] = "look"
    """look: as few calls as the question needs. direct: no call. recovery: one mistake first, then as look."""

    plays: ClassVar[tuple[str, ...]] = ("look", "direct", "recovery")

    def playing(self, kind: str) -> Policy:
        return self.model_copy(update={"play": kind})

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        target = sample.target
        duration_s = sample.video.duration_s
        window = target.window_s or (0.0, duration_s)
        if self.play == "direct":
            return self._answer(sample, overview_times(conversation.turns, window))
        calls = conversation.rounds
        if self.play == "recovery" and calls == 0:
            return self._mistake(sample, window)
        slip = _slip_seen(conversation)
        if conversation.prompt_names and not _prompt_seen(conversation):
            return _call(
                calls,
                f"{slip}I need to see what is marked.",
                "view_visual_prompt",
                frame_path=conversation.prompt_names[0],
            )
        if not target.needs_crop:
            return self._answer(sample, overview_times(conversation.turns, window))
        times = crop_times(conversation.turns)
        if shown := [t for t in times if _within(t, target.event_s or window)]:
            return self._answer(sample, shown)
        span = window if not _crops(conversation, window) else _around(target.event_s or window, duration_s)
        if calls >= MOST_CALLS:
            return Reply(text="", stop=StopReason.NO_ANSWER)
        return _crop(calls, f"{slip}{_mark_thought(conversation, sample)}", span)

    def _answer(self, sample: Sample, times: list[float]) -> Reply:
        if not times:
            return Reply(text="", stop=StopReason.NO_ANSWER)
        seen = sample.target.evidence or f"they show the {sample.target.tag}: {sample.answer_text}"
        first, last = f"{min(times):.1f}", f"{max(times):.1f}"
        when = f"At {first} s" if first == last else f"From {first} s to {last} s"
        thought = f"{when}: {seen}"
        return Reply(text=f"<think>{thought}</think>\n<answer>{sample.answer}</answer>")

    def _mistake(self, sample: Sample, window: Span) -> Reply:
        """A call that goes wrong; which one is drawn by the sample's id. It is not to be imitated."""
        kinds = ["past_end", "wrong_name"] + ["wrong_time"] * bool(_elsewhere(window, sample.video.duration_s))
        kind = kinds[int(digest(["mistake", sample.id]), 16) % len(kinds)]
        if kind == "wrong_name":
            reply = _call(0, "I need to see what is marked.", "view_visual_prompt", frame_path=VIDEO)
        elif kind == "past_end":
            late = round(sample.video.duration_s + 5.0, 1)
            reply = _crop(0, "I look closely.", (window[0], late))
        else:
            reply = _crop(0, "I look closely.", _elsewhere(window, sample.video.duration_s) or window)
        return Reply(text=reply.text, tool_calls=reply.tool_calls, loss=False)


def crop_times(turns: list[Turn]) -> list[float]:
    """Times of the video frames that crops have shown."""
    shown = [image for turn in turns if turn.role == "tool" for image in turn.images]
    return [image.time_s for image in shown if image.source == VIDEO and image.time_s is not None]


def overview_times(turns: list[Turn], span: Span) -> list[float]:
    """Times inside `span` that the first message has shown."""
    shown: tuple[Image, ...] = turns[1].images
    return [i.time_s for i in shown if i.time_s is not None and _within(i.time_s, span)]


def _prompt_seen(conversation: Conversation) -> bool:
    return any(i.source != VIDEO for turn in conversation.turns for i in turn.images)


def _crops(conversation: Conversation, window: Span) -> bool:
    """Whether the window was already cropped without success."""
    spans = [c.arguments for turn in conversation.turns for c in turn.tool_calls if c.name == "crop_video"]
    return any((s.get("start_time"), s.get("end_time")) == window for s in spans)


def _slip_seen(conversation: Conversation) -> str:
    """What the last tool turn says went wrong, in the model's own words; empty if nothing did."""
    last = conversation.turns[-1]
    if conversation.rounds != 1 or last.role != "tool" or conversation.turns[-2].loss:
        return ""
    if not last.images:
        return "That call was refused. "
    times = crop_times([last])
    return f"From {min(times):.1f} s to {max(times):.1f} s nothing answers the question. "


def _mark_thought(conversation: Conversation, sample: Sample) -> str:
    marked = [i.time_s for t in conversation.turns for i in t.images if i.source != VIDEO]
    if not marked:
        return "I look closely."
    when = "" if marked[-1] is None else f" at {marked[-1]:.1f} s"  # a benchmark's marked frame may have no time
    mark, side = "mark", ""
    if sample.visual_prompts:  # not so for a benchmark's, whose look and place nobody published
        drawn = sample.visual_prompts[0]
        mark = f"{drawn.colour} mark"
        side = f" on the {'left' if drawn.box_xyxy[0] + drawn.box_xyxy[2] < sample.video.size_wh[0] else 'right'}"
    return f"The {mark}{when} is on the {sample.target.tag}{side}. I look closely."


def _crop(calls: int, thought: str, span: Span) -> Reply:
    return _call(calls, thought, "crop_video", video_path=VIDEO, start_time=span[0], end_time=span[1])


def _call(calls: int, thought: str, name: str, **arguments: object) -> Reply:
    call = ToolCall(id=f"call_{calls + 1}", name=name, arguments=arguments)
    return Reply(text=f"<think>{thought}</think>", tool_calls=(call,))


def _within(time_s: float, span: Span) -> bool:
    return span[0] <= time_s <= span[1]


def _around(event: Span, duration_s: float) -> Span:
    """A stretch so narrow that four frames cannot miss the event."""
    return max(0.0, round(event[0] - 0.05, 2)), min(round(duration_s, 2), round(event[1] + 0.05, 2))


def _elsewhere(window: Span, duration_s: float) -> Span | None:
    """A stretch of at least a second that does not touch the window, None if the window leaves no room."""
    before, after = window[0] - 0.5, duration_s - window[1] - 0.5
    length = min(3.0, max(before, after))
    if length < 1.0:
        return None
    start_s = window[0] - 0.5 - length if before >= after else window[1] + 0.5
    return round(start_s, 1), round(start_s + length - 0.1, 1)
