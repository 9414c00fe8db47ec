"""Rewards: `seekerdata.reward` for the rollouts of a step, as TRL takes it: one function for each part.

A rollout that cannot be scored has no part at all: TRL leaves it out of its group's mean and gives it no advantage.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seekerdata.dialect import read_calls
from seekerdata.errors import ItemError
from seekerdata.judge import Judge
from seekerdata.models import ModelRole
from seekerdata.reward import accuracy_by_rule, answer_of, format_reward, parsimony, zoom_bonus
from seekerdata.trajectory import Text, ToolCall, Turn
from seekertrain.environment import CUT

Message = dict[str, Any]
Parts = dict[str, float]
Reward = Callable[..., Awaitable[list[float | None]]]


class RewardWeights(BaseModel):
    """How much each part counts. Defaults are VideoSeeker's (arXiv 2605.16079)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy: float = Field(default=0.8, ge=0)
    format: float = Field(default=0.15, ge=0)
    parsimony: float = Field(default=0.05, ge=0)
    zoom: float = Field(default=0.0, ge=0)
    """VideoZoomer's bonus for looking, where the answer is right; its size is unpublished."""

    @model_validator(mode="after")
    def _some(self) -> "RewardWeights":
        if not (self.accuracy or self.format or self.parsimony or self.zoom):
            raise ValueError("all weights are 0: nothing would be learned")
        return self


class RewardSettings(BaseModel):
    """What a rollout is worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: RewardWeights = RewardWeights()
    parsimony_lambda: float = Field(default=0.1, ge=0)
    """What each call takes from parsimony. Unpublished; at 0.1 ten calls leave nothing, the five allowed a half."""
    accuracy: Literal["rule", "judge"] = "rule"
    """`rule`: the letter, or the very words, which suits answers from a closed vocabulary. `judge`: a model scores open
    answers that are not the very words 1, 0.5 or 0."""
    judge: ModelRole | None = None
    judge_timeout_s: float = Field(default=120.0, gt=0)
    """Limit of one judgement with all its attempts; then the rollout is left out of its group."""

    @model_validator(mode="after")
    def _agrees(self) -> "RewardSettings":
        if (self.accuracy == "judge") != (self.judge is not None):
            raise ValueError("judge: name a model exactly if accuracy is 'judge'")
        return self


def reward_functions(settings: RewardSettings) -> tuple[list[Reward], list[float]]:
    """TRL's `reward_funcs`, named `accuracy`, `format`, `parsimony`, and `zoom` if it counts, and `reward_weights`.

    Each gives one value for each rollout, None for all parts of one that cannot be scored. They read `environments`
    (`calls`, `refused`, and `fault`, not None if the video could not be shown), and the columns `question`, `answer`,
    `options` and `task`; options count only where the task is `multiple_choice`. Together they report `judge/asked` and
    `judge/failed` (shares of the rollouts) to `log_metric`, and to `log_extra` the column `left_out`: why, else empty.

    Raises:
        SeekerError: when called: a judge with a wrong key, an unknown model or a missing package.
    """
    scores = _Scores(settings)
    names = ["accuracy", "format", "parsimony", *["zoom"] * (settings.weights.zoom > 0)]
    return [_part(name, scores) for name in names], [getattr(settings.weights, name) for name in names]


def _part(name: str, scores: "_Scores") -> Reward:
    async def part(completions: list[list[Message]], **given: Any) -> list[float | None]:
        return [found[name] if found else None for found in await scores.of(completions, given)]

    part.__name__ = part.__qualname__ = name  # by which TRL logs it
    return part


class _Scores:
    """All parts of all rollouts of a step, worked out once: TRL calls each function with the same list."""

    def __init__(self, settings: RewardSettings) -> None:
        self.settings = settings
        self._step: tuple[Any, asyncio.Task[list[Parts | None]]] | None = None

    async def of(self, completions: list[list[Message]], given: dict[str, Any]) -> list[Parts | None]:
        if self._step is None or self._step[0] is not completions:
            self._step = completions, asyncio.create_task(self._score(completions, given))
        return await self._step[1]

    async def _score(self, completions: list[list[Message]], given: dict[str, Any]) -> list[Parts | None]:
        judging = _Judging(self.settings)
        columns = [given[name] for name in ("environments", "question", "answer", "options", "task")]
        rows = zip(completions, *columns, strict=True)
        scored = await asyncio.gather(*(self._rollout(judging, *row) for row in rows))
        if self.settings.judge and (log_metric := given.get("log_metric")):
            log_metric("judge/asked", judging.asked / len(completions))
            log_metric("judge/failed", judging.failed / len(completions))
        if log_extra := given.get("log_extra"):
            log_extra("left_out", [found if isinstance(found, str) else "" for found in scored])
        return [None if isinstance(found, str) else found for found in scored]

    async def _rollout(
        self,
        judging: "_Judging",
        completion: list[Message],
        environment: Any,
        question: str,
        gold: str,
        options: Sequence[str] | None,
        task: str,
    ) -> Parts | str:
        """The parts of one rollout, or why it cannot be scored."""
        if environment.fault is not None:
            return f"not shown: {environment.fault}"
        turns, cut = turns_of(completion), bool(completion[-1].get(CUT))
        answer = "" if cut else answer_of(turns)
        choices = tuple(options or ()) if task == "multiple_choice" else ()
        accuracy = accuracy_by_rule(answer, gold, choices)
        if self.settings.judge and answer and not choices and accuracy < 1.0:
            try:
                accuracy = await judging.score(question, gold, answer)
            except ItemError as error:
                return f"{error.code}: {error.message}"
        return {
            "accuracy": accuracy,
            "format": 0.0 if cut else format_reward(turns),
            "parsimony": parsimony(environment.calls, self.settings.parsimony_lambda),
            "zoom": zoom_bonus(accuracy, environment.calls - environment.refused),
        }


class _Judging:
    """The judge of one step: as many questions at once as its settings allow, each with its limit of time."""

    def __init__(self, settings: RewardSettings) -> None:
        self.settings, self.asked, self.failed = settings, 0, 0
        self._room = asyncio.Semaphore(settings.judge.concurrency if settings.judge else 1)

    async def score(self, question: str, gold: str, answer: str) -> float:
        """1, 0.5 or 0.

        Raises:
            ItemError: `judge_failed` after all attempts, or out of time.
        """
        assert self.settings.judge is not None
        self.asked += 1
        limit = self.settings.judge_timeout_s
        try:
            async with self._room, asyncio.timeout(limit):
                return (await Judge(self.settings.judge).compare(question, gold, answer)).verdict.score
        except TimeoutError:
            self.failed += 1
            raise ItemError("judge_failed", f"no verdict within {limit:g} s", retryable=True) from None
        except ItemError:
            self.failed += 1
            raise


def turns_of(completion: Sequence[Message]) -> list[Turn]:
    """A completion of TRL, text alone or in blocks, as turns: calls apart, pictures left out."""
    turns = []
    for message in completion:
        content = message["content"] or ""
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
        calls: tuple[ToolCall, ...] = ()
        if message["role"] == "assistant":
            made = message.get("tool_calls") or ()
            text, calls = (text, tuple(map(_call, made))) if made else read_calls(text)
        turns.append(Turn(role=message["role"], content=(Text(text=text),), tool_calls=calls))
    return turns


def _call(made: Message) -> ToolCall:
    """A structured call; our environment keeps how it was written, faults included, with its name."""
    name, arguments = made["function"]["name"], made["function"]["arguments"]
    return getattr(name, "call", None) or ToolCall(id="", name=name, arguments=arguments)
