"""Rewrite: a question and its options with the target's name exchanged. What a model rewrote is checked word by word.

Every check raises `ValueError` with one line that a model can be told. Nothing but the name may change.
"""

from collections import Counter
from collections.abc import Sequence

from seekerdata.reference import VP, content_words, find_reference, name_words, put_phrase, put_vp, words_of
from seekerdata.sample import Target, VideoRef
from seekerdata.verdict import PhraseVerdict, TargetVerdict

TAG_WORDS = (3, 10)
DIGIT_S = 0.051
"""Half of the last digit that is shown of a time: a video of 19.97 s is shown as 20.0 s."""
FREE_WORDS = {"the", "a", "an", "of"}
"""What a natural sentence may need or lose where a phrase is put into it."""


def check_target(verdict: TargetVerdict, video: VideoRef, question: str, options: Sequence[str]) -> None:
    """Whether a model's target can be used.

    Raises:
        ValueError: what is wrong with its tag, window, question or options.
    """
    if not verdict.is_valid:
        return
    count = len(verdict.tag.split())
    if not TAG_WORDS[0] <= count <= TAG_WORDS[1]:
        raise ValueError(f"tag: it has {count} words, not {TAG_WORDS[0]} to {TAG_WORDS[1]}")
    assert verdict.window is not None, "a valid verdict has a window"
    start_s, end_s = round(verdict.window.start_s, 1), round(verdict.window.end_s, 1)
    if start_s >= end_s:
        raise ValueError("window: it ends before it starts, or is empty")
    if end_s > video.duration_s + DIGIT_S:
        raise ValueError(f"window: it ends at {end_s} s, the video at {video.duration_s:.1f} s")
    _check_question(verdict, question)
    _check_options(verdict, options)


def check_phrase(verdict: PhraseVerdict, target: Target, phrase: str) -> None:
    """Whether a model's question and options say what they said with `<vp>`.

    Raises:
        ValueError: what is wrong, and in which text.
    """
    if len(verdict.options) != len(target.vp_options):
        raise ValueError(f"options: there are {len(verdict.options)}, not {len(target.vp_options)}")
    places = ["question", *(f"options.{n}" for n in range(len(verdict.options)))]
    before, after = [target.vp_question, *target.vp_options], [verdict.question, *verdict.options]
    for place, old, new in zip(places, before, after, strict=True):
        if fault := _phrase_fault(old, new, target, phrase):
            raise ValueError(f"{place}: {fault}")


def _phrase_fault(old: str, new: str, target: Target, phrase: str) -> str:
    """What is wrong with one text after `<vp>` was exchanged for the phrase; empty if nothing is."""
    if VP not in old:
        return "" if new == old else f"it has no {VP} and is not the same as before"
    if VP in new:
        return f"{VP} still stands in it"
    words = words_of(put_phrase(old, phrase)), words_of(new)
    wanted, said = map(Counter, words)
    of_phrase = set(words_of(phrase)) - FREE_WORDS
    if lost := next((word for word in words_of(phrase) if word in of_phrase and said[word] < wanted[word]), ""):
        return f"the phrase's word '{lost}' is missing"
    telling = content_words(target.tag) | content_words(target.description)
    if word := next((word for word in sorted(telling) if said[word] > wanted[word]), ""):
        return f"the word '{word}' tells what the marked thing is"
    if any(said[word] != wanted[word] for word in {*said, *wanted} - FREE_WORDS):
        return "other words than those of the phrase were added or lost"
    passed_over = of_phrase | FREE_WORDS
    rests = [[word for word in text if word not in passed_over] for text in words]
    return "" if rests[0] == rests[1] else "its words stand in another order"


def replaced(before: str, after: str) -> tuple[str, ...] | None:
    """The words of `before`, in lower case, that stand as `<vp>` in `after`; None if anything else differs (case and
    spaces apart). Each stretch is the shortest that fits; the time taken grows with the texts only."""
    text, (first, *middle) = _even(before).lower(), _even(after).lower().split(VP)
    if not middle:
        return () if text == first else None
    last, at, stretches = middle.pop(), len(first), []
    end = len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last)):
        return None
    for part in middle:
        found = text.find(part, at + 1, end)
        if found < 0:
            return None
        stretches.append(text[at:found].strip())
        at = found + len(part)
    return (*stretches, text[at:end].strip()) if at < end else None


def leaked(tag: str, description: str, question: str, rewritten: str) -> str:
    """A word that tells what the target is and still stands in `rewritten`; empty if none does.

    A word that also stands in the rest of the question, beside the target's name, may stay there: "the other man".
    """
    found = find_reference(question, tag)
    name = found if description.lower() in found.lower() else description
    rest = Counter(words_of(put_vp(question, name).replace(VP, " ")))
    now = Counter(words_of(rewritten.replace(VP, " ")))
    telling = content_words(tag) | content_words(description)
    return next((word for word in sorted(telling) if now[word] > rest[word]), "")


def _check_question(verdict: TargetVerdict, question: str) -> None:
    description = _even(verdict.description)
    if not description or put_vp(_even(question), description) == _even(question):
        raise ValueError("description: these words do not stand in the question")
    if VP not in verdict.question:
        raise ValueError(f"question: it has no {VP}")
    if word := leaked(verdict.tag, description, _even(question), verdict.question):
        raise ValueError(f"question: the word '{word}' still tells what the thing is")
    stretches = replaced(question, verdict.question)
    if stretches is None:
        raise ValueError(f"question: more than the name of the thing was changed for {VP}")
    if description.lower() not in stretches:
        raise ValueError(f"question: {VP} does not stand for the words of description")


def _check_options(verdict: TargetVerdict, options: Sequence[str]) -> None:
    if len(verdict.options) != len(options):
        raise ValueError(f"options: there are {len(verdict.options)}, not {len(options)}")
    description = _even(verdict.description)
    names = name_words(verdict.tag) | name_words(description)
    for n, (before, after) in enumerate(zip(options, verdict.options, strict=True)):
        if VP not in after:
            if before != after:
                raise ValueError(f"options.{n}: it has no {VP} and is not the same as before")
            if put_vp(before, description) != before:
                raise ValueError(f"options.{n}: it still names the thing")
            continue
        stretches = replaced(before, after)
        if stretches is None:
            raise ValueError(f"options.{n}: more than the name of the thing was changed for {VP}")
        if not all(set(words_of(stretch)) & names for stretch in stretches):
            raise ValueError(f"options.{n}: {VP} stands for words that do not name the thing")
        if word := leaked(verdict.tag, description, before, after):
            raise ValueError(f"options.{n}: the word '{word}' still tells what the thing is")
    if len(set(verdict.options)) < len(set(options)):
        raise ValueError("options: two of them became the same")


def _even(text: str) -> str:
    return " ".join(text.split())
