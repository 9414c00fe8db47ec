"""Wording: how a published evaluation puts a multiple-choice question: its order, its options' form, its last sentence.

Instructions of one line that a benchmark publishes are given as they stand, since its numbers rest on them. A wording
asks for the letter alone: it is for mode `direct` and for questions with options; all else is asked in our own words.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from seekerdata.instructions import escape_markers
from seekerdata.observation import Observation
from seekerdata.sample import LETTERS
from seekerdata.trajectory import Image, Text, Turn


class Wording(BaseModel):
    """The words around a question, and where its marked frames stand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str = ""
    """The system turn's words; empty: there is no system turn."""
    user: str
    """The user turn's words, with `{question}` and `{options}` in their places."""
    option: str = "{letter}. {text}"
    """One option, a line of its own."""
    marked: Literal["before", "after"] = "before"
    """Where marked frames stand, without words of their own: before the question or after it. Frames of the video stand
    before both."""

    def turns(self, question: str, options: Sequence[str], overview: Observation, marked: Observation) -> list[Turn]:
        """The turns that a play begins with; the user's is the last."""
        lines = [
            self.option.format(letter=letter, text=" ".join(text.split()))
            for letter, text in zip(LETTERS, options, strict=False)
        ]
        words = self.user.format(question=question, options="\n".join(lines))
        asked = Text(text=escape_markers(words, thoughts_too=True))
        marks = tuple(block for block in marked.blocks if isinstance(block, Image))
        behind = (*marks, asked) if self.marked == "before" else (asked, *marks)
        system = [Turn(role="system", content=(Text(text=self.system),))] * bool(self.system)
        return [*system, Turn(role="user", content=(*overview.blocks, *behind))]


V2P = Wording(
    user="{question}\n{options}\n"
    "Select the best option that accurately addresses the question. Give only your option letter, no other words.",
    option="{letter}: {text}",
    marked="after",
)
VIDEOMME = Wording(
    user="Select the best answer to the following multiple-choice question based on the video. Respond with only the "
    "letter (A, B, C, or D) of the correct option.\n{question}\n{options}\nThe best answer is:"
)
LONGVIDEOBENCH = Wording(
    user="Question: {question}\n{options}\nAnswer with the option's letter from the given choices directly."
)
