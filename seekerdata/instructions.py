"""Instructions: every text a model is given before it answers. One wording for synthesis, training, evaluation.

Modes: `direct` asks for the answer alone, `reasoning` for thoughts before it, `tool` for looks with the tools.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

from seekerdata.observation import Observation
from seekerdata.sample import LETTERS, digest
from seekerdata.trajectory import Text, Turn

Mode = Literal["direct", "reasoning", "tool"]

ROLE = "You answer a question about one thing in a video. The frames of the video come with their times."
BLIND_ROLE = (
    "You answer a question about one thing in a video. You are not shown the video: give the answer that the words of "
    "the question make most likely."
)
"""For a play without any frame."""
FORMATS: dict[str, str] = {
    "direct": "Give only the answer, no other words.",
    "reasoning": "Think first, then answer: <think>your thoughts</think><answer>the answer</answer>",
    "tool": (
        "Think first, then look with a tool or answer. To look: <think>your thoughts</think> and one tool call. "
        "To answer: <think>your thoughts</think><answer>the answer</answer>"
    ),
}
MARKED = "The visual prompt frame:"
"""Before a marked frame that is shown beside frames of the video, to a model that cannot ask for it."""
LAST_LOOK = "That was the last look. Answer now."
NO_LOOK_LEFT = "there are no looks left; answer now"
"""Told to a model that calls a tool after its last round."""

_STRUCTURE = re.compile(
    r"<(?=/?(?:image|video|audio|tool_call|tool_response)>|\|[^<>|\n]{1,40}\|>)",
    flags=re.IGNORECASE,
)
_THOUGHT_TAGS = re.compile(r"<(?=/?(?:think|answer)>)", flags=re.IGNORECASE)


def play_hash(mode: Mode) -> str:
    """Hash of the words that every play in a mode begins and ends with; noted with what a model played."""
    return digest([ROLE, BLIND_ROLE, FORMATS[mode], LAST_LOOK, NO_LOOK_LEFT])


def escape_markers(text: str, thoughts_too: bool = False) -> str:
    """Make words that trainers and templates read as structure harmless: `<image>` becomes `&lt;image>`.

    Args:
        text: what a person or a model wrote.
        thoughts_too: also escape `<think>` and `<answer>`, which only a model's reply may use.
    """
    text = _STRUCTURE.sub("&lt;", text)
    return _THOUGHT_TAGS.sub("&lt;", text) if thoughts_too else text


def quote(value: Any) -> str:
    """A value that a model wrote, safe to repeat to it: one line, at most 60 characters, markers escaped."""
    words = " ".join(str(value).split())
    shown = words if len(words) <= 60 else words[:57] + "..."
    return f"'{escape_markers(shown, thoughts_too=True)}'"


def question_text(question: str, options: Sequence[str]) -> str:
    """The question with lettered options below it, all markers escaped."""
    lines = [
        question,
        *(f"{letter}. {' '.join(text.split())}" for letter, text in zip(LETTERS, options, strict=False)),
    ]
    lines += ["Answer with the letter of the best option."] * bool(options)
    return escape_markers("\n".join(lines), thoughts_too=True)


def first_turns(
    question: str,
    options: Sequence[str],
    overview: Observation,
    mode: Mode,
    duration_s: float,
    prompt_names: Sequence[str] = (),
) -> tuple[Turn, Turn]:
    """The system turn and the user turn: overview frames with times, names for the tools, the question."""
    system = Turn(role="system", content=(Text(text=f"{ROLE if overview.blocks else BLIND_ROLE} {FORMATS[mode]}"),))
    names = f"The video is video ({duration_s:.1f} s)."
    if prompt_names:
        names += f" The visual prompt frame is {', '.join(prompt_names)}."
    asked = f"{names}\n" * (mode == "tool") + f"Question: {question_text(question, options)}"
    return system, Turn(role="user", content=(*overview.blocks, Text(text=asked)))
