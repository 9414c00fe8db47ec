"""Answer claims: the places where a reply names a choice in so many words, and how firmly.

A denied, conditional or asked choice (`not A`, `if it were A`, `A?`) is no claim, nor is a letter that only
stands in an option's own text (`Vitamin C`).
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from seekerdata import answer_phrases as say
from seekerdata.answer_options import Options, Reading, mentions, quoted_at, quoted_before, tokens

FINAL, PLAIN, PASSING = 3, 2, 1
"""How firmly: called final; committed to; hedged or only named."""

_Item = TypeVar("_Item")
_LOOKALIKES = str.maketrans("АСЕΑΒ", "ACEAB")
"""Cyrillic and Greek capitals that are no other letter; a Russian В could be the second or the third."""
_LETTER = re.compile(
    rf"[\s\"'“(\[{{<【「『|]*+(?P<letter>[A-Za-zАСЕΑΒ])"
    rf"(?![{say.ALPHA}\d_]|'(?!d[ıiuü]r)\w|-[{say.ALPHA}\d]|\.[A-Za-z]\.|[+#%])"
)
_ORDINAL = re.compile(r"(?:the\s+)?(?P<word>first|second|third|fourth|last)\s+(?:option|choice|answer)\b", re.I)
_STOPPED = re.compile(r"(?:'d[ıiuü]r)?[)\]}>\"'”\s]*(?:\Z|[.,;:!?\n)。;])")
_ASKED = re.compile(r"[)\]}>\"'”\s]*\?")
_BETWEEN = re.compile(r"[\s)\]}>.:,|=–—\-\"'“(、]*")
_HEAD_MARK = re.compile(r"\s*[.)\]:]\s*[^\s\n]")
_HEAD = re.compile(
    r"(?:\A|\n)\s*+(?:[-•+]\s+|\d{1,2}[.)]\s+)?[(\[]?(?P<letter>[A-Z])[)\]]?"
    r"\s*(?:[.:),、|=\]](?![A-Za-z]\.)|[–—-](?=\s)|\n|\Z|(?=\((?![^()\n]*\b[A-Z]\b)[^()\n]{1,80}\)\W*(?:\n|\Z)))"
)
_INLINE_HEAD = re.compile(rf"(?<![{say.ALPHA}\d'])\(?(?P<letter>[A-Z])\s*(?P<mark>[.):=])\s*\S")
_LONE = re.compile(rf"(?<![{say.ALPHA}\d_-])(?<![{say.ALPHA}]')[A-Z](?![{say.ALPHA}\d_+#-]|'\w)")
_BRACKETED = re.compile(r"[(\[](?P<letter>[A-Z])[)\]]")
_ANYTHING = re.compile("")


class Claim(NamedTuple):
    start: int
    end: int
    letters: tuple[str, ...]
    """More than one: the words name several choices, or a letter with another option's text."""
    rank: int
    rule: str


def decisive_claim(text: str, options: Options) -> Claim | None:
    """The last of the firmest claims; all of them at once, if another one of them contradicts it and no word
    takes that one back (`wait`, `so`). What is taken back after the last is taken back, too."""
    found = claims(text, options)
    if not found:
        return None
    firmest = [claim for claim in found if claim.rank == max(c.rank for c in found)]
    last = firmest[-1]
    rivals = [c for c in firmest if not options.kinds(last.letters) <= options.kinds(c.letters)]
    if rivals and not _taken_back(text, rivals[-1], last):
        return _contradiction(firmest)
    for later in (claim for claim in found if claim.start >= last.end):
        if options.kinds(later.letters) == options.kinds(last.letters):
            continue
        if say.CORRECTS.search(text, last.end, later.end):
            last = later
        elif later.rank > PASSING:
            return _contradiction([last, later])
    return last


def _taken_back(text: str, earlier: Claim, last: Claim) -> bool:
    near = max(earlier.end, last.start - 60)
    corrected = say.CORRECTS.search(text, earlier.end, last.end)
    return bool(corrected or say.CONCLUDES.search(text, near, last.end))


def _contradiction(rivals: list[Claim]) -> Claim:
    letters = tuple(dict.fromkeys(letter for claim in rivals for letter in claim.letters))
    return Claim(rivals[0].start, rivals[-1].end, letters, rivals[-1].rank, "contradiction")


def claims(text: str, options: Options) -> list[Claim]:
    """All claims of a text in the order they stand; of two that overlap, the longer."""
    finders = (_stated, _clauses, _judged, _headed, _bracketed)
    found = sorted(claim for find in finders for claim in find(text, options))
    texts = [hit for hit in mentions(text, tokens(text), options) if " " in text[hit.start : hit.end]]
    spans = [(claim.start, claim.end) for claim in found]
    inner = {c for c in found for a, b in spans if a <= c.start and c.end <= b and (a, b) != (c.start, c.end)}
    return [c for c in found if c not in inner and not any(hit.start <= c.start < hit.end for hit in texts)]


