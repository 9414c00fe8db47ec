"""Answer: what a reply commits to, a letter of the item's options or a text, or why to nothing.

A wrong letter is worse than none: hidden thoughts never decide, and what two careful readers could
read in two ways is ambiguous.
"""

import re
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from seekerdata import answer_phrases as say
from seekerdata.answer_claims import Claim, claims, letter_at, mentions, standing
from seekerdata.answer_text import (
    Options,
    blank,
    hear,
    lead,
    normalise,
    original_span,
    spoken,
    tokens,
    words,
)

READER_VERSION = "1.0.0"
"""Bumped whenever a rule changes; scores read by different versions are not comparable."""

_LONG_REPLY_WORDS = 60  # beyond this an option's words in prose are reasoning, not the answer


class AnswerState(StrEnum):
    FOUND = "found"
    MISSING = "missing"
    AMBIGUOUS = "ambiguous"
    REFUSED = "refused"


class Answer(BaseModel):
    """What was read in a reply, by which rule, and where it stands."""

    model_config = ConfigDict(frozen=True)

    state: AnswerState
    letter: str | None
    """The letter chosen; None unless found."""
    letters: tuple[str, ...]
    """Found: the letter and all whose option has the same text. Ambiguous: the candidates."""
    text: str | None
    """The words that decided; for `read_text` the free answer itself."""
    rule: str
    span: tuple[int, int] | None
    """Start and end of those words in the original reply."""


class _Verdict(NamedTuple):
    state: AnswerState
    rule: str
    letters: tuple[str, ...] = ()
    start: int = 0
    end: int = 0

    def moved(self, by: int) -> "_Verdict":
        return self._replace(start=self.start + by, end=self.end + by)


def read_choice(reply: str, options: list[str]) -> Answer:
    """Which option a reply chooses. Never raises, never guesses; time is linear in the reply.

    Args:
        reply: what the model wrote, thoughts and special tokens included.
        options: the item's options in order, with or without their letters; the first 26 count.

    Source: our own reading of model replies, checked against the rules that lmms-eval, VLMEvalKit,
    lighteval and the benchmarks' official scripts publish.
    """
    choices = Options.of(options)
    text, origin = hear(reply or "")
    if not choices.raw:
        verdict = _Verdict(AnswerState.MISSING, "no_options")
    else:
        verdict = _read(text, choices)
    found = verdict.state is AnswerState.FOUND
    span = original_span(origin, verdict.start, verdict.end)
    return Answer(
        state=verdict.state,
        letter=verdict.letters[0] if found else None,
        letters=choices.same[verdict.letters[0]] if found else verdict.letters,
        text=reply[slice(*span)] if span else None,
        rule=verdict.rule,
        span=span,
    )


def read_text(reply: str) -> Answer:
    """The free answer of a reply: its last answer block, else what follows `final answer:`, else
    all that follows the thoughts. Never raises. Source: the `<answer>` convention of VideoSeeker."""
    text, origin = normalise(reply or "")
    said = spoken(text)
    start, end, rule = _block(said) or (0, len(said), "whole_reply")
    cues = [m.end() for m in say.FINAL_TEXT.finditer(said, start, end) if said[m.end() : end].strip()]
    if rule == "whole_reply" and cues:
        start, rule = cues[-1], "statement"
    kept = said[start:end].strip(" \t\n*_`#")
    start += said[start:end].find(kept)
    failure = _failure(kept, Options.of([])) if kept else _Verdict(AnswerState.MISSING, "empty")
    if not failure and say.REFUSES.search(re.split(r"[.!?\n。]", kept, maxsplit=1)[0]):
        failure = _Verdict(AnswerState.REFUSED, "refusal")
    if failure:
        return Answer(state=failure.state, letter=None, letters=(), text=None, rule=failure.rule, span=None)
    span = original_span(origin, start, start + len(kept))
    return Answer(state=AnswerState.FOUND, letter=None, letters=(), text=kept, rule=rule, span=span)


def is_choice_right(answer: Answer, gold_letter: str) -> bool:
    """Is the gold letter chosen? Where two options have the same text, either letter is right."""
    return answer.state is AnswerState.FOUND and gold_letter.strip().upper() in answer.letters


# -- the rules, in order --------------------------------------------------------------------------
def _read(text: str, options: Options) -> _Verdict:
    """Narrow to the last answer tag, box or JSON value, then the first rule that can tell decides."""
    inner, base, rule, end = text, 0, "", 0
    if failure := _exact_text(text, options) or _failure(text, options):
        return failure
    for find in (_block, _box, _json, _reply_line):
        if place := find(inner):
            inner, base = inner[place[0] : place[1]], base + place[0]
            rule, end = rule or place[2], end or place[1]
    inner = blank(inner, (tag.span() for tag in say.ANSWER_TAG.finditer(inner)))
    verdict = next((v for judge in _RULES if (v := judge(inner, options))), _NOTHING)
    if rule and say.CORRECTS.search(text, end):
        later = _commitment(text[end:], options)
        if later and later.state is AnswerState.FOUND:
            return later.moved(end)
    found = verdict.state is AnswerState.FOUND
    return verdict._replace(rule=rule if rule and found else verdict.rule).moved(base)


