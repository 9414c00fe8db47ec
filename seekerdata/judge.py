"""Judge: a model that says how well an answer agrees with the gold answer: 1, 0.5 or 0. A failure is never a score.

It is asked at temperature 0 with a fixed seed, and once in a process for the same content, also by several threads at
once. What cannot be read in one way only is asked again once and else fails as `judge_failed`, to be tried again by the
next run.
"""

import ast
import json
import re
import unicodedata
from asyncio import wrap_future
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Any

from pydantic import AfterValidator

from seekerdata import answer_text as speech
from seekerdata.errors import ItemError
from seekerdata.model_loop import waiting
from seekerdata.models import ModelSettings
from seekerdata.prompts import JUDGE, Prompt
from seekerdata.sample import digest
from seekerdata.verdict import Decision, V, Verdict, decide

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
        """The verdict on one answer; raises as `settle` does."""
        asked = JUDGE.item(question=question, reference=gold, answer=answer)
        return await settle(self.settings, JUDGE, asked, JudgeVerdict, read=_read)


async def settle(
    settings: ModelSettings,
    prompt: Prompt,
    item: str,
    kind: type[V],
    check: Callable[[V], None] = lambda verdict: None,
    read: Callable[[str], V] | None = None,
) -> Decision[V]:
    """A verdict that must not vary. Arguments as of `decide`; whoever asks the same meanwhile waits for its outcome.

    Raises:
        SeekerError: a wrong key, an unknown model or a missing package.
        ItemError: `judge_failed`, to be tried again: no reply, a refusal, or a reply that cannot be read.
    """
    chosen = {"temperature": settings.temperature or 0.0, "seed": settings.seed or 0}
    settings = settings.model_copy(update=chosen)
    decisive = settings.model_dump(mode="json", exclude=set(settings.undecisive))
    key = digest([decisive, prompt.hash, item], length=64)
    while True:
        outcome, mine = _expected(key)
        if not mine:
            with waiting():
                found = await wrap_future(outcome)
            if isinstance(found, Decision):
                return found
            if isinstance(found, ItemError):
                raise ItemError(found.code, found.message, found.retryable)
            continue  # whoever asked was stopped
        found = None
        try:
            found = await decide(settings, prompt, item, kind, check, read)
            return found
        except ItemError as error:
            found = ItemError("judge_failed", f"{error.code}: {error.message}", retryable=True)
            raise found from None
        finally:
            if not isinstance(found, Decision):  # a failure is asked again
                _CACHE.pop(key, None)
            outcome.set_result(found)


def _expected(key: str) -> tuple[Future[Any], bool]:
    """The outcome of a question, and whether the caller is the one to bring it about."""
    with _LOCK:
        if key in _CACHE:
            return _CACHE[key], False
        while len(_CACHE) >= _MOST_CACHED:
            _CACHE.pop(next(iter(_CACHE)))
        outcome = _CACHE[key] = Future[Any]()
        outcome.set_running_or_notify_cancel()  # so that one who waits no longer does not cancel it for the others
        return outcome, True


_CACHE: dict[str, Future[Any]] = {}
"""Outcomes of this process by all that was asked, under way ones too: a Decision, an ItemError, or None for a call
that was stopped. A Decision taken from here says what it took when it was made. What lasts is the ledger's row."""
_LOCK = Lock()
"""Items of one process are judged in several threads."""
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