def _edge(items: Iterable[_Item]) -> list[_Item]:
    """The first and last of many: what stands between them cannot change the verdict."""
    kept = list(items)
    return kept if len(kept) <= 30 else kept[:10] + kept[-20:]


def _stated(text: str, options: Options) -> Iterator[Claim]:
    """`The answer is (B)`, `Answer: Blue`, `I choose b`, `option C`."""
    for cue in _edge(say.COMMIT.finditer(text)):
        opened = cue.start("link")
        linked = bool(cue["verb"] or say.LINKED.search(text, opened, cue.end()))
        found = _choice_at(text, cue.start("fill"), options, named=bool(cue["option"]))
        found = found or _choice_at(text, cue.end(), options, named=bool(cue["option"]))
        rank = PLAIN if linked or cue["noun"] else PASSING
        if not found and not cue["verb"] and (far := say.FAR_LINK.match(text, opened)):
            found, rank = letter_at(text, far.end(), options), PASSING
            found = found if found and say.SENTENCE_END.match(text, found.end) else None
        if not found or _denied(text, cue.start()) or _ASKED.match(text, found.end):
            continue
        if (cue["verb"] or not linked) and say.DENIED_AFTER.match(text, found.end):
            continue
        listing = cue["option"] and cue["option"].lower().endswith("s") and _HEAD_MARK.match(text, found.end)
        if listing or not (linked or cue["option"] or _STOPPED.match(text, found.end)):
            continue
        yield _claim(text, cue.start(), found, rank, "statement", options)


def _clauses(text: str, options: Options) -> Iterator[Claim]:
    """A clause that is only a letter, or, as the reply's last words, only an option's text."""
    clauses = list(say.CLAUSE.finditer(text))
    for clause in _edge(m for m in clauses if _LETTER.match(text, m.end())):
        found = letter_at(text, clause.end(), options)
        if not found or not set(found.letters) <= set(options.raw) or _ASKED.match(text, found.end):
            continue
        if clause["ending"] and any(_LONE.search(raw[1:]) for raw in options.raw.values()):
            continue  # `his blood type is A`: letters mean other things in this item
        if _HEAD_MARK.match(text, found.end) and not clause["fill"].strip() and clause[0] != ",":
            continue  # the head of a line, read there
        if say.SENTENCE_END.match(text, found.end) and not _denied(text, clause.start("fill")):
            found, rank = _with_earlier(text, found, options), PASSING if clause["ending"] else PLAIN
            yield _claim(text, clause.start("fill"), found, rank, "clause", options)
    for clause in clauses[-4:]:
        found = quoted_at(text, clause.end(), options, say.SENTENCE_END)
        if not found or _ASKED.match(text, found.end) or re.search(r"\w", text[found.end :]):
            continue
        if say.ASSERTS.search(clause["fill"]):
            yield _claim(text, clause.start("fill"), found, PASSING, "clause", options)


def _judged(text: str, options: Options) -> Iterator[Claim]:
    """`B is the correct answer`, `B最正确`, `only B fits`; never `Plan B is best`."""
    hits = ((m, say.RIGHT.match(text, m.end()) or say.FITS.match(text, m.end())) for m in _LONE.finditer(text))
    for letter, right in _edge((m, right) for m, right in hits if right):
        before = text[max(0, letter.start() - 40) : letter.start()]
        leads = (say.LEADS_TO if right.re.pattern == say.RIGHT.pattern else say.ONLY).search(before)
        if letter[0] in options.raw and leads and not _denied(text, letter.start()):
            found = Reading((letter[0],), letter.start(), right.end())
            if not before.rstrip().endswith(","):  # `between A and B, B is better`
                found = _with_earlier(text, found, options)
            yield _claim(text, letter.start(), found, PLAIN, "statement", options)


def _headed(text: str, options: Options) -> Iterator[Claim]:
    """`B. Blue` at the head of a line; several such lines are a list of options, not a choice."""
    every = [Reading((m["letter"],), m.start("letter"), m.end("letter")) for m in _edge(_HEAD.finditer(text))]
    heads = [head for head in every if head.letters[0] in options.raw]
    if every and every[0] not in heads and not text[: every[0].start].strip(" \n(["):
        place = _BETWEEN.match(text, every[0].end)
        if place and (quoted := quoted_at(text, place.end(), options, say.SENTENCE_END)):
            letters = every[0].letters + quoted.letters  # `E. Blue` where there is no E
            yield Claim(every[0].start, quoted.end, letters, PASSING, "letter_outside")
    if len(options.kinds(h.letters[0] for h in heads)) > 1:
        heads = [head for head in heads if not say.VERDICT_WRONG.match(text, head.end)]
    heads = [head for head in heads if not say.DENIED_AFTER.match(text, head.end)]
    listed = {head.letters[0] for head in heads}
    if len(every) == 1 and heads:
        listed |= _listed_inline(text, options)
    if len(options.kinds(listed)) > 1:
        yield Claim(heads[0].start, heads[-1].end, tuple(sorted(listed)), PASSING, "options_listed")
        return
    for head in heads:
        if found := _joined(text, head, options):
            yield _claim(text, head.start, found, PLAIN, "letter_head", options)


