"""Task: an evaluation inside inspect_ai: one sample an item, the solver plays it, the scorer grades the reply.

inspect_ai keeps the log, counts tokens and goes on after a kill. This file is also its entry point (`inspect eval
seekereval/v2p_bench`), so it alone imports inspect_ai at the top; nothing that a command line needs imports it.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.event import ModelEvent
from inspect_ai.log import transcript
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    get_model,
    modelapi,
)
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.tool import ToolCall

from seekerdata.errors import ItemError, SeekerError
from seekerdata.models import AtHand, ModelSettings
from seekerdata.peer_decoder import decoder_version
from seekerdata.plugin import load, make, names
from seekerdata.rollout import Policy
from seekerdata.trajectory import StopReason, Trajectory
from seekereval.benchmark import benchmark, data_folder
from seekereval.evaluation import Evaluation
from seekereval.grading import GRADED, HOPELESS, graded_of
from seekereval.item import Item, State
from seekereval.own_weights import HF, player
from seekereval.play import as_text, looks, play
from seekereval.playing import video_of
from seekereval.presets import Preset, preset_of

_T = TypeVar("_T")
PLAYERS = "seeker/"
PLAYED = "played"
"""Where a sample's store holds what came of the play."""


@modelapi(name="seeker")
class Seeker(ModelAPI):
    """Who plays in this process: `seeker/expert`, `seeker/random`, `seeker/blind`, and weights as `seeker/hf/<folder or
    hub id>`. inspect_ai itself asks them nothing."""

    async def generate(self, *args: Any, **kwargs: Any) -> ModelOutput:
        raise NotImplementedError("the players of seeker/ play benchmarks of seekereval only")


def task_of(evaluation: Evaluation, items: list[Item]) -> Task:
    """The inspect_ai task that asks these items."""
    samples = [
        Sample(
            id=item.id,
            input=item.question,
            choices=list(item.options) or None,
            target=item.answer,
            metadata={"item": item.model_dump(mode="json"), "cluster": item.cluster},
        )
        for item in items
    ]
    preset = evaluation.preset
    form = evaluation.model_dump(mode="json")
    return Task(
        dataset=MemoryDataset(samples, name=evaluation.task),
        solver=played(form),
        scorer=strict(form),
        config=GenerateConfig(temperature=preset.temperature, max_tokens=preset.max_tokens),
        fail_on_error=True,  # an item without a reply leaves the log unfinished, so that the next run asks it again
        continue_on_fail=True,
        name=evaluation.task,
        metadata={"preset": preset.name, "source": preset.source},
    )


@solver
def played(form: dict[str, Any]) -> Solver:
    """Plays an item with the model that inspect_ai evaluates."""
    evaluation = Evaluation.model_validate(form)
    hopeless: list[SeekerError] = []

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        if hopeless:  # a wrong key or an unknown model concerns every item: nobody is asked again
            raise hopeless[0]
        item, started = Item.model_validate(state.metadata["item"]), time.monotonic()
        model = get_model()
        try:
            trajectory, shown = await _aside(partial(_played, item, evaluation, policy_of(model, evaluation.preset)))
        except SeekerError as error:
            hopeless.append(error)
            state.store.set(PLAYED, {"error": str(error), "hopeless": True})
            raise
        except ItemError as error:
            state.store.set(PLAYED, {"error": f"{error.code}: {error.message}"})
            if error.retryable:
                raise
            return state
        state.store.set(PLAYED, facts_of(item, trajectory, shown, time.monotonic() - started))
        state.messages = messages_of(trajectory)
        state.output = ModelOutput.from_content(str(model), trajectory.turns[-1].text)
        return state

    return solve


@scorer(metrics=[accuracy(), stderr(cluster="cluster")])
def strict(form: dict[str, Any]) -> Scorer:
    """Grades the reply; whatever is no answer is worth nothing and counts."""
    judge = Evaluation.model_validate(form).judge
    hopeless: list[str] = []

    async def score(state: TaskState, target: Target) -> Score:
        item, came = Item.model_validate(state.metadata["item"]), state.store.get(PLAYED)
        try:
            graded = await graded_of(item, came, None if hopeless else judge)
        except SeekerError as error:  # a wrong key for the judge: the reply is kept, `run` ends in this line
            hopeless.append(str(error))
            graded = await graded_of(item, came, None)
        why = hopeless[0] if hopeless and graded.state is State.JUDGE_FAILED else ""
        graded = graded.model_copy(update={"error": why or graded.error})
        return Score(
            value=graded.score if item.is_scored else float("nan"),  # what inspect_ai leaves out of its figures
            answer=graded.answer,
            explanation=f"{graded.state}: {graded.error or graded.rule}",
            metadata={GRADED: graded.model_dump(mode="json", exclude={"item"}), HOPELESS: why},
        )

    return score


