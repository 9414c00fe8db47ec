"""Judge: a model that says how well an answer agrees with the gold answer: 1, 0.5 or 0. A failure is never a score.

It is asked at temperature 0 with a fixed seed, and once in a process for the same content. What cannot be read in one
way only is asked again once and else fails as `judge_failed`, to be tried again by the next run.
"""

import ast
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator

from seekerdata import answer_text as speech
from seekerdata.errors import ItemError
from seekerdata.models import ModelSettings
from seekerdata.prompts import JUDGE
from seekerdata.sample import digest
from seekerdata.verdict import Decision, Verdict, decide

SCORES = (1.0, 0.5, 0.0)

_NUMBER = r"(?:0?\.50*|[01](?:\.0+)?)(?!\w|[.,]\d|\s*%)(?:\s*(?:/|out of)\s*1(?:\.0+)?(?![\w.,/]))?"
_ALONE = r"(?!\s*(?:[/⁄~–—-]|,|or|to|and|of|out\s+of)\s*\.?\d)"
"""Not the beginning of a fraction, a range or a list of scores."""
_SCORE = rf"(?<![\w.,/⁄+−-])({_NUMBER}){_ALONE}"
_DRESS = r"[\s*_`\"'\[(]*"
_UNDRESS = r"[\s*_`\"'\[(\])]*"
_NOUN = r"(?:scores?|judge?ments?|verdict|ratings?|grade|评分|得分|分数|判断|结论)"
_IS = r"(?:\s*(?:[:=>]|->|→|\bis\b|\bof\b|\b(?:would|should) be\b)|(?<=\w)\s+(?=[*_`\"'\d.]))"
_LABELLED = re.compile(rf"{_NOUN}{_UNDRESS}{_IS}{_DRESS}{_SCORE}", flags=re.IGNORECASE)
_FINAL = re.compile(rf"\b(?:final|overall)\W+{_LABELLED.pattern}", flags=re.IGNORECASE)
_BOXED = re.compile(rf"(?:\\boxed\{{|<(?:score|answer|verdict|judge?ment)>)\s*{_SCORE}\s*(?:\}}|</)", re.IGNORECASE)
_ANSWER = re.compile(rf"^{_DRESS}(?:(?:my|the|final)\s+)*answer{_DRESS}{_IS}{_DRESS}{_SCORE}", re.IGNORECASE | re.M)
_LINE = re.compile(rf"^[ \t*_`\"'\[(#]*{_SCORE}[ \t*_`\"'\])]*\.?[ \t*_`\"']*$", flags=re.MULTILINE)
_OPENING = re.compile(rf"\A{_DRESS}{_SCORE}[\s*_`\"'\])]*(?:[(:;,–—]|-\s|because\b|since\b|as\b)")
_KEY = re.compile(rf"(?:\w+[_ ])?{_NOUN}", flags=re.IGNORECASE)
_UNCLOSED = re.compile(r"\{[^{}]*\Z")


def _one_of_three(value: float) -> float:
    if value not in SCORES:
        raise ValueError("score must be 1, 0.5 or 0")
    return value


class JudgeVerdict(Verdict):
    """What a judge says of one answer."""

    score: Annotated[float, AfterValidator(_one_of_three)]
    reason: str = ""


@dataclass(frozen=True)
class Judge:
    """A model that compares answers. Its settings' temperature and seed are 0 unless they are stated."""

    settings: ModelSettings

    async def compare(self, question: str, gold: str, answer: str) -> Decision[JudgeVerdict]:
        """The verdict on one answer.

        Raises:
            SeekerError: a wrong key, an unknown model or a missing package.
            ItemError: `judge_failed`, to be tried again: no reply, a refusal, or a reply that cannot be read.
        """
        chosen = {"temperature": self.settings.temperature or 0.0, "seed": self.settings.seed or 0}
        settings = self.settings.model_copy(update=chosen)
        asked = JUDGE.item(question=question, reference=gold, answer=answer)
        key = digest([settings.model_dump(mode="json"), JUDGE.hash, asked], length=64)
        if key not in _CACHE:
            try:
                decision = await decide(settings, JUDGE, asked, JudgeVerdict, read=_read)
            except ItemError as error:
                raise ItemError("judge_failed", f"{error.code}: {error.message}", retryable=True) from None
            while len(_CACHE) >= _MOST_CACHED:
                _CACHE.pop(next(iter(_CACHE)))
            _CACHE[key] = decision
        return _CACHE[key]


_CACHE: dict[str, Decision[JudgeVerdict]] = {}
"""Verdicts of this process by all that was asked. One taken from here says what it took when it was made."""
_MOST_CACHED = 10_000


