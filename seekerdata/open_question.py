"""OpenQuestion: a multiple-choice question asked without its options. The answer stays the right option's text.

Where the question reads without its options nothing is rewritten; else a model may, and its words are checked: they
speak of no options and give away nothing that the question did not say before.
"""

import re
from collections import Counter

from seekerdata.models import ModelSettings
from seekerdata.prompts import OPEN
from seekerdata.reference import content_words, words_of
from seekerdata.sample import Sample
from seekerdata.verdict import Decision, OpenVerdict, decide

_NEEDS_OPTIONS = re.compile(
    r"\b(which|what) of (the|these)|\bthe following\b|\bwhich (option|statement)|\b(all|none|both) of\b|"
    r"\bbest (describes|answers)|\bmost likely\b",
    flags=re.IGNORECASE,
)
_OPTIONS = re.compile(
    r"\b(?:options?|choices?|alternatives?|statements?|(?:listed|the) (?:above|below))\b", re.IGNORECASE
)
_LETTER = re.compile(r"\(\s*[A-H]\s*\)|(?<![\w.])[A-H][.):](?=\s+\S)|(?<!\w)[A-H](?=\s*(?:,|or)\s+[A-H]\b)")
_SMALL = set(
    words_of("what which who whose where when why how do does did be been was were are am will would has have")
)
"""Words that a question may need and that no answer consists of."""


def reads_openly(sample: Sample) -> bool:
    """Whether the question can be asked as it stands, without its options."""
    return not sample.options or not _NEEDS_OPTIONS.search(sample.question)


def stands_alone(sample: Sample) -> bool:
    """Whether the answer says something without the options beside it: it is no remark about them."""
    return not sample.options or not _NEEDS_OPTIONS.search(sample.answer_text)


def asked_openly(sample: Sample, question: str = "") -> Sample:
    """The sample as an open question, in other words if some are given."""
    words = question or sample.question
    return sample.model_copy(update={"question": words, "options": (), "answer": sample.answer_text})


async def open_by(model: ModelSettings, sample: Sample) -> Decision[OpenVerdict]:
    """A model's wording, checked. It is not told which option is right.

    Raises:
        SeekerError: a wrong key, an unknown model or a missing package.
        ItemError: `model_failed`, `model_refused`, `bad_verdict`.
    """
    phrases = [prompt.phrase for prompt in sample.visual_prompts]
    asked = OPEN.item(question=sample.question, options=sample.options, phrase=", ".join(phrases))
    return await decide(model, OPEN, asked, OpenVerdict, lambda verdict: check_open(verdict, sample))


def check_open(verdict: OpenVerdict, sample: Sample) -> None:
    """Whether a model's open question can be asked.

    Raises:
        ValueError: what is wrong, in one line for the model.
    """
    if not verdict.is_open:
        return
    question = verdict.question.strip()
    if "\n" in question or not question.endswith("?"):
        raise ValueError("question: it is not one line that ends with a question mark")
    if found := _NEEDS_OPTIONS.search(question) or _OPTIONS.search(question) or _LETTER.search(question):
        raise ValueError(f"question: '{found.group().strip()}' speaks of options")
    for prompt in sample.visual_prompts:
        if prompt.phrase.lower() in sample.question.lower() and prompt.phrase.lower() not in question.lower():
            raise ValueError(f"question: the phrase '{prompt.phrase}' is missing")
    if word := _given_away(sample, question):
        raise ValueError(f"question: the word '{word}' was not in it before and tells something")


def _given_away(sample: Sample, question: str) -> str:
    """A word of the options, of the target's name, or with a digit that is new in the question; empty if none is.

    A word that every option has tells nothing, apart from the options' kind.
    """
    before, after = Counter(map(_stem, words_of(sample.question))), Counter(map(_stem, words_of(question)))
    options = [{_stem(word) for word in content_words(option)} for option in sample.options]
    shared = set.intersection(*options) if len(options) > 1 else set()
    name = content_words(sample.target.tag) | content_words(sample.target.description)
    telling = (set().union(*options) - shared) | {_stem(word) for word in name}
    telling |= {word for word in after if any(letter.isdigit() for letter in word)}
    return next((word for word in sorted(telling - _SMALL) if after[word] > before[word]), "")


def _stem(word: str) -> str:
    """A word without a common ending, so that `pick` gives away `picks`."""
    return re.sub(r"(?:ing|ed|es|s)$", "", word) if len(word) > 4 else word