def policy_of(model: Model, preset: Preset) -> Policy:
    """Who plays: the model through its conversation, weights in this process, or one of our own players."""
    if not str(model).startswith(PLAYERS):
        named = {"use": "model", "model": str(model), "calls": preset.calls}
        return make("policies", named).asking(AtHand(model, asyncio.get_running_loop()))
    if model.name.startswith(HF):
        return player(model.name, preset)
    policy = load("policies", model.name)()
    assert isinstance(policy, Policy)
    return policy.playing("direct") if preset.mode != "tool" and "direct" in policy.plays else policy


async def _played(item: Item, evaluation: Evaluation, policy: Policy) -> tuple[Trajectory, dict[str, Any]]:
    """A play, and which file and which frames of it were shown."""
    preset = evaluation.preset
    trajectory = await play(item, evaluation.data, preset, evaluation.baseline, policy)
    video = video_of(item, evaluation.data, preset.decoder)
    info, reader = video.info, decoder_version(preset.decoder)
    about = {"sha256": video.sha256, "fps": info.fps, "duration_s": info.duration_s, "decoder": reader}
    return trajectory, {"video": about, "looks": looks(trajectory, video)}


async def _aside(playing: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """A play in the one thread that decodes: it would hold up the replies of all others here. While a play waits for
    its model the next one is at work; more threads would only hold more decoded frames."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(playing(), _playing_loop()))


@lru_cache(maxsize=1)
def _playing_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="plays", daemon=True).start()
    return loop


def facts_of(item: Item, trajectory: Trajectory, shown: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What came of a play, as a sample's store and `frames.jsonl` hold it."""
    served = [event.output.model for event in transcript().events if isinstance(event, ModelEvent)]
    refused = [turn.text for turn in trajectory.turns if turn.role == "tool"]
    calls = [
        {"name": call.name, "arguments": call.arguments, "error": text if text.startswith("Error:") else call.error}
        for call, text in zip(trajectory.calls, [*refused, *[""] * len(trajectory.calls)], strict=False)
    ]
    return {
        "reply": trajectory.turns[-1].text,
        "stop": trajectory.stop,
        "answer": trajectory.answer,
        "looking": trajectory.stop in (StopReason.MAX_ROUNDS, StopReason.MAX_FRAMES),
        "calls": calls,
        "frames": len(trajectory.images),
        "path": item.video,
        **shown,
        "trajectory": trajectory.model_dump(mode="json"),
        "seconds": round(seconds, 3),
        "usage": trajectory.usage,
        "served": sorted(set(filter(None, served))),
    }


def messages_of(trajectory: Trajectory) -> list[ChatMessage]:
    """The conversation as a log shows it: a placeholder for every picture."""
    found: list[ChatMessage] = []
    for turn in trajectory.turns:
        if turn.role == "system":
            found.append(ChatMessageSystem(content=as_text(turn)))
        elif turn.role == "user":
            found.append(ChatMessageUser(content=as_text(turn)))
        elif turn.role == "tool":
            found.append(ChatMessageTool(content=as_text(turn), tool_call_id=turn.tool_call_id))
        else:
            calls = [ToolCall(id=c.id, function=c.name, arguments=c.arguments) for c in turn.tool_calls]
            found.append(ChatMessageAssistant(content=turn.text, tool_calls=calls or None))
    return found


def _registered(name: str, registered: str) -> Callable[..., Task]:
    @task(name=registered)
    def questions(
        data: str = "",
        preset: str = "default",
        mode: str | None = None,
        tools: str | None = None,
        decoder: str | None = None,
        baseline: str = "",
        shuffle_options: int | None = None,
        circular: bool = False,
        judge: str | None = None,
    ) -> Task:
        evaluation = Evaluation.model_validate(
            {
                "benchmark": name,
                "data": data_folder(benchmark(name), Path(data) if data else None),
                "preset": preset_of(
                    preset, mode=mode, tools=tuple(tools.split(",")) if tools else None, decoder=decoder
                ),
                "baseline": baseline,
                "shuffle_options": shuffle_options,
                "circular": circular,
                "judge": ModelSettings(model=judge) if judge else None,
            }
        )
        return task_of(evaluation, evaluation.asked(evaluation.items()))

    return questions


def register() -> dict[str, Callable[..., Task]]:
    """A task for every benchmark, by its name. inspect_ai puts the package before it, but not for an editable install
    of a package whose distribution has another name: so it is registered under its whole name, too."""
    known = names("benchmarks", "seekereval")
    for name in known:
        _registered(name, f"seekereval/{name}")
    return {name: _registered(name, name) for name in known}


TASKS = register()
