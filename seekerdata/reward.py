"""Reward: what an answer is worth. Pure functions of the answer's words, the gold answer and the options."""

import re
import unicodedata

from seekerdata.answers import is_choice_right, read_choice


def accuracy_by_rule(answer: str, gold: str, options: tuple[str, ...] = ()) -> float:
    """1.0 if the answer is right, else 0.0; no answer is 0.0, never a guess.

    Multiple choice is read with `read_choice`; an open answer must have the gold's words (case, articles and
    punctuation apart), which suits a closed vocabulary such as the world's. Free answers need a judge.
    """
    if options:
        return float(is_choice_right(read_choice(answer, list(options)), gold))
    return float(bool(_plain(answer)) and _plain(answer) == _plain(gold))


def _plain(text: str) -> list[str]:
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())
    return [word for word in words if word not in {"a", "an", "the"}]
