"""Answer claims: the places where a reply names a choice in so many words, and how firmly.

A denied, conditional or asked choice (`not A`, `if it were A`, `A?`) is no claim.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from seekerdata import answer_phrases as say
from seekerdata.answer_text import Options, Token, lead, tokens

FINAL, PLAIN, PASSING = 3, 2, 1
"""How firmly: called final; committed to; hedged or only named."""

_Item = TypeVar("_Item")
_LOOKALIKES = str.maketrans("АСЕΑΒ", "ACEAB")  # Cyrillic and Greek capitals that are no other letter
_LETTER = re.compile(
    rf"[\s\"'“(\[{{<【「『|]*+(?P<letter>[A-Za-zАСЕΑΒ])"
    rf"(?![{say.ALPHA}\d_]|'(?!d[ıiuü]r)\w|-[{say.ALPHA}\d]|\.[A-Za-z]\.|[+#%])"
)
_STOPPED = re.compile(r"(?:'d[ıiuü]r)?[)\]}>\"'”\s]*(?:\Z|[.,;:!?\n)。;])")
_ASKED = re.compile(r"[)\]}>\"'”\s]*\?")
_ARTICLE_USE = re.compile(r"\s+[a-z]")
_BETWEEN = re.compile(r"[\s)\]}>.:,|=–—\-\"'“(、]*")
_TOGETHER = re.compile(r"[\s,/&]*(?:and|or|nor)?\s*(?:the\s+|an?\s+)?", re.I)
_LINE_HEAD = re.compile(r"\s*[.)\]:]\s*[^\s\n]")
_ADJOINING = re.compile(r"[\s(\[:,=|/–—-]*")
_HEAD = re.compile(
    r"(?:\A|\n)\s*+(?:[-•+]\s+|\d{1,2}[.)]\s+)?(?P<letter>[(\[]?[A-Z][)\]]?)"
    r"\s*(?:[.:),、|=\]](?![A-Za-z]\.)|[–—-](?=\s)|\n|\Z)"
)
_INLINE_HEAD = re.compile(rf"(?<![{say.ALPHA}\d'])\(?([A-Z])\s*[.):=]\s*\S")
_LONE = re.compile(rf"(?<![{say.ALPHA}\d'_-])[A-Z](?![{say.ALPHA}\d'_+#-])")
_BRACKETED = re.compile(r"[(\[](?P<letter>[A-Z])[)\]]")


class Claim(NamedTuple):
    start: int
    end: int
    letters: tuple[str, ...]
    """More than one: the words name several choices, or a letter with another option's text."""
    rank: int
    rule: str


class Reading(NamedTuple):
    letters: tuple[str, ...]
    start: int
    end: int


def claims(text: str, options: Options) -> list[Claim]:
    """All claims of a text in the order they stand."""
    found = [
        *_stated(text, options),
        *_clauses(text, options),
        *_judged(text, options),
        *_headed(text, options),
        *_bracketed(text, options),
    ]
    return sorted(found)


def _edge(items: Iterable[_Item]) -> list[_Item]:
    """The first and last of many: what stands between them cannot change the verdict."""
    kept = list(items)
    return kept if len(kept) <= 60 else kept[:20] + kept[-40:]


def _stated(text: str, options: Options) -> Iterator[Claim]:
    """`The answer is (B)`, `Answer: Blue`, `I choose b`, `option C`."""
    for cue in _edge(say.COMMIT.finditer(text)):
        opened = cue.start("link")
        linked = bool(cue["verb"] or say.LINKED.search(text, opened, cue.end()))
        found = None
        for place in (cue.start("fill"), cue.end()):
            found = found or read_at(text, place, options, lower=True, named=bool(cue["option"]))
        far = say.FAR_LINK.match(text, opened) if not found and not cue["verb"] else None
        if far:
            found = read_at(text, far.end(), options, final=True)
        if not found or _denied(text, cue.start(), None if linked else found.end):
            continue
        listing = cue["option"] and _LINE_HEAD.match(text, found.end) and not cue["fill"].strip()
        if _ASKED.match(text, found.end) or (listing and cue["option"].lower().endswith("s")):
            continue
        if cue["verb"] and say.DENIED_AFTER.match(text, found.end):
            continue
        if not linked and not cue["option"] and not _STOPPED.match(text, found.end):
            continue
        rank = PLAIN if linked or cue["noun"] else PASSING
        yield _claim(text, cue.start(), found, rank, "statement", options)