def _exact_text(text: str, options: Options) -> _Verdict | None:
    """The whole reply is an option's text, an article or pronoun apart."""
    found = tokens(text)
    sequence = tuple(token.word for token in found)
    if not found or (len(sequence) == 1 and sequence[0].upper() in options.raw):
        return None
    whole = re.match(r"\W*[A-Z]\s*[).:,\]–—-]", text) or text.rstrip().endswith("?")
    forms = {sequence} if whole else {sequence, sequence[lead(sequence) :]}
    letters = [letter for letter, own in options.forms.items() if forms & set(own)]
    if len(options.kinds(letters)) != 1:
        return None
    span = found[0].start, found[-1].end
    return _Verdict(AnswerState.FOUND, "option_text", (letters[0],), *span)


def _failure(text: str, options: Options) -> _Verdict | None:
    """Nothing at all, one sign or word over and over, or a server's words instead of a model's."""
    sequence = words(text)
    said = text.strip()
    if not said:
        return _Verdict(AnswerState.MISSING, "empty")
    repeated = len(set(sequence)) == 1 and len(sequence) >= 8
    if repeated or not re.search(r"\w", said) or (len(said) > 4 and len(set(said)) == 1):
        return _Verdict(AnswerState.MISSING, "degenerate")
    if say.ERROR_TEXT.search(said[:2000]):
        return _Verdict(AnswerState.MISSING, "error_text")
    return None


def _bare_letter(text: str, options: Options) -> _Verdict | None:
    """The whole reply is a letter, in either case: `B`, `(b).`, `Option B`; or several of them."""
    opening = say.CLAUSE.match(text)
    found = letter_at(text, opening.end(), options, lower=True) if opening else None
    said = text.strip()
    if opening and said.endswith("?") and say.ASKS.match(text):
        return None
    if not found or not say.NOTHING_MORE.match(text, found.end):
        run = re.fullmatch(r"\W*([A-Z](?:\W*[A-Z]){1,25})\W*", said)
        letters = tuple(dict.fromkeys(re.findall("[A-Z]", run[1]))) if run else ()
        if len(letters) < 2 or not set(letters) <= set(options.raw):
            return None
        start = text.find(said)
        return _Verdict(AnswerState.AMBIGUOUS, "whole_reply", letters, start, start + len(said))
    claim = Claim(found.start, found.end, found.letters, 0, "whole_reply")
    return _settled(claim, options)


def _commitment(text: str, options: Options) -> _Verdict | None:
    """The last of the firmest claims, unless another contradicts it and nothing takes that back."""
    found = claims(text, options)
    if not found:
        return None
    firmest = [c for c in found if c.rank == max(claim.rank for claim in found)]
    last = firmest[-1]
    rivals = [c for c in firmest if not options.kinds(last.letters) <= options.kinds(c.letters)]
    if rivals and not _taken_back(text, rivals[-1], last):
        return _contradiction(firmest)
    for later in (c for c in found if c.start >= last.end):
        if options.kinds(later.letters) == options.kinds(last.letters):
            continue
        if say.CORRECTS.search(text, last.end, later.end):
            last = later
        elif later.rank > 1:
            return _contradiction([last, later])
    return _settled(last, options)


def _taken_back(text: str, earlier: Claim, last: Claim) -> bool:
    near = max(earlier.end, last.start - 60)
    corrected = say.CORRECTS.search(text, earlier.end, last.end)
    return bool(corrected or say.CONCLUDES.search(text, near, last.end))


def _contradiction(rivals: list[Claim]) -> _Verdict:
    letters = tuple(dict.fromkeys(letter for claim in rivals for letter in claim.letters))
    span = rivals[0].start, rivals[-1].end
    return _Verdict(AnswerState.AMBIGUOUS, "contradiction", letters, *span)


def _settled(claim: Claim, options: Options) -> _Verdict:
    span = claim.start, claim.end
    if not set(claim.letters) <= set(options.raw):
        return _Verdict(AnswerState.MISSING, "letter_outside", (), *span)
    if len(options.kinds(claim.letters)) > 1:
        return _Verdict(AnswerState.AMBIGUOUS, claim.rule, claim.letters, *span)
    return _Verdict(AnswerState.FOUND, claim.rule, claim.letters[:1], *span)


