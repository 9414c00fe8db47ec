"""Answer options: an item's options as letters and as words, and where those words stand in a text.

Words are compared whole and without case, so that `red` is never found in `redundant`; the longest option wins.
"""

import re
import string
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seekerdata import answer_phrases as say
from seekerdata.answer_text import normalise, plain

_TOKEN = re.compile(
    rf"\d{{1,3}}(?:,\d{{3}})+(?!\d)|(?<![\w)>.:-])-\d+(?:[.:]\d+)*|[{say.UNSPACED}]"
    rf"|[^\W_{say.UNSPACED}]+(?:[.:]\d+)*(?:'[^\W\d_]+)?|[+%$€£°#=&@^~≤≥]|<(?!-)|(?<![-=])>"
)
_NUMBERS = {"zero": "0", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8"}
_NUMBERS |= {"nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "fifteen": "15", "twenty": "20"}
"""Not `one`, which is a pronoun too."""
_LEAD_WORDS = set(
    """a an the he she it they there his her their its this that is are was were it's he's she's they're
    there's""".split()  # noqa: SIM905
)
_TOGETHER = re.compile(r"[\s,/&]*(?:and|or|nor)?\s*(?:the\s+|an?\s+)?", re.I)
_PLACE_NUMBER = re.compile(r"\b(?:frames?|at|second|minute|step|scene|shot|clip|part|option|figure)\s*\Z", re.I)
_MAX_REACH_CHARS = 400


class Token(NamedTuple):
    word: str
    start: int
    end: int


class Reading(NamedTuple):
    """Letters read at a place; more than one if the words name several choices."""

    letters: tuple[str, ...]
    start: int
    end: int


class Options(NamedTuple):
    """An item's options by letter, 26 at most, their own letters (`A. Red`) taken off."""

    verbatim: dict[str, str]
    raw: dict[str, str]
    """The same without markup."""
    forms: dict[str, tuple[tuple[str, ...], ...]]
    """Letter -> the word sequences that name it: in full, and without leading article or pronoun."""
    same: dict[str, tuple[str, ...]]
    """Letter -> all letters with the same text."""
    reach: int
    """How many characters a quoted option may take."""

    @classmethod
    def of(cls, options: Sequence[str]) -> "Options":
        texts = _without_letters([normalise(str(option or ""))[0].strip() for option in options])
        verbatim = dict(zip(string.ascii_uppercase, texts, strict=False))
        raw = {letter: plain(text).strip() for letter, text in verbatim.items()}
        full = {letter: words(text) for letter, text in raw.items()}
        same = {a: tuple(b for b in raw if b == a or (full[a] and full[a] == full[b])) for a in raw}
        forms = {a: _forms(a, full, same[a]) for a in raw}
        return cls(verbatim, raw, forms, same, min(_MAX_REACH_CHARS, max(map(len, texts), default=0) + 40))

    def kinds(self, letters: Iterable[str]) -> set[str]:
        """The distinct texts meant: equal options count once."""
        return {self.same.get(letter, (letter,))[0] for letter in letters}


def _without_letters(options: list[str]) -> list[str]:
    """Options as bare texts, where all carry consecutive letters: `A. Red`, `(A) Red`, `A: Red`."""
    found = [
        re.match(rf"\(?{letter}(?:[).:、]|\s-(?=\s))\s*(.*)", text, re.S)
        for letter, text in zip(string.ascii_uppercase, options, strict=False)
    ]
    return [m[1] for m in found if m] if all(found) and len(found) == len(options) else options


def _forms(letter: str, full: dict[str, tuple[str, ...]], same: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    text = full[letter]
    short = text[lead(text) :]
    others = [other for b, other in full.items() if b not in same]
    taken = any(short in (other, other[lead(other) :]) for other in others)
    forms = (text,) if taken or short == text else (text, short)
    # A text of one letter is read as a letter, unless that letter labels no option.
    return tuple(f for f in forms if f and not (len(f) == 1 and f[0].upper() in full))


def tokens(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """Words, numbers and meaningful signs in lower case; five is 5, 00:15 is 0:15, 1,000 is 1000."""
    found = []
    for match in _TOKEN.finditer(text, start, len(text) if end is None else end):
        word = match[0].casefold().replace(",", "")
        if word == "one" and _is_number_one(text, *match.span()):
            word = "1"
        elif word[0] == "0" and ":" in word:
            word = word.removeprefix("0") if word[1].isdigit() else word
        found.append(Token(_NUMBERS.get(word, word), *match.span()))
    return found


def _is_number_one(text: str, start: int, end: int) -> bool:
    before = re.search(r"\b(?:the|this|that|no|which|o?ther|every|any|each) \Z", text[max(0, start - 9) : start])
    return not before and not re.match(r" (?:of|by|is|who|that|which|on|in|with|at)\b", text[end : end + 9])


def words(text: str) -> tuple[str, ...]:
    return tuple(token.word for token in tokens(text))


def lead(sequence: Sequence[str]) -> int:
    """How many articles and pronouns stand before the words that matter (one word always does)."""
    count = 0
    while count < len(sequence) - 1 and sequence[count] in _LEAD_WORDS:
        count += 1
    return count


def quoted_at(text: str, at: int, options: Options, ended: re.Pattern[str]) -> Reading | None:
    """The longest option whose text stands exactly at a place, with what `ended` matches behind it."""
    found = tokens(text, at, min(len(text), at + options.reach))
    said = [token.word for token in found]
    best: Reading | None = None
    skips = {0, lead(said)} if said else set()
    for skip in (s for s in skips if not re.search(r"[.):]", text[at : found[s].start])):  # no `A. Red`
        for letter, forms in options.forms.items():
            for form in forms:
                size = len(form)
                if tuple(said[skip : skip + size]) != form:
                    continue
                end = found[skip + size - 1].end
                if ended.match(text, end) and (best is None or end > best.end):
                    best = Reading((letter,), found[skip].start, end)
    return best


def quoted_before(text: str, at: int, options: Options) -> str | None:
    """The letter of the option whose text ends right before a place."""
    said = tokens(text, max(0, at - options.reach), at)
    if said and re.fullmatch(r"[\s(\[:,=|/–—-]*", text[said[-1].end : at]):
        for letter, forms in options.forms.items():
            if any(tuple(token.word for token in said[-len(form) :]) == form for form in forms):
                return letter
    return None


def mentions(text: str, found: list[Token], options: Options) -> list[Reading]:
    """Where options' texts stand in prose; one inside a longer one, there or elsewhere, is left out.

    Yes and no say too many other things to be looked for inside a sentence.
    """
    line = f" {' '.join(token.word for token in found)} "
    starts, place = {}, 0
    for index, token in enumerate(found):
        starts[place] = index
        place += len(token.word) + 1
    hits: dict[tuple[str, ...], list[Reading]] = {}
    for letter, forms in options.forms.items():
        for form in (f for f in forms if f[0] not in say.POLAR or len(f) > 1):
            needle, at = f" {' '.join(form)} ", -1
            while (at := line.find(needle, at + 1)) >= 0:
                first, last = found[starts[at]], found[starts[at] + len(form) - 1]
                hits.setdefault(form, []).append(Reading((letter,), first.start, last.end))
    kept = [form for form in hits if not any(_inside(form, other) for other in hits)]
    return sorted((hit for form in kept for hit in hits[form]), key=lambda hit: hit.start)


def _inside(form: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return len(form) < len(other) and f" {' '.join(form)} " in f" {' '.join(other)} "


def standing(text: str, hits: list[Reading]) -> list[Reading]:
    """The mentions that are not denied, neither alone nor joined with the next (`red and blue are wrong`)."""
    kept: list[Reading] = []
    denied, following = False, len(text)
    for hit in reversed(hits):
        joined = _TOGETHER.fullmatch(text, hit.end, max(hit.end, following))
        denied = _is_denied(text, hit) or bool(denied and joined)
        kept += [] if denied else [hit]
        following = hit.start
    return kept[::-1]


def _is_denied(text: str, hit: Reading) -> bool:
    """Is a text denied before in its clause or right after it, asked about, or another thing's number?"""
    clause = re.split(r"[.,;:!?\n。，；]|\bbut\b|但", text[max(0, hit.start - 160) : hit.start])[-1]
    if say.DENIES.search(clause) or say.DENIED_AFTER.match(text, hit.end):
        return True
    if text[hit.start : hit.end].isdigit():
        item = not clause.strip() and re.match(r"[.)]\s+\w", text[hit.end : hit.end + 9])
        if item or _PLACE_NUMBER.search(clause):
            return True
    return bool(re.match(r"[^.!\n。]{0,120}?\?", text[hit.end : hit.end + 130]))
