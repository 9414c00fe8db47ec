"""Retelling: a recorded conversation as a trajectory of ours and the question that it answers.

Its words are those that were published, its instructions ours. Where its video is at hand every look is taken anew by
the tools; where only pictures are, they are the looks.
"""

import asyncio
import hashlib
from typing import Any, NamedTuple

import numpy as np

from seekerdata.answers import read_choice
from seekerdata.errors import ItemError
from seekerdata.instructions import first_turns
from seekerdata.observation import picture_hash
from seekerdata.recorded import ImportFormat, Recorded
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, ending, read_reply, rollout
from seekerdata.sample import Sample, Target, VideoRef
from seekerdata.trace_check import early_time, format_of, recovered, spoken, tool_errors
from seekerdata.trajectory import Image, StopReason, Trajectory, Turn
from seekerdata.workspace import Workspace, encode_jpeg

MOST_LOOKS = 64
"""Of a recorded play: it has ended, so that no limit of ours may cut it."""


class Recital(Policy):
    """Says again what was recorded, word by word; the looks are real."""

    replies: tuple[Reply, ...]

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        """The next of its replies; the conversation says how many were said."""
        return self.replies[sum(turn.role == "assistant" for turn in conversation.turns)]


class Retold(NamedTuple):
    """A recorded conversation in our words."""

    sample: Sample
    trajectory: Trajectory
    early: str
    """Which thought names a time before it was shown; empty if none does."""


def retell(recorded: Recorded, id: str, kind: ImportFormat, workspace: Workspace) -> Retold:
    """The trajectory of a recorded conversation.

    Raises:
        ItemError: no_answer, bad_format, look_refused; a video that cannot be shown raises its own.
    """
    answer = ending(read_reply(recorded.replies[-1], 0), None)[1]
    gold = read_choice(answer, list(recorded.options)).letter if recorded.options else answer
    if not gold:
        raise ItemError("no_answer", f"the last turn gives no answer: {recorded.replies[-1].text[-60:]!r}")
    calls = sum(len(reply.tool_calls) for reply in recorded.replies)
    sample = Sample(
        id=id,
        video=_video(recorded, kind, workspace),
        question=recorded.question,
        options=recorded.options,
        answer=gold,
        target=Target(needs_mark=False, needs_crop=calls > 0),
    )
    played = _played(recorded, sample, workspace) if recorded.video else _told(recorded, sample)
    if fault := format_of(played.turns):
        raise ItemError("bad_format", fault)
    early = early_time(spoken(played))
    facts = {"form": kind.plugin_name()} | ({"early_time": early} if early else {})
    mended = any(turn.role == "assistant" and not turn.loss for turn in played.turns)
    how = {"policy": kind.plugin_name(), "kind": "recovery" if mended else "look" if calls else "direct"}
    sample = sample.model_copy(update={"provenance": {"import": facts}})
    return Retold(sample, recovered(played.model_copy(update=how)), early)


def files(recorded: Recorded) -> list[bytes] | None:
    """The pictures as JPEG, in order, published ones of that kind byte for byte; None if a video gives them."""
    if recorded.video:
        return None
    pictures = [picture for look in (recorded.opening, *recorded.looks) for picture in look.pictures]
    return [recorded.files.get(picture_hash(p)) or encode_jpeg(np.asarray(p)) for p in pictures]


def _played(recorded: Recorded, sample: Sample, workspace: Workspace) -> Trajectory:
    """Played again with the real tools."""
    policy, settings = Recital(replies=recorded.replies), RolloutSettings(max_rounds=MOST_LOOKS)
    played = asyncio.run(rollout(policy, sample, workspace.video(recorded.video), [], settings))
    if tool_errors(played):
        refused = next(turn.text for turn in played.turns if turn.refused)
        raise ItemError("look_refused", f"the tools refuse its look: {refused}")
    return played


def _told(recorded: Recorded, sample: Sample) -> Trajectory:
    """Put together from the looks as they were published."""
    opening = first_turns(recorded.question, recorded.options, recorded.opening, "tool", sample.video.duration_s)
    turns: list[Turn] = list(opening)
    looks = iter(recorded.looks)
    for number, reply in enumerate(recorded.replies):
        turns.append(read_reply(reply, number))
        turns += [Turn(role="tool", content=next(looks).blocks, tool_call_id=call.id) for call in turns[-1].tool_calls]
    answer = ending(turns[-1], None)[1]
    return Trajectory(sample_id=sample.id, policy="", turns=tuple(turns), stop=StopReason.ANSWERED, answer=answer)


def _video(recorded: Recorded, kind: ImportFormat, workspace: Workspace) -> VideoRef:
    """The video. Of one that is not at hand, what its frames tell: it ends with the last of them, and the hash is that
    of the frames shown first."""
    if recorded.video:
        video = workspace.video(recorded.video)
        info = video.info
        facts: dict[str, Any] = {"sha256": video.sha256, "duration_s": info.duration_s, "size_wh": info.size_wh}
        return VideoRef(path=recorded.video, fps=info.fps, origin=kind.origin, **facts)
    first, *others = (
        [block for block in look.blocks if isinstance(block, Image)] for look in (recorded.opening, *recorded.looks)
    )
    last_s = max(image.time_s or 0.0 for images in (first, *others) for image in images)
    sha256 = hashlib.sha256("".join(image.sha256 for image in first).encode()).hexdigest()
    return VideoRef(path="", sha256=sha256, duration_s=last_s, size_wh=first[0].size_wh, fps=0.0, origin=kind.origin)
