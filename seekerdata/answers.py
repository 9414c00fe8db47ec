"""Answer: what a reply commits to, a letter of the item's options or a text, or why to nothing.

A wrong letter is worse than none: hidden thoughts never decide, and what two careful readers could read in two
ways is ambiguous. The rules stand in `_RULES`, in their order.
"""

import re
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from seekerdata import answer_phrases as say
from seekerdata import answer_text as speech
from seekerdata.answer_claims import Claim, decisive_claim, letter_at
from seekerdata.answer_options import Options, lead, mentions, standing, tokens, words

READER_VERSION = "1.0.0"
"""Bumped whenever a rule changes; scores read by different versions are not comparable."""

_LONG_REPLY_WORDS = 60  # beyond this an option's words in prose are reasoning, not the answer
_SAMPLE_CHARS = 4_000  # enough to know a broken reply


class AnswerState(StrEnum):
    FOUND = "found"
    MISSING = "missing"
    AMBIGUOUS = "ambiguous"
    REFUSED = "refused"


class Answer(BaseModel):
    """What was read in a reply, by which rule, and where it stands.

    `rule` names what decided. Found: answer_tag, boxed, json (what held the answer), whole_reply, statement, clause,
    letter_head, bracketed, option_text, yes_or_no, start_of_option. Without a letter: the same, contradiction,
    options_listed (ambiguous), refusal, empty, degenerate, error_text, none_of_the_above, letter_outside,
    no_commitment, no_options.
    """

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

    Source: our own reading; READER_VERSION names the rules.
    """
    choices = Options.of(options)
    text, origin = speech.hear(reply or "")
    verdict = _verbatim(reply or "", choices)
    if not choices.raw:
        verdict = _Verdict(AnswerState.MISSING, "no_options")
    elif verdict:
        origin = range(len(reply) + 1)
    else:
        verdict = _read(text, choices)
    found = verdict.state is AnswerState.FOUND
    span = speech.original_span(origin, verdict.start, verdict.end)
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
    text, origin = speech.normalise(reply or "")
    said = speech.spoken(text)
    start, end, rule = speech.answer_block(said) or (0, len(said), "whole_reply")
    cues = [m.end() for m in speech.FINAL_TEXT.finditer(said, start, end) if said[m.end() : end].strip()]
    if rule == "whole_reply" and cues:
        start, rule = cues[-1], "statement"
    kept = said[start:end].strip(" \t\n*_`#")
    start += said[start:end].find(kept)
    failure = _failure(kept, Options.of([])) if kept else _Verdict(AnswerState.MISSING, "empty")
    if not failure and say.REFUSES.search(re.split(r"[.!?\n。]", kept[:_SAMPLE_CHARS], maxsplit=1)[0]):
        failure = _Verdict(AnswerState.REFUSED, "refusal")
    if failure:
        return Answer(state=failure.state, letter=None, letters=(), text=None, rule=failure.rule, span=None)
    span = speech.original_span(origin, start, start + len(kept))
    whole = reply[slice(*span)] if span else kept
    if speech.spoken(whole) != whole:  # something unsaid stands inside
        whole = re.sub(r"\s{3,}", " ", kept)
    return Answer(state=AnswerState.FOUND, letter=None, letters=(), text=whole, rule=rule, span=span)


def is_choice_right(answer: Answer, gold_letter: str) -> bool:
    """Is the gold letter chosen? Where two options have the same text, either letter is right."""
    return answer.state is AnswerState.FOUND and gold_letter.strip().upper() in answer.letters


# -- the rules, in order --------------------------------------------------------------------------
def _read(text: str, options: Options) -> _Verdict:
    """Narrow to the answer tag, box or JSON value, then let the first rule that can tell decide."""
    if verdict := _exact_text(text, options) or _failure(text, options):
        return verdict
    start, end, rule = speech.held_answer(text) or (0, len(text), "")
    held = text[start:end]
    held = speech.blank(held, (tag.span() for tag in speech.ANSWER_TAG.finditer(held)))
    verdict = next((v for judge in _RULES if (v := judge(held, options))), _NOTHING)
    if rule and say.CORRECTS.search(text, end):
        later = _commitment(text[end:], options)
        if later and later.state is AnswerState.FOUND:
            return later.moved(end)
    if rule and verdict.state is AnswerState.FOUND:
        verdict = verdict._replace(rule=rule)
    return verdict.moved(start)


def _verbatim(reply: str, options: Options) -> _Verdict | None:
    """The whole reply is an option's very text, signs included: `C++`, `.*`, `None`."""
    said = speech.normalise(reply.strip())[0].casefold()
    letters = [letter for letter, own in options.verbatim.items() if said and own.casefold() == said]
    if len(options.kinds(letters)) != 1 or said.upper() in options.raw:
        return None
    start = reply.find(reply.strip())
    return _Verdict(AnswerState.FOUND, "option_text", (letters[0],), start, start + len(reply.strip()))


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
    said = text[:_SAMPLE_CHARS].strip()
    sequence = words(said)
    if not text.strip():
        return _Verdict(AnswerState.MISSING, "empty")
    repeated = len(sequence) >= {1: 8, 2: 20, 3: 60}.get(len(set(sequence)), _SAMPLE_CHARS)
    if repeated or not re.search(r"\w", said) or (len(said) > 4 and len(set(said)) == 1):
        return _Verdict(AnswerState.MISSING, "degenerate")
    return _Verdict(AnswerState.MISSING, "error_text") if speech.ERROR_TEXT.match(said) else None


