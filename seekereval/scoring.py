"""Grading: what a reply is and what it is worth, for every item, whatever happened. The headline counts them all.

No answer is its own state, worth nothing, never a default letter and never left out; a server's words and a judge's
failure are no answers. `seekerdata/answers.py` reads replies; VERSION belongs beside every number.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from seekerdata.answers import READER_VERSION, Answer, AnswerState, is_choice_right, read_choice, read_text
from seekerdata.errors import ItemError, SeekerError
from seekerdata.judge import Judge
from seekerdata.models import ModelSettings
from seekerdata.reward import accuracy_by_rule
from seekereval import mlvu_judge
from seekereval.compat import RULES, Column, column
from seekereval.intervals import Interval, clustered
from seekereval.item import Frozen, Graded, Item, State
from seekereval.tool_use import ToolUse, tool_use

VERSION = f"1.0.0, reader {READER_VERSION}"
"""Bumped whenever the same reply may be worth something else; numbers of different versions are not comparable."""

_STATES = {
    AnswerState.FOUND: State.ANSWERED,
    AnswerState.MISSING: State.MISSING,
    AnswerState.AMBIGUOUS: State.AMBIGUOUS,
    AnswerState.REFUSED: State.REFUSED,
}
_ERROR_CHARS = 300


# -- one reply -------------------------------------------------------------------------------------
def grade(item: Item, reply: str, *, truncated: bool = False, error: str = "", **facts: Any) -> Graded:
    """Grade one reply by rule: a choice by its letter, any letter of the gold option's very text; an open answer only
    if it is word for word the gold one, and else as one that no judge has seen (`judge_failed`).

    Args:
        item: what was asked.
        reply: all that the model said at last.
        truncated: a limit of tokens, context or rounds ended it; it counts as an answer if it had given one by then.
        error: why there is no reply; then `reply` is kept and never read.
        facts: other fields of `Graded`: calls, frames, seconds, usage.
    """
    graded = _read(item, reply, truncated, error, facts)
    if not item.is_open or graded.state is not State.ANSWERED or graded.score:
        return graded
    return _unjudged(graded, "no judge was named")


async def grade_open(
    item: Item, reply: str, judge: ModelSettings, *, truncated: bool = False, error: str = "", **facts: Any
) -> Graded:
    """Grade one reply as `grade` does, and let a judge say what an open answer in other words is worth: 1, 0.5 or 0,
    or MLVU's ratings (`scores`). A judge that fails leaves the state `judge_failed`.

    Raises:
        SeekerError: a wrong key, an unknown model or a missing package: no item could be judged.
    """
    graded = _read(item, reply, truncated, error, facts)
    if not item.is_open or graded.state is not State.ANSWERED or graded.score:
        return graded
    try:
        if mlvu_judge.is_rated(item):
            scores = await mlvu_judge.rate(item, graded.answer, judge)
            said = ", ".join(f"{name} {value:g}" for name, value in scores.items())
            return graded.model_copy(update={"score": mlvu_judge.worth(scores), "scores": scores, "rule": said})
        verdict = (await Judge(judge).compare(item.question, item.answer, graded.answer)).verdict
    except ItemError as failure:
        return _unjudged(graded, failure.message)
    said = f"judge {verdict.score:g}" + (f": {' '.join(verdict.reason.split())}" if verdict.reason else "")
    return graded.model_copy(update={"score": verdict.score, "rule": said})


def _read(item: Item, reply: str, truncated: bool, error: str, facts: dict[str, Any]) -> Graded:
    """What the reply says, and its score as far as words can tell."""
    if error:
        return Graded(item=item, state=State.ERROR, reply=reply, error=error, **facts)
    in_words = item.is_open or (item.scoring == "rule" and not item.options)
    if in_words and accuracy_by_rule(reply, item.answer):
        return _right_in_words(item, reply, facts)
    answer = read_text(reply) if in_words else read_choice(reply, list(item.options))
    if answer.rule == "error_text":  # another tool wrote down what its server said
        return Graded(item=item, state=State.ERROR, reply=reply, error=reply[:_ERROR_CHARS], **facts)
    state = State.TRUNCATED if truncated and not _finished(item, answer) else _STATES[answer.state]
    if state is not State.ANSWERED:
        return Graded(item=item, state=state, reply=reply, rule=answer.rule, **facts)
    if not in_words:
        score, rule = float(is_choice_right(answer, item.answer)), answer.rule
        if score and answer.letter != item.answer:
            rule += f" (its option is the text of {item.answer} again)"
        return Graded(item=item, state=state, reply=reply, answer=answer.letter or "", score=score, rule=rule, **facts)
    if accuracy_by_rule(answer.text or "", item.answer):
        return _right_in_words(item, reply, facts)
    return Graded(item=item, state=state, reply=reply, answer=answer.text or "", rule=answer.rule, **facts)


def _right_in_words(item: Item, reply: str, facts: dict[str, Any]) -> Graded:
    """An open answer that is the gold one word for word: no judge need be asked."""
    scores = mlvu_judge.best(item) if mlvu_judge.is_rated(item) else {}
    own = {"state": State.ANSWERED, "reply": reply, "answer": item.answer, "score": 1.0, "scores": scores}
    return Graded(item=item, rule="same_words", **own, **facts)


def _finished(item: Item, answer: Answer) -> bool:
    """Whether a reply that was cut off had given its answer by then, not only words on the way to one."""
    on_the_way = {"whole_reply"} if item.is_open else {"option_text", "start_of_option"}
    return answer.state is AnswerState.FOUND and answer.rule not in on_the_way


def _unjudged(graded: Graded, why: str) -> Graded:
    return graded.model_copy(update={"state": State.JUDGE_FAILED, "error": why})


# -- all replies of a run --------------------------------------------------------------------------
class Part(Frozen):
    """The mean score of some items in percent; `ci95` is clustered by video, None if they are of one video."""

    n: int
    clusters: int
    score: float
    stderr: float | None
    ci95: tuple[float, float] | None


class Summary(Frozen):
    """What a run scored. `total` is the headline: every item counts, without an answer as 0; None where the right
    answers are not known here: then nothing is claimed."""

    n: int
    total: Part | None
    at_most: float | None
    """The headline if every answer on which the judge failed were right."""
    states: dict[str, int]
    """How many items are in each state; every state is named."""
    answered_only: Part | None
    """Of those that answered: what some papers print. Read it with the number of those that did not."""
    defect_free: Part | None
    """Without the items of which a defect is known."""
    groups: dict[str, dict[str, Part]]
    """By grouping, then by the group's name, in the order of the items."""
    compat: dict[str, Column]
    """The same replies as each peer counts them, with its own denominator."""
    tools: ToolUse
    seconds_per_item: float
    tokens_per_item: dict[str, float] = Field(default_factory=dict)
    """By the names that the server uses."""

    def facts(self) -> dict[str, Any]:
        """The summary as one JSON object; numbers with six decimals, percent where they are scores."""
        total, own = self.total, dict[str, Any](n=self.n, clusters=0, headline=None, stderr=None)
        if total:
            own |= {"clusters": total.clusters, "headline": total.score, "stderr": total.stderr}
        columns = {
            "compat": {rule: found.accuracy for rule, found in self.compat.items()},
            "compat_n": {rule: found.n for rule, found in self.compat.items()},
        }
        rest = self.model_dump(mode="json", exclude={"n", "total", "compat"})
        return _rounded({**own, "ci95": total and total.ci95, **rest, **columns})


