"""random: guesses without looking; the floor that any score is compared with."""

from seekerdata.rollout import Conversation, Policy, Reply
from seekerdata.sample import LETTERS, Sample, digest

__all__ = ["Random"]


class Random(Policy):
    """Names a letter by the hash of the sample's id and `seed`; open questions get `unknown`."""

    seed: int = 0

    def trying(self, n: int) -> Policy:
        """Another seed, another letter."""
        return self.model_copy(update={"seed": self.seed + n})

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        choices = LETTERS[: len(sample.options)] or "?"
        guess = choices[int(digest([self.seed, sample.id]), 16) % len(choices)]
        return Reply(text=f"<answer>{guess if sample.options else 'unknown'}</answer>")