def _bare_letter(text: str, options: Options) -> _Verdict | None:
    """The whole reply is a letter, in either case: `B`, `(b).`, `Option B`, `A or B`."""
    opening = say.CLAUSE.match(text)
    found = letter_at(text, opening.end(), options, lower=True) if opening else None
    asked = text.rstrip().endswith("?") and say.ASKS.match(text)
    if not found or asked or not say.NOTHING_MORE.match(text, found.end):
        return None
    return _settled(Claim(found.start, found.end, found.letters, 0, "whole_reply"), options)


def _commitment(text: str, options: Options) -> _Verdict | None:
    """The choice that the reply's own words commit to."""
    claim = decisive_claim(text, options)
    return _settled(claim, options) if claim else None


def _letter_run(text: str, options: Options) -> _Verdict | None:
    """The whole reply is several letters: `AB`, `A C`."""
    run = re.fullmatch(r"\W*([A-Z](?:\W*[A-Z]){1,25})\W*", text)
    letters = tuple(dict.fromkeys(re.findall("[A-Z]", run[1]))) if run else ()
    if not run or len(letters) < 2 or not set(letters) <= set(options.raw):
        return None
    return _settled(Claim(*run.span(1), letters, 0, "whole_reply"), options)


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
        (speech.SERVER_FAILED, AnswerState.MISSING, "error_text"),
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
        found = tokens(text, speech.conclusion(text, _LONG_REPLY_WORDS // 2))
    hits = standing(text, mentions(text, found, options))
    letters = tuple(dict.fromkeys(hit.letters[0] for hit in hits))
    if not letters:
        return None
    state = AnswerState.FOUND if len(options.kinds(letters)) == 1 else AnswerState.AMBIGUOUS
    return _Verdict(state, "option_text", letters, hits[0].start, hits[-1].end)


def _yes_or_no(text: str, options: Options) -> _Verdict | None:
    """A reply that opens with yes or no, where the options do too."""
    found = tokens(text)
    if not found or found[0].word not in say.POLAR or not say.PAUSE.match(text, found[0].end):
        return None
    openings = {letter: words(raw)[:1] for letter, raw in options.raw.items()}
    polar = {word for word in openings.values() if word and word[0] in say.POLAR}
    letters = [letter for letter, word in openings.items() if word == (found[0].word,)]
    if len(polar) < 2 or len(options.kinds(letters)) != 1:
        return None
    return _Verdict(AnswerState.FOUND, "yes_or_no", (letters[0],), found[0].start, found[0].end)


def _start_of_option(text: str, options: Options) -> _Verdict | None:
    """The whole reply is the first part of one option, two words and a third of it or more."""
    found = tokens(text)
    said = [token.word for token in found][lead([token.word for token in found]) :]
    if len(said) < 2 or text.rstrip().endswith("?"):
        return None
    opened = [
        letter
        for letter, forms in options.forms.items()
        if any(form[: len(said)] == tuple(said) and 3 * len(said) >= len(form) for form in forms)
    ]
    if len(options.kinds(opened)) != 1:
        return None
    return _Verdict(AnswerState.FOUND, "start_of_option", (opened[0],), found[0].start, found[-1].end)


_NOTHING = _Verdict(AnswerState.MISSING, "no_commitment")
_RULES = (
    _exact_text,
    _failure,
    _bare_letter,
    _commitment,
    _letter_run,
    _stock_phrase,
    _mention,
    _yes_or_no,
    _start_of_option,
)
