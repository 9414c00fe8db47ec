"""Question kind: does a question, by its words alone, ask about one concrete thing that can be seen?

English, after the categories of VideoSeeker's text filter (paper, Fig. 9); what no rule knows is accepted.
"""

import re
from typing import NamedTuple

from seekerdata.question_rules import STEPS, Category
from seekerdata.question_words import FILM

ABOUT: dict[Category, str] = {
    "camera": "how it is filmed or edited",
    "background": "the scene, background, place or weather",
    "overall_activity": "the video as a whole",
    "counting": "a number of things or times",
    "abstract": "what cannot be seen, or has to be read or guessed",
    "lighting": "light or overall colours",
}
READ_CHARS = 1000
"""A question says what it wants early; matching time grows with the square of the length."""

_CAMERA = r"camera\b(?! (?:man|woman|person|operator))"
_PART = r"(?:very )?(?:beginning|start|end|middle|first|last|final|opening|second|closing)"
_THE_FILM = rf"(?:the|this|that) (?:\w+ )?(?:{FILM}|scene|sequence)"
_IN_PASSING = (  # words that only say when, or from where, one looks
    rf"\b(?:at|in|near|towards?|by|from|during|throughout|until|to) (?:the )?{_PART}[\w ]*? of {_THE_FILM}\b,?",
    rf"\b(?:in|within) the context of {_THE_FILM}\b",
    r"\b(?:in|throughout|during|within|across|from|according to|based on|over the course of)"
    rf" {_THE_FILM}(?: content)?\b,?",
    r"\b(?:at|near|towards?|by) the (?:very )?(?:beginning|start|end|middle)(?! of)\b,?",
    r"\b(?:seen |as seen |viewed |when viewed |relative to |facing )?(?:from|in|to) the (?:camera|viewer)(?:'s|s)?"
    r"(?: (?:perspective|view|viewpoint|point of view|angle|eyes))?\b",
    r"\b(?:to|towards?|at|near|past|behind|facing|by|before|in front of|close to|closest to|nearest(?: to)?|into"
    rf"|away from|off) (?:the |a |his |her )?(?:\w+ )?{_CAMERA}",
    r"\b(?:in front of|against|behind|before) (?:the |a )?(?:\w+ )*?(?:background|backdrop)\b",
)
_ASKS = r"(?:what|which|who|whose|where|when|why|how|is|are|does|do|did|was|were|describe|in what|in which)"
_LEAD = (
    r"^(?:in|at|during|after|before|when|while|as|for|given|considering|from|near|by|once|following|since)"
    rf" [^,?]*, (?={_ASKS}\b)"
)
_CLAUSE = (
    r"(?<=\w )\b(?:when|while|whilst|as|after|before|until|once|because|who|that|if|with which|during)"
    r" (?:the|a|an|he|she|it|they|his|her|is|are|was|were|\w+ing)\b.*"
)


class Finding(NamedTuple):
    """Why a question does not suit a visual prompt; `words` are the ones that gave it away."""

    category: Category
    words: str

    @property
    def reason(self) -> str:
        """`camera: asks about how it is filmed or edited ('does the camera')`."""
        return f"{self.category}: asks about {ABOUT[self.category]} ('{self.words}')"


def unsuited(question: str, allow: tuple[Category, ...] = ()) -> Finding | None:
    """The first rule that speaks against a question, None if it may be kept.

    Args:
        allow: categories that are let through.
    """
    whole = _plain(question)
    main = re.sub(_CLAUSE, "", whole)
    for step in STEPS:
        if isinstance(step, str):  # a person or animal as the subject settles the matter
            if re.search(step, main):
                return None
        elif step.category not in allow:
            words = step.found(whole if step.whole else main)
            if words:
                return Finding(step.category, words)
    return None


def _plain(question: str) -> str:
    """The question in lower case, without options in it and without words in passing."""
    text = re.split(r"\n\s*\(?A[.):]", question)[0][:READ_CHARS]
    text = text.lower().replace("’", "'").replace("`", "'")
    text = re.sub(r"\b(what|who|where|how|when)'s\b", r"\1 is", re.sub(r"<[a-z_]+>", " ", text))
    text = " ".join(text.split())
    lead = re.match(r"(?:in|from|within) the (?:\w+ )?background(?: of [^,]*)?, (.*)", text)
    if lead:  # "in the background, what can be seen?"
        text = f"{lead[1].rstrip('?. ')} in the background"
    for pattern in _IN_PASSING:
        text = re.sub(pattern, " ", text)
    return re.sub(_LEAD, "", " ".join(text.split()).lstrip(" ,"))