def _clauses(text: str, options: Options) -> Iterator[Claim]:
    """A clause that is only a letter, or - as the reply's last words - only an option's text."""
    clauses = list(say.CLAUSE.finditer(text))
    lettered = (m for m in clauses if _LETTER.match(text, m.end()))
    for clause in _edge(lettered):
        found = letter_at(text, clause.end(), options)
        if not found or not set(found.letters) <= set(options.raw):
            continue
        if _LINE_HEAD.match(text, found.end) and not clause["fill"].strip() and clause[0] != ",":
            continue  # a head of a line, read there
        asked = _ASKED.match(text, found.end) or not say.SENTENCE_END.match(text, found.end)
        if not asked and not _denied(text, clause.start("fill")):
            found = _with_earlier(text, found, options)
            yield _claim(text, clause.start("fill"), found, PLAIN, "clause", options)
    for clause in clauses[-4:]:
        found = option_at(text, clause.end(), options, say.SENTENCE_END)
        if found and _ASKED.match(text, found.end):
            continue
        if found and say.ASSERTS.search(clause["fill"]) and not re.search(r"\w", text[found.end :]):
            yield _claim(text, clause.start("fill"), found, PASSING, "clause", options)


def _judged(text: str, options: Options) -> Iterator[Claim]:
    """`B is the correct answer`, `B最正确`; never `Plan B is best`."""
    hits = (m for m in _LONE.finditer(text) if say.RIGHT.match(text, m.end()))
    for letter in _edge(hits):
        before = text[max(0, letter.start() - 40) : letter.start()]
        right = say.RIGHT.match(text, letter.end())
        if letter[0] not in options.raw or not right or not say.LEADS_TO.search(before):
            continue
        if not _denied(text, letter.start()):
            found = Reading((letter[0],), letter.start(), right.end())
            found = _with_earlier(text, found, options)
            yield _claim(text, letter.start(), found, PLAIN, "statement", options)


def _headed(text: str, options: Options) -> Iterator[Claim]:
    """`B. Blue` at the head of a line; several such lines are a list of options, not a choice."""
    outside = _HEAD.match(text)
    if outside and outside["letter"].strip("()[]") not in options.raw:
        quoted = option_at(text, outside.end(), options, say.SENTENCE_END)
        if quoted:  # `E. Blue` where there is no E
            letters = (outside["letter"].strip("()[]"), *quoted.letters)
            yield Claim(outside.start("letter"), quoted.end, letters, PASSING, "letter_outside")
    heads = [
        (m.start("letter"), m.end("letter"), m["letter"].strip("()[]"))
        for m in _edge(_HEAD.finditer(text))
        if m["letter"].strip("()[]") in options.raw
    ]
    if len(options.kinds(h[2] for h in heads)) > 1:
        heads = [h for h in heads if not say.VERDICT_WRONG.match(text, h[1])]
    heads = [h for h in heads if not say.DENIED_AFTER.match(text, h[1])]
    if not heads:
        return
    listed = {h[2] for h in heads}
    if not text[: heads[0][0]].strip():
        inline = {m[1] for m in _INLINE_HEAD.finditer(text) if m[1] in options.raw}
        listed |= inline if len(inline) >= min(3, len(options.raw)) else set()
    if len(options.kinds(listed)) > 1:
        yield Claim(heads[0][0], heads[-1][1], tuple(sorted(listed)), PASSING, "options_listed")
        return
    for start, end, letter in heads:
        if found := _joined(text, Reading((letter,), start, end), options):
            yield _claim(text, start, found, PLAIN, "letter_head", options)


def _bracketed(text: str, options: Options) -> Iterator[Claim]:
    """`... blue (B).`"""
    for mark in _edge(_BRACKETED.finditer(text)):
        if mark["letter"] in options.raw and say.SENTENCE_END.match(text, mark.end()):
            if not _denied(text, mark.start()):
                found = Reading((mark["letter"],), mark.start(), mark.end())
                found = _with_earlier(text, found, options)
                yield _claim(text, mark.start(), found, PASSING, "bracketed", options)


def _claim(text: str, start: int, found: Reading, rank: int, rule: str, options: Options) -> Claim:
    """Add the option's text that follows a letter, and weigh the words before."""
    if len(found.letters) == 1:
        place = _BETWEEN.match(text, found.end)
        quoted = option_at(text, place.end() if place else found.end, options, say.SENTENCE_END)
        if quoted and not _denied(text, quoted.start, quoted.end):
            other = options.kinds(quoted.letters) != options.kinds(found.letters)
            letters = found.letters + quoted.letters if other else found.letters
            found = Reading(letters, found.start, quoted.end)
    sentence = re.split(r"[.!?,;\n。]|\bbut\b", text[max(0, start - 60) : start])[-1]
    if say.HEDGES.search(sentence + text[start : found.end]):
        rank = min(rank, PASSING)
    elif rank == PLAIN and say.CALLED_FINAL.search(text[max(0, start - 12) : found.end]):
        rank = FINAL
    return Claim(start, found.end, found.letters, rank, rule)


def read_at(
    text: str,
    at: int,
    options: Options,
    *,
    lower: bool = False,
    named: bool = False,
    final: bool = False,
) -> Reading | None:
    """The choice that stands exactly at a place: an option's text, or one or more letters."""
    ended = say.SENTENCE_END if final else say.ENDED
    quoted = option_at(text, at, options, ended)
    lettered = letter_at(text, at, options, lower=lower, named=named)
    if final and lettered and not ended.match(text, lettered.end):
        lettered = None
    if quoted and (not lettered or quoted.end > lettered.end):
        return quoted
    return lettered


