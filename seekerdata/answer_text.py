"""Answer text: a reply as it was said to the asker, and options as words that can be found in it.

Text is blanked, never cut, so that every offset still fits; only `normalise` changes lengths, and
it gives the way back. Everything takes linear time.
"""

import re
import string
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seekerdata import answer_phrases as say

_CLUSTER = re.compile(r"[\x00-\x7f]+(?![\u0300-\u036f])|.[\u0300-\u036f\u3099\u309a\u1160-\u11ff]*", re.S)
_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "`": "'", "´": "'"})
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]+")

_TOKEN = re.compile(
    rf"\d{{1,3}}(?:,\d{{3}})+(?!\d)|(?<![\w)>.:-])-\d+(?:[.:]\d+)*|[{say.UNSPACED}]"
    rf"|[^\W_{say.UNSPACED}]+(?:[.:]\d+)*(?:'[^\W\d_]+)?|[+%$€£°#=&@^~≤≥]|<(?!-)|(?<![-=])>"
)
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        [
            "zero",
            ".",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
}  # not "one", which is a pronoun too
_LEAD_WORDS = set(
    [
        "a",
        "an",
        "the",
        "he",
        "she",
        "it",
        "they",
        "there",
        "his",
        "her",
        "their",
        "its",
        "this",
        "that",
        "is",
        "are",
        "was",
        "were",
        "it's",
        "he's",
        "she's",
        "they're",
        "there's",
        "to",
        "because",
    ]
)


_HEAD_CHARS, _TAIL_CHARS = 2_000, 6_000  # a commitment stands near one end of what is said


class Token(NamedTuple):
    word: str
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
        return cls(verbatim, raw, forms, same, min(600, max(map(len, texts), default=0) + 40))

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
    others = [words for b, words in full.items() if b not in same]
    taken = any(short in (words, words[lead(words) :]) for words in others)
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
        word = re.sub(r"^0(?=\d:)", "", _NUMBERS.get(word, word))
        found.append(Token(word, *match.span()))
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


def normalise(reply: str) -> tuple[str, Sequence[int]]:
    """NFKC without invisible signs, and for each character (and the end) its place in the reply."""
    if reply.isascii():
        return reply, range(len(reply) + 1)
    parts: list[str] = []
    origin: list[int] = []
    for cluster in _CLUSTER.finditer(reply):
        if cluster[0].isascii():
            parts.append(cluster[0])
            origin.extend(range(*cluster.span()))
        elif not _INVISIBLE.fullmatch(cluster[0]):
            part = unicodedata.normalize("NFKC", cluster[0]).translate(_QUOTES)
            parts.append(part)
            origin.extend([cluster.start()] * len(part))
    return "".join(parts), [*origin, len(reply)]


def hear(reply: str) -> tuple[str, Sequence[int]]:
    """What a reply says, in plain words: no thoughts, no markup, single spaces, its two ends if it
    is long. With it, as in `normalise`, each character's place in the reply."""
    text, origin = normalise(reply)
    text = plain(spoken(text))
    parts: list[str] = []
    places: list[int] = []
    done = 0
    for gap in re.finditer(r"\s{2,}|\Z", text):
        parts += [text[done : gap.start()], ("\n" if "\n" in gap[0] else " ") * bool(gap[0])]
        places += origin[done : gap.start() + bool(gap[0])]
        done = gap.end()
    text = "".join(parts)
    if len(text) > _HEAD_CHARS + _TAIL_CHARS:
        text = text[:_HEAD_CHARS] + "\n" + text[-_TAIL_CHARS:]
        places = [*places[: _HEAD_CHARS + 1], *places[-_TAIL_CHARS:]]
    return text, [*places, origin[-1]]


def original_span(origin: Sequence[int], start: int, end: int) -> tuple[int, int] | None:
    """Where text[start:end] stands in the reply; None if it is empty."""
    return (origin[start], max(origin[end], origin[end - 1] + 1)) if end > start else None


def blank(text: str, spans: Iterable[tuple[int, int]], sign: str = " ") -> str:
    """The text with `spans` overwritten by `sign`, as long as before."""
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if end > done:
            parts += [text[done : max(start, done)], sign * (end - max(start, done))]
            done = end
    return "".join([*parts, text[done:]])


def plain(text: str) -> str:
    """Markdown, LaTeX and HTML marks blanked; the boxes and tags that hold answers stay."""
    return blank(text, (mark.span() for mark in say.MARKUP.finditer(text)))


def spoken(text: str) -> str:
    """What was said to the asker: thoughts, tool calls, other turns and special tokens blanked."""
    turns = list(say.ASSISTANT_TURN.finditer(text))
    first = turns[-1].end() if turns else 0
    text = blank(text, [(0, first), *_hidden(text, first)], "\n")
    clean = blank(text, (mark.span() for mark in say.SPECIAL.finditer(text)))
    begun = len(clean) - len(clean.lstrip())
    over = say.END_OF_TURN.search(text, begun)
    return blank(clean, [(over.start(), len(text))]) if over else clean


def _hidden(text: str, first: int) -> list[tuple[int, int]]:
    """Spans of thoughts and tool calls. A thought inside a call, or the reverse, opens nothing."""
    hidden: list[tuple[int, int]] = []
    family, since = "", first
    for mark in say.HIDDEN.finditer(text, first):
        kind = "tool" if re.search("tool|function", mark[0], re.I) else "think"
        if mark["open"]:
            family, since = (family, since) if family else (kind, mark.start())
        elif family == kind:
            hidden.append((since, mark.end()))
            family = ""
        elif not family:  # only the closing mark is there: the template had opened the thought
            hidden.append((first if kind == "think" else mark.start(), mark.end()))
    if family:  # an unclosed thought ends where the reply's last words are a whole answer block
        answer = say.LAST_BLOCK.search(text, since)
        hidden.append((since, answer.start() if answer else len(text)))
    return hidden
