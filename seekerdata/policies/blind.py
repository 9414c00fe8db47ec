"""blind: guesses from the words alone; what a benchmark's options give away without the video."""

from seekerdata.rollout import Conversation, Policy, Reply
from seekerdata.sample import LETTERS, Sample, digest

__all__ = ["Blind"]


class Blind(Policy):
    """Names the longest option, as right ones tend to be; of equally long ones the hash of the sample's id draws."""

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        if not sample.options:
            return Reply(text="<answer>unknown</answer>")
        lengths = [len(option) for option in sample.options]
        longest = [n for n, length in enumerate(lengths) if length == max(lengths)]
        guess = longest[int(digest(["blind", sample.id]), 16) % len(longest)]
        return Reply(text=f"<answer>{LETTERS[guess]}</answer>")
