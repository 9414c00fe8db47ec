"""Honesty: what a set of questions gives away. A pure function of samples, so that it is printed and tested alike."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from seekerdata.sample import Sample


class Honesty(BaseModel):
    """Shares between 0 and 1 of what could be answered, or told, without looking."""

    model_config = ConfigDict(frozen=True)

    questions: int
    majority_letter: float
    """Always answering the most common letter is right this often (questions with options)."""
    longest_option: float
    """Always picking the longest option is right this often; ties are shared."""
    common_answer: dict[str, float]
    """By family: how often its most common answer text is right."""
    look_alike_differs: float
    """Questions whose answer would differ for a look-alike, so that the mark decides."""
    needs_mark: float
    needs_crop: float
    families: dict[str, dict[str, int]]
    """By dimension: questions of each family."""

    def facts(self) -> dict[str, str]:
        """The numbers by what they say, as text for people."""
        return {
            "questions measured": str(self.questions),
            "always the most common letter is right": f"{self.majority_letter:.1%}",
            "always the longest option is right": f"{self.longest_option:.1%}",
            "the answer would differ for a look-alike": f"{self.look_alike_differs:.1%}",
            "the mark is needed": f"{self.needs_mark:.1%}",
            "a crop is needed": f"{self.needs_crop:.1%}",
        }


def measure(samples: Sequence[Sample]) -> Honesty:
    """The honesty of samples that the world made (their provenance names family and look-alike answer)."""
    facts = [sample.provenance["source"] for sample in samples]
    chosen = [sample for sample in samples if sample.options]
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    families: dict[str, Counter[str]] = defaultdict(Counter)
    for sample, fact in zip(samples, facts, strict=True):
        answers[fact["family"]][sample.answer_text] += 1
        families[sample.dimension][fact["family"]] += 1
    letters = Counter(sample.answer for sample in chosen)
    differs = [
        fact["look_alike_answer"] not in (None, sample.answer_text) for sample, fact in zip(samples, facts, strict=True)
    ]
    return Honesty(
        questions=len(samples),
        majority_letter=max(letters.values(), default=0) / max(len(chosen), 1),
        longest_option=_mean(_longest_is_right(sample) for sample in chosen),
        common_answer={name: max(some.values()) / some.total() for name, some in answers.items()},
        look_alike_differs=_mean(differs),
        needs_mark=_mean(sample.target.needs_mark for sample in samples),
        needs_crop=_mean(sample.target.needs_crop for sample in samples),
        families={dimension: dict(some) for dimension, some in families.items()},
    )


def _longest_is_right(sample: Sample) -> float:
    longest = max(len(option) for option in sample.options)
    tied = [option for option in sample.options if len(option) == longest]
    return (sample.answer_text in tied) / len(tied)


def _mean(values: Iterable[float]) -> float:
    found = [float(value) for value in values]
    return sum(found) / len(found) if found else 0.0