def read_verdict(reply: str) -> JudgeVerdict | None:
    """The score that a judge's reply commits to, None if there is none or there are several. Never raises.

    JSON with a score is preferred, then a box or tag, a final score, a labelled one, one alone in its line, one that
    opens the reply. The first of these that is found decides; a score outside {1, 0.5, 0} is none.

    Source: our own rules.
    """
    text = unicodedata.normalize("NFKC", speech.spoken(reply or "")).strip()
    stated, reason = _json_scores(text)
    if stated:
        scores = {_number(value) for value in stated}
    else:
        half = _UNCLOSED.search(text)  # a score at the very end of a cut-off object may itself be cut off
        text = re.sub(r"[\d.]+\Z", "", text) if half else text
        found = (pattern.findall(text) for pattern in (_BOXED, _FINAL, _LABELLED, _ANSWER, _LINE, _OPENING))
        scores = {_number(value) for value in next(filter(None, found), ())}
    score = scores.pop() if len(scores) == 1 else None
    return None if score is None else JudgeVerdict(score=score, reason=reason)


def read_scores(reply: str, keys: Sequence[str], lowest: float = 1.0, highest: float = 5.0) -> tuple[float, ...] | None:
    """Several named scores of one reply, in the order of `keys`; None unless each is stated once and in the range.

    Read from JSON, a Python dict or plain lines; of a sum that is written out (`(5+3)/2 = 4`) its result counts.
    """
    text = unicodedata.normalize("NFKC", speech.spoken(reply or ""))
    found = []
    for key in keys:
        stated = re.findall(rf"\b{re.escape(key)}[\"'*`]*\s*[:=]\s*([^,}}\n]*)", text, flags=re.IGNORECASE)
        numbers = [
            re.fullmatch(r"(\d+(?:\.\d+)?)\.?", value.rpartition("=")[2].strip(" \t\r\"'*`")) for value in stated
        ]
        values = {float(number[1]) if number else None for number in numbers}
        value = values.pop() if len(values) == 1 else None
        if value is None or not lowest <= value <= highest:
            return None
        found.append(value)
    return tuple(found)


def _read(reply: str) -> JudgeVerdict:
    verdict = read_verdict(reply)
    if verdict is None:
        raise ValueError("it states no score of 1, 0.5 or 0, or more than one")
    return verdict


def _json_scores(text: str) -> tuple[list[Any], str]:
    """Values of every score key in every JSON object or Python dict of a reply, and the last reason."""
    values: list[Any] = []
    reason = ""
    for pairs in _objects(text):
        values += [value for key, value in pairs if _KEY.fullmatch(key)]
        reason = next((value for key, value in pairs if key == "reason" and isinstance(value, str)), reason)
    return values, reason


def _objects(text: str) -> Iterator[list[tuple[str, Any]]]:
    """The objects of a reply as key-value pairs, keys that stand twice included."""
    decoder = json.JSONDecoder(object_pairs_hook=list)
    end = 0
    for opening in re.finditer(r"\{", text[:20_000]):
        if opening.start() < end:
            continue
        try:
            pairs, end = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            pairs, end = _python_dict(text, opening.start())
        yield [pair for pair in pairs if isinstance(pair, tuple)]


def _python_dict(text: str, start: int) -> tuple[list[tuple[str, Any]], int]:
    """A flat dict in Python's quotes; nothing, and no progress, if it is none."""
    end = text.find("}", start) + 1
    try:
        value = ast.literal_eval(text[start:end])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return [], start
    return [(str(key), entry) for key, entry in value.items()] if isinstance(value, dict) else [], end


def _number(value: Any) -> float | None:
    """A stated score as a number; None if it is none of the three."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    number = re.fullmatch(rf"{_DRESS}{_SCORE}[\s*_`\"'\])]*", str(value))
    return float(re.split(r"[/o]", number[1])[0]) if number else None


@dataclass(frozen=True)
class Agreement:
    """How far two judges agree on the same answers."""

    counts: dict[tuple[float, float], int]
    """How often the first gave one score and the second another."""
    missing: int
    """Answers that at least one of them could not judge; counted in nothing else."""
    exact: float | None
    """Share of equal scores; None without any answer judged by both."""
    kappa: float | None
    """Cohen's kappa, unweighted; None where it is not defined: both always give one and the same score."""


def agreement(first: Sequence[float | None], second: Sequence[float | None]) -> Agreement:
    """Compare the scores that two judges gave to the same answers, in the same order.

    Raises:
        ValueError: not equally many.
    """
    pairs: Iterable[tuple[float | None, float | None]] = list(zip(first, second, strict=True))
    counts = Counter((a, b) for a, b in pairs if a is not None and b is not None)
    rows = counts.total()
    if not rows:
        return Agreement({}, len(first), None, None)
    exact = sum(count for (a, b), count in counts.items() if a == b) / rows
    ours, theirs = Counter[float](), Counter[float]()
    for (a, b), count in counts.items():
        ours[a] += count
        theirs[b] += count
    chance = sum(ours[score] * theirs[score] for score in ours) / rows**2
    kappa = None if chance == 1.0 else (exact - chance) / (1.0 - chance)
    return Agreement(dict(sorted(counts.items())), len(first) - rows, exact, kappa)