def letter_at(text: str, at: int, options: Options, *, lower: bool = False, named: bool = False) -> Reading | None:
    """A letter, or several joined by `and`, `or`, commas; lower case only where words stop."""
    match = _LETTER.match(text, at)
    if not match:
        return None
    letter = match["letter"].translate(_LOOKALIKES)
    if letter.islower():
        if not lower or not _STOPPED.match(text, match.end()):
            return None
        letter = letter.upper()
    elif letter in "AI" and not named and _ARTICLE_USE.match(text, match.end()):
        goes_on = say.JOINED.match(text, match.end()) or say.ENDED.match(text, match.end())
        if not goes_on:  # `A man ...`, `I ...`
            return None
    return _joined(text, Reading((letter,), match.start("letter"), match.end()), options)


def _joined(text: str, found: Reading, options: Options) -> Reading | None:
    """The letters joined on after the first; None if they are denied together."""
    letters, end = list(found.letters), found.end
    while (more := say.JOINED.match(text, end)) and more["letter"] in options.raw:
        letters.append(more["letter"])
        end = more.end()
    if len(letters) > 1 and say.DENIED_AFTER.match(text, end):
        return None
    return Reading(tuple(dict.fromkeys(letters)), found.start, end)


def _with_earlier(text: str, found: Reading, options: Options) -> Reading:
    """Letters joined on before (`A and`), or another option's text just before (`Green - B`)."""
    before = text[max(0, found.start - 24) : found.start]
    joined = say.JOINED_BEFORE.search(before)
    if joined and joined[1] in options.raw:
        if not say.DENIED_BEFORE.search(before[: joined.start()]):
            return Reading((joined[1], *found.letters), found.start, found.end)
    first = max(0, found.start - options.reach)
    said = tokens(text, first, found.start)
    if said and _ADJOINING.fullmatch(text, said[-1].end, found.start):
        for letter, forms in options.forms.items():
            for form in forms:
                quoted = tuple(token.word for token in said[-len(form) :]) == form
                if quoted and options.kinds((letter,)) != options.kinds(found.letters):
                    return Reading((letter, *found.letters), found.start, found.end)
    return found


def option_at(text: str, at: int, options: Options, ended: re.Pattern[str]) -> Reading | None:
    """The longest option whose text stands exactly at a place and ends there with a pause."""
    found = tokens(text, at, min(len(text), at + options.reach))
    said = [token.word for token in found]
    best: Reading | None = None
    for skip in {0, lead(said)} if said else ():
        for letter, forms in options.forms.items():
            for form in forms:
                size = len(form)
                if tuple(said[skip : skip + size]) != form:
                    continue
                end = found[skip + size - 1].end
                if ended.match(text, end) and (best is None or end > best.end):
                    best = Reading((letter,), found[skip].start, end)
    return best


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
        for form in forms:
            if len(form) == 1 and form[0] in say.POLAR:
                continue
            needle, at = f" {' '.join(form)} ", -1
            while (at := line.find(needle, at + 1)) >= 0:
                first = starts[at]
                reading = Reading((letter,), found[first].start, found[first + len(form) - 1].end)
                hits.setdefault(form, []).append(reading)
    kept = [form for form in hits if not any(_inside(form, other) for other in hits)]
    return sorted((hit for form in kept for hit in hits[form]), key=lambda hit: hit.start)


def _inside(form: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return len(form) < len(other) and f" {' '.join(form)} " in f" {' '.join(other)} "


def standing(text: str, hits: list[Reading]) -> list[Reading]:
    """The mentions that are not denied, neither alone nor joined with the next (`A and B are not`)."""
    kept: list[Reading] = []
    denied, following = False, len(text)
    for hit in reversed(hits):
        joined = _TOGETHER.fullmatch(text, hit.end, max(hit.end, following))
        denied = _denied_mention(text, hit) or bool(denied and joined)
        kept += [] if denied else [hit]
        following = hit.start
    return kept[::-1]


def _denied_mention(text: str, hit: Reading) -> bool:
    """Is a text denied anywhere before in its clause, or right after it, or asked about?"""
    clause = re.split(r"[.,;:!?\n。，；]|\bbut\b|但", text[max(0, hit.start - 160) : hit.start])[-1]
    if say.DENIES.search(clause) or say.DENIED_AFTER.match(text, hit.end):
        return True
    return bool(re.match(r"[^.!\n。]{0,120}?\?", text[hit.end : hit.end + 130]))


def _denied(text: str, start: int, end: int | None = None) -> bool:
    """Is what stands here denied, doubted or supposed by the words right before (or after)?"""
    if say.DENIED_BEFORE.search(text[max(0, start - 70) : start]):
        return True
    return end is not None and bool(say.DENIED_AFTER.match(text, end) or _ASKED.match(text, end))
