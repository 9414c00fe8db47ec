"""Alarm: says when reinforcement learning goes wrong: tool use dies, one answer takes over, nothing is learnt.

Pure rules over a window of steps, relative to the run's own best; the numbers they go by stand below.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from seekerdata.errors import SeekerError

CALLS_LEFT, ACCURACY_LEFT = 0.2, 0.8
"""Tool use has collapsed when this share of the best window's calls is left, and this share of its accuracy."""
CALLS_BEFORE = 0.5
"""Calls per rollout that a run must have made for their end to be a collapse."""
ANSWER_EXCESS = 0.3
"""One answer takes over when its share among the answers is so much above its share among the right ones."""
TOOL_ERRORS = 0.5
"""Tools fail when at least this share of the calls is refused."""

Does = Literal["warn", "stop"]


class AlarmSettings(BaseModel):
    """How long one looks, and what a collapse does. Everything else is a warning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: int = Field(default=10, ge=1)
    """Steps that each rule looks at; nothing is said before so many have passed."""
    on_collapse: Does = "stop"
    """When tool use collapses: what is trained on is then useless."""
    on_one_answer: Does = "warn"
    """When one answer takes over; chance does it too where questions are few."""


class Stopped(SeekerError):
    """Training ended for a reason that each of its processes knows; one of them tells it."""


@dataclass(frozen=True)
class Facts:
    """One logged step. None is what was not measured; answers are those of this step's rollouts, with the gold ones."""

    step: int
    calls_per_rollout: float | None = None
    accuracy: float | None = None
    format: float | None = None
    zero_variance_share: float | None = None
    tool_error_share: float | None = None
    """Of calls; None if there were none."""
    entropy: float | None = None
    answers: Counter[str] = field(default_factory=Counter)
    golds: Counter[str] = field(default_factory=Counter)


class Raised(NamedTuple):
    """What is wrong, by which rule, and whether training should stop."""

    rule: str
    text: str
    stop: bool


class Alarm:
    """Hears each step's facts and says what is wrong, each thing once until it has been right for a window."""

    def __init__(self, settings: AlarmSettings | None = None) -> None:
        self.settings = settings or AlarmSettings()
        self._window: list[Facts] = []
        self._first: int | None = None
        self._best_calls: float | None = None
        self._best_accuracy: float | None = None
        self._wrong_at: dict[str, int] = {}

    def recall(self, facts: Facts) -> None:
        """Take in a step of which nothing is to be said: one before a run went on from a checkpoint."""
        self._first = facts.step if self._first is None else self._first
        kept = [earlier for earlier in self._window if facts.step - self.settings.window < earlier.step < facts.step]
        self._window = [*kept, facts]
        # From the first step on, though nothing is said yet: a rate that is far too high kills tool use within two.
        self._best_calls = _most(self._best_calls, self._mean("calls_per_rollout"))
        self._best_accuracy = _most(self._best_accuracy, self._mean("accuracy"))

    def hear(self, facts: Facts) -> list[Raised]:
        """Take in a step; says what is wrong now and was not said before."""
        self.recall(facts)
        said = []
        for rule in (self._collapse, self._one_answer, self._nothing_learnt, self._tools_fail):
            raised = rule() if self._full else None
            if raised is None:
                continue
            since = self._wrong_at.get(raised.rule)
            if since is None or facts.step - since > self.settings.window:
                said.append(raised)
            self._wrong_at[raised.rule] = facts.step
        return said

    @property
    def _full(self) -> bool:
        """Whether a window has passed since the first step heard of."""
        return self._first is not None and self._window[-1].step - self._first >= self.settings.window - 1

    def _collapse(self) -> Raised | None:
        calls, accuracy = self._mean("calls_per_rollout"), self._mean("accuracy")
        calls_before, accuracy_before = self._best_calls, self._best_accuracy
        if calls is None or accuracy is None or calls_before is None or accuracy_before is None:
            return None
        given_up = calls_before >= CALLS_BEFORE and calls <= CALLS_LEFT * calls_before
        if not given_up or accuracy_before <= 0 or accuracy > ACCURACY_LEFT * accuracy_before:
            return None
        text = f"tool use has collapsed: calls per rollout {calls_before:.2f} → {calls:.2f} while accuracy "
        text += f"{accuracy_before:.2f} → {accuracy:.2f}{self._also()}; a lower learning rate, or an earlier checkpoint"
        return Raised("collapse", text, self.settings.on_collapse == "stop")

    def _also(self) -> str:
        """What else tells how a policy fell apart."""
        told = {"format": self._mean("format"), "entropy": self._mean("entropy")}
        return "".join(f", {name} {value:.2f}" for name, value in told.items() if value is not None)

    def _one_answer(self) -> Raised | None:
        answers, golds = Counter[str](), Counter[str]()
        for facts in self._window:
            answers.update(facts.answers)
            golds.update(facts.golds)
        if not answers or not golds:
            return None
        share: Callable[[str, Counter[str]], float] = lambda word, among: among[word] / among.total()  # noqa: E731
        word = max(sorted(answers), key=lambda word: share(word, answers) - share(word, golds))
        said, right = share(word, answers), share(word, golds)
        if said - right < ANSWER_EXCESS:
            return None
        text = f"one answer takes over: {said:.0%} of the answers are '{word}', of the right ones {right:.0%}"
        return Raised("one_answer", text, self.settings.on_one_answer == "stop")

    def _nothing_learnt(self) -> Raised | None:
        shares = self._told("zero_variance_share")
        if not shares or min(shares) < 1.0:
            return None
        accuracy = self._mean("accuracy")
        text = f"nothing is learnt: all rollouts of each group have had one reward for {self.settings.window} steps"
        text += "" if accuracy is None else f", with accuracy {accuracy:.2f}"
        return Raised("nothing_learnt", text, False)

    def _tools_fail(self) -> Raised | None:
        known = [
            (facts.calls_per_rollout, facts.tool_error_share)
            for facts in self._window
            if facts.calls_per_rollout is not None and facts.tool_error_share is not None
        ]
        calls = sum(calls for calls, _ in known)
        failed = sum(calls * share for calls, share in known) / calls if calls else 0.0
        if failed < TOOL_ERRORS:
            return None
        return Raised("tools_fail", f"tools fail: {failed:.0%} of the calls were refused", False)

    def _told(self, name: str) -> list[float]:
        """What the window's steps say of one fact."""
        return [value for facts in self._window if (value := getattr(facts, name)) is not None]

    def _mean(self, name: str) -> float | None:
        return _mean(self._told(name))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _most(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)