def _listed_inline(text: str, options: Options) -> set[str]:
    """The letters of a list in one line: `A. Red B. Blue C. Green`, `A: 20%, B: 80%`."""
    marks = [m for m in _INLINE_HEAD.finditer(text) if m["letter"] in options.raw]
    paired = {m["letter"] for m in marks if m["mark"] in ":="}
    every = {m["letter"] for m in marks}
    return every if len(paired) > 1 or len(every) >= min(3, len(options.raw)) else set()


def _bracketed(text: str, options: Options) -> Iterator[Claim]:
    """`... blue (B).`"""
    for mark in _edge(_BRACKETED.finditer(text)):
        known = mark["letter"] in options.raw and say.SENTENCE_END.match(text, mark.end())
        if known and not _denied(text, mark.start()):
            found = _with_earlier(text, Reading((mark["letter"],), *mark.span()), options)
            yield _claim(text, mark.start(), found, PASSING, "bracketed", options)


def _claim(text: str, start: int, found: Reading, rank: int, rule: str, options: Options) -> Claim:
    """Add the option's text that follows a letter, and weigh the words before."""
    if len(found.letters) == 1:
        place = _BETWEEN.match(text, found.end)
        ended = _ANYTHING if rule == "letter_head" else say.SENTENCE_END
        quoted = quoted_at(text, place.end() if place else found.end, options, ended)
        if quoted and not _denied(text, quoted.start, quoted.end):
            other = options.kinds(quoted.letters) != options.kinds(found.letters)
            letters = found.letters + quoted.letters if other else found.letters
            found = Reading(letters, found.start, quoted.end)
    start += len(text[start : found.end]) - len(text[start : found.end].lstrip())
    clause = re.split(r"[.!?,;\n。]|\bbut\b", text[max(0, start - 60) : start])[-1]
    if say.HEDGES.search(clause + text[start : found.end]):
        rank = min(rank, PASSING)
    elif rank == PLAIN and say.CALLED_FINAL.search(text[max(0, start - 12) : found.end]):
        rank = FINAL
    return Claim(start, found.end, found.letters, rank, rule)


def _choice_at(text: str, at: int, options: Options, *, named: bool) -> Reading | None:
    """The choice that stands exactly at a place: an option's text, or one or more letters."""
    quoted = quoted_at(text, at, options, say.ENDED)
    lettered = letter_at(text, at, options, lower=True, named=named)
    return quoted if quoted and (not lettered or quoted.end > lettered.end) else lettered


def letter_at(text: str, at: int, options: Options, *, lower: bool = False, named: bool = False) -> Reading | None:
    """A letter, or several joined by `and`, `or`, commas; lower case only where words stop.

    Args:
        named: the word `option` stands before, so that `A` cannot be an article.
    """
    if ordinal := _ORDINAL.match(text, at):
        places = dict(zip(("first", "second", "third", "fourth"), options.raw, strict=False))
        letter = (places | {"last": max(options.raw)}).get(ordinal["word"].lower())
        return Reading((letter,), *ordinal.span()) if letter else None
    match = _LETTER.match(text, at)
    if not match:
        return None
    letter, end = match["letter"].translate(_LOOKALIKES), match.end()
    if say.DENIED_LAST.match(text, end):
        return None
    if letter.islower() and not (lower and _STOPPED.match(text, end)):
        return None
    goes_on = re.match(r"\s+[a-z]", text[end : end + 9])
    if goes_on and letter in "AI" and not (named or say.JOINED.match(text, end) or say.ENDED.match(text, end)):
        return None  # `A man ...`, `I ...`
    return _joined(text, Reading((letter.upper(),), match.start("letter"), end), options)


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
    if joined and joined[1] in options.raw and not say.DENIED_BEFORE.search(before[: joined.start()]):
        return found._replace(letters=(joined[1], *found.letters))
    quoted = quoted_before(text, found.start, options)
    if quoted and options.kinds((quoted,)) != options.kinds(found.letters):
        return found._replace(letters=(quoted, *found.letters))
    return found


def _denied(text: str, start: int, end: int | None = None) -> bool:
    """Is what stands here denied, doubted or supposed by the words right before (or, given `end`, after)?"""
    if say.DENIED_BEFORE.search(text[max(0, start - 70) : start]):
        return True
    return end is not None and bool(say.DENIED_AFTER.match(text, end) or _ASKED.match(text, end))