def _stock_phrase(text: str, options: Options) -> _Verdict | None:
    """`None of the above`, `cannot be determined`, `I'm sorry`: an option only if one says so."""
    for pattern, state, rule in (
        (say.NONE_OF, AnswerState.MISSING, "none_of_the_above"),
        (say.CANNOT_TELL, AnswerState.REFUSED, "refusal"),
        (say.REFUSES, AnswerState.REFUSED, "refusal"),
        (say.SERVER_FAILED, AnswerState.MISSING, "error_text"),
    ):
        if phrase := pattern.search(text):
            letters = [a for a, raw in options.raw.items() if _same_stock(pattern, phrase[0], raw)]
            if len(options.kinds(letters)) == 1:
                return _Verdict(AnswerState.FOUND, "option_text", (letters[0],), *phrase.span())
            named = _mention(text, options)
            if named and named.start < phrase.end() and phrase.start() < named.end:
                return named  # the refusing words are an option's own
            return _Verdict(state, rule, (), *phrase.span())
    return None


def _same_stock(pattern: re.Pattern[str], phrase: str, option: str) -> bool:
    """Does a short option say the same stock phrase? Its first and last words tell, by their stems."""
    own = pattern.search(option)
    if not own or len(words(option)) > 6:
        return False
    said, meant = words(phrase) or ("",), words(own[0]) or ("",)
    which = 0 if pattern is say.NONE_OF else -1
    return said[which][:5] == meant[which][:5]


def _mention(text: str, options: Options) -> _Verdict | None:
    """Option texts in prose: the longest, if one is left when denied ones are put aside."""
    found = tokens(text)
    longest = max((len(form) for forms in options.forms.values() for form in forms), default=0)
    if len(found) > _LONG_REPLY_WORDS + longest:
        sentences = list(re.finditer(r"[^.!?\n。]*\w[^\n。!?]*", text))
        found = tokens(text, sentences[-1].start()) if sentences else found
    hits = standing(text, mentions(text, found, options))
    letters = tuple(dict.fromkeys(hit.letters[0] for hit in hits))
    if not letters:
        return None
    state = AnswerState.FOUND if len(options.kinds(letters)) == 1 else AnswerState.AMBIGUOUS
    return _Verdict(state, "option_text", letters, hits[0].start, hits[-1].end)


def _yes_or_no(text: str, options: Options) -> _Verdict | None:
    """A reply that opens with yes or no, where one option does."""
    found = tokens(text)
    if not found or found[0].word not in say.POLAR or not say.PAUSE.match(text, found[0].end):
        return None
    letters = [a for a, raw in options.raw.items() if words(raw)[:1] == (found[0].word,)]
    if len(options.kinds(letters)) != 1:
        return None
    return _Verdict(AnswerState.FOUND, "yes_or_no", (letters[0],), found[0].start, found[0].end)


def _part_of_option(text: str, options: Options) -> _Verdict | None:
    """The whole reply is at least half of one option's words, and of no other's."""
    found = tokens(text)
    said = f" {' '.join(t.word for t in found[lead([t.word for t in found]) :])} "
    holders = {a: f" {' '.join(words(raw))} " for a, raw in options.raw.items()}
    if not found or text.rstrip().endswith("?"):
        return None
    letters = [a for a, whole in holders.items() if said in whole]
    if len(options.kinds(letters)) != 1 or 2 * len(said) < len(holders[letters[0]]):
        return None
    span = found[0].start, found[-1].end
    return _Verdict(AnswerState.FOUND, "part_of_option", (letters[0],), *span)


_NOTHING = _Verdict(AnswerState.MISSING, "no_commitment")
_RULES = (
    _exact_text,
    _failure,
    _bare_letter,
    _commitment,
    _stock_phrase,
    _yes_or_no,
    _mention,
    _part_of_option,
)


# -- where the answer stands ----------------------------------------------------------------------
def _block(text: str) -> tuple[int, int, str] | None:
    """The last answer tag's content that is not empty; a lone opening or closing tag counts."""
    found, since, last = None, None, 0
    for tag in say.ANSWER_TAG.finditer(text):
        if tag["open"]:
            since = tag.end()
            continue
        span = (last if since is None else since, tag.start())
        if text[slice(*span)].strip():
            found = span
        since, last = None, tag.end()
    if since is not None and text[since:].strip():
        found = (since, len(text))
    return (*found, "answer_tag") if found else None


def _box(text: str) -> tuple[int, int, str] | None:
    """The last LaTeX box's content that is not empty."""
    for box in reversed(list(say.BOX.finditer(text))):
        depth, end = 1, box.end()
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        if text[box.end() : end - (depth == 0)].strip():
            return box.end(), end - (depth == 0), "boxed"
    return None


def _json(text: str) -> tuple[int, int, str] | None:
    values = list(say.JSON_ANSWER.finditer(text))
    return (*values[-1].span("value"), "json") if values else None


def _reply_line(text: str) -> tuple[int, int, str] | None:
    """What follows `A:` where the reply repeats the question as `Q:`."""
    lines = list(say.QUESTION_AND_ANSWER.finditer(text))
    return (lines[-1].end(), len(text), "statement") if lines else None
