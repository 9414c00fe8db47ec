"""careless: the expert with bad habits, for a policy that training by reward can mend.

Mostly it looks at the beginning, whatever the mark's time, and guesses; sometimes it looks twice. A lucky guess is kept
by every filter of right answers, so a model that learns from what is kept learns the habits.
"""

from typing import ClassVar

from pydantic import Field

from seekerdata.policies.expert import Expert, Span, _crop, _crops, _prompt_seen, crop_times
from seekerdata.rollout import Conversation, Policy, Reply
from seekerdata.sample import Sample, digest

__all__ = ["Careless"]


class Careless(Expert):
    """Scripted and knowing, with habits drawn by the sample's id. Reads the sample's truth."""

    version = 3

    guesses: float = Field(0.82, ge=0, le=1)
    """Share of samples at which it crops the beginning, where nothing happens, and guesses. One guess in four is right,
    so of the plays that are kept about half are guesses."""
    twice: float = Field(0.14, ge=0, le=1)
    """Share of samples at which it crops the right time twice."""
    words: tuple[str, ...] = ("red", "green", "blue", "yellow")
    """What it guesses among where a question has no options: the colours of the world's first level."""

    plays: ClassVar[tuple[str, ...]] = ("look",)

    def playing(self, kind: str) -> Policy:
        return self

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        drawn = int(digest(["habit", sample.id], 8), 16) / 16**8
        window = sample.target.window_s or (0.0, sample.video.duration_s)
        looked = _prompt_seen(conversation) or not conversation.prompt_names
        if drawn < self.guesses and looked and (away := _beginning(window)):
            if crop_times(conversation.turns):
                return Reply(text=f"<think>I guess.</think>\n<answer>{self._guess(sample)}</answer>")
            return _crop(conversation.rounds, "I look closely.", away)
        if (
            self.guesses <= drawn < self.guesses + self.twice
            and _crops(conversation, window)
            and conversation.rounds < 3
        ):
            return _crop(conversation.rounds, "I look once more.", window)
        return await super().reply(conversation, sample)

    def _guess(self, sample: Sample) -> str:
        choices = [chr(65 + n) for n in range(len(sample.options))] or list(self.words)
        return choices[int(digest(["guess", sample.id]), 16) % len(choices)]


def _beginning(window: Span) -> Span | None:
    """The first of the video, as long as the window; None if the two touch."""
    length = round(window[1] - window[0], 1)
    return (0.0, length) if length < window[0] else None