def summary(graded: Sequence[Graded], groups: Sequence[str], compat: Sequence[str] = tuple(RULES)) -> Summary:
    """Sum a run up.

    Args:
        graded: every item of the run.
        groups: names of the groupings to split it by; an item without one is not in its groups.
        compat: names of the peers' rules to read its multiple-choice replies by.

    Raises:
        SeekerError: there are no items, or no such rule.
    """
    if not graded:
        raise SeekerError("there is nothing to sum up: no item was run")
    scored = [row for row in graded if row.item.is_scored]
    total = _part(scored) if scored else None
    answered = [row for row in scored if row.state is State.ANSWERED]
    sound = [row for row in scored if not row.item.defects]
    unjudged = sum(row.state is State.JUDGE_FAILED for row in scored)
    tokens = dict.fromkeys(name for row in graded for name in row.usage)
    return Summary(
        n=len(graded),
        total=total,
        at_most=total and total.score + 100 * unjudged / total.n,
        states={state.value: sum(row.state is state for row in graded) for state in State},
        answered_only=_part(answered) if answered else None,
        defect_free=_part(sound) if sound else None,
        groups={grouping: _split(scored, grouping) for grouping in groups},
        compat={rule: column(rule, graded) for rule in compat},
        tools=tool_use(graded),
        seconds_per_item=sum(row.seconds for row in graded) / len(graded),
        tokens_per_item={name: sum(row.usage.get(name, 0) for row in graded) / len(graded) for name in tokens},
    )


def _split(graded: Iterable[Graded], grouping: str) -> dict[str, Part]:
    groups: dict[str, list[Graded]] = {}
    for row in graded:
        if grouping in row.item.groups:
            groups.setdefault(row.item.groups[grouping], []).append(row)
    return {name: _part(rows) for name, rows in groups.items()}


def _part(graded: Sequence[Graded]) -> Part:
    return in_percent(clustered([row.score for row in graded], [row.item.cluster for row in graded]))


def in_percent(found: Interval) -> Part:
    """An interval of scores from 0 to 1 in percent; no score lies outside of 0 to 100, and so no interval does."""
    ci95 = found.ci95 and (max(100 * found.ci95[0], 0.0), min(100 * found.ci95[1], 100.0))
    stderr = None if found.stderr is None else 100 * found.stderr
    return Part(n=found.n, clusters=found.clusters, score=100 * found.mean, stderr=stderr, ci95=ci95)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(entry) for entry in value]
    return round(value, 6) if isinstance(value, float) else value
