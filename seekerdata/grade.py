"""Grade: whether an answer is right: by its letter or words, and where these cannot tell, by a judge.

The one place that decides it, for plays that are kept and for tries that are counted. A judge that fails is no grade.
"""

from typing import Any, NamedTuple

from seekerdata.judge import Judge
from seekerdata.models import ModelSettings
from seekerdata.reward import accuracy_by_rule
from seekerdata.sample import Sample


class Grade(NamedTuple):
    """Whether an answer is right, and what a judge said and cost (None if there was no need to ask)."""

    right: bool
    judged: dict[str, Any] | None = None


def grade_by_rule(answer: str, asked: Sample) -> bool:
    """Whether the letter, or the very words of an open answer, are the right ones."""
    return accuracy_by_rule(answer, asked.answer, asked.options) == 1.0


def needs_judge(answer: str, asked: Sample) -> bool:
    """Whether words cannot tell: an open answer that is not the gold answer's words."""
    return bool(answer) and not asked.options and not grade_by_rule(answer, asked)


async def grade(answer: str, asked: Sample, judge: ModelSettings | None = None) -> Grade:
    """Grade one answer; without a judge the words decide.

    Raises:
        SeekerError: a wrong key, an unknown model or a missing package.
        ItemError: `judge_failed`.
    """
    if judge is None or not needs_judge(answer, asked):
        return Grade(grade_by_rule(answer, asked))
    decision = await Judge(judge).compare(asked.question, asked.answer, answer)
    score, reason = decision.verdict.score, " ".join(decision.verdict.reason.split())
    return Grade(score == 1.0, {"score": score, "reason": reason, **decision.facts})
