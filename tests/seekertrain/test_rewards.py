"""rewards: what TRL is given for the rollouts of a step, with a judge on loopback that is well or not."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from servers.loopback import Dropped, Stalled
from servers.openai_server import ChatServer, Reply, Request, Said, in_turn

from seekerdata.errors import ItemError, SeekerError
from seekerdata.reward import combined
from seekerdata.trajectory import ToolCall
from seekertrain.rewards import RewardSettings, reward_functions, turns_of

NAME = "openai-api/local/any"
CALL = {"type": "function", "function": {"name": "view_visual_prompt", "arguments": {"frame_path": "prompt_1"}}}
LOOKED = [
    {"role": "assistant", "content": "<think>t</think>", "tool_calls": [CALL]},
    {"role": "tool", "content": [{"type": "image"}, {"type": "text", "text": "<answer>red cup</answer>"}]},
]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")
    monkeypatch.setattr("seekerdata.judge._CACHE", {})


@dataclass
class Environment:
    """What rewards read of a rollout's environment."""

    calls: int = 0
    refused: int = 0
    fault: ItemError | None = None


@dataclass
class Step:
    """A step's rollouts at one open question, and what was reported of them."""

    answers: list[str]
    environments: list[Environment] = field(default_factory=list)
    task: str = "open_ended"
    gold: str = "red cup"
    options: tuple[str, ...] = ("red cup", "cup")
    metrics: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def scored(self, settings: RewardSettings) -> dict[str, list[float | None]]:
        """Each function's values by its name, asked as TRL asks: all at once, with the same list."""
        functions, _ = reward_functions(settings)
        given = self.given()

        async def all_of() -> list[list[float | None]]:
            return await asyncio.gather(*(function(**given) for function in functions))

        return dict(zip([function.__name__ for function in functions], asyncio.run(all_of()), strict=True))

    def given(self) -> dict[str, Any]:
        texts = [f"<think>t</think><answer>{answer}</answer>" for answer in self.answers]
        columns = {"question": "What falls?", "answer": self.gold, "options": list(self.options), "task": self.task}
        return {
            "prompts": [[]] * len(texts),
            "completions": [[*LOOKED, {"role": "assistant", "content": text}] for text in texts],
            "environments": self.environments or [Environment(calls=1) for _ in texts],
            **{name: [value] * len(texts) for name, value in columns.items()},
            "log_metric": self.metrics.__setitem__,
            "log_extra": lambda name, values: self.left_out.extend(values),
        }


def judged(server: ChatServer, limit_s: float = 20.0, **changes: Any) -> RewardSettings:
    model = {"model": NAME, "base_url": server.url, "retries": 0, **changes}
    return RewardSettings.model_validate({"accuracy": "judge", "judge": model, "judge_timeout_s": limit_s})


def by_answer(**replies: Reply) -> Callable[[Request], Reply]:
    """A judge's reply by the answer that it is asked about."""
    return lambda request: replies[json.loads(request.messages[1]["content"])["answer"]]


def test_parts_by_rule_and_the_papers_weights() -> None:
    step = Step(["A red cup.", "cup", ""], [Environment(2, 1), Environment(20), Environment()])
    assert step.scored(RewardSettings()) == {"accuracy": [1, 0, 0], "format": [1, 1, 0], "parsimony": [0.8, 0, 1]}
    assert reward_functions(RewardSettings())[1] == [0.8, 0.15, 0.05]
    assert step.metrics == {} and step.left_out == ["", "", ""]


def test_a_reply_that_was_cut_off_answers_nothing() -> None:
    step = Step(["red cup"])
    assert step.scored(RewardSettings()) == {"accuracy": [1], "format": [1], "parsimony": [0.9]}
    given = step.given()
    given["completions"][0][-1]["cut"] = True
    functions, _ = reward_functions(RewardSettings())
    assert [asyncio.run(function(**given)) for function in functions] == [[0], [0], [0.9]]


def test_options_count_only_where_they_are_asked() -> None:
    """Rows for reward keep the options that the question once had; their answer is words."""
    assert Step(["A", "red cup"], task="open_ended").scored(RewardSettings())["accuracy"] == [0, 1]
    step = Step(["A", "A B", "red cup"], task="multiple_choice", gold="A")
    assert step.scored(RewardSettings())["accuracy"] == [1, 0, 1]


def test_zoom_pays_for_looks_that_were_carried_out() -> None:
    settings = RewardSettings.model_validate({"weights": {"accuracy": 0.9, "format": 0.1, "parsimony": 0, "zoom": 0.2}})
    looks = [Environment(1), Environment(1, refused=1), Environment(), Environment(1)]
    step = Step(["red cup", "red cup", "red cup", "cup"], looks)
    assert step.scored(settings)["zoom"] == [1, 0, 0, 0]
    assert reward_functions(settings)[1] == [0.9, 0.1, 0, 0.2]


def test_the_judge_scores_what_words_cannot_tell() -> None:
    script = by_answer(mug=Said('{"score": 1, "reason": ""}'), cup=Said("0.5"), dog=Said("Score: 0"))
    step = Step(["mug", "cup", "dog", "red cup", "", "mug"])
    with ChatServer(script) as server:
        found = step.scored(judged(server))
        assert len(server.requests) == 3, "the very words and no answer need no judge; the same answer is asked once"
    assert found["accuracy"] == [1, 0.5, 0, 1, 0, 1]
    assert step.metrics == {"judge/asked": pytest.approx(4 / 6), "judge/failed": 0}


def test_a_letter_needs_no_judge() -> None:
    step = Step(["A", "B", "none"], task="multiple_choice", gold="A")
    with ChatServer(in_turn(Said("1"))) as server:
        assert step.scored(judged(server))["accuracy"] == [1, 0, 0]
        assert not server.requests


@pytest.mark.parametrize(
    ("fault", "limit_s", "why"),
    [(Said("Partly."), 20.0, "bad_verdict"), (Dropped(), 20.0, "model_failed"), (Stalled(), 0.3, "within 0.3 s")],
)
def test_a_rollout_without_a_verdict_has_no_part_and_is_counted(fault: Reply, limit_s: float, why: str) -> None:
    step = Step(["red cup", "mug", "cup", "red cup"])
    with ChatServer(by_answer(mug=fault, cup=fault)) as server:
        found = step.scored(judged(server, limit_s))
    assert found == {"accuracy": [1, None, None, 1], "format": [1, None, None, 1], "parsimony": [0.9, None, None, 0.9]}
    assert step.metrics == {"judge/asked": 0.5, "judge/failed": 0.5}
    assert [why in reason and reason.startswith("judge_failed: ") for reason in step.left_out] == [0, 1, 1, 0]


def test_a_judge_that_is_down_leaves_nothing_and_is_asked_again_when_it_is_back() -> None:
    step = Step(["mug", "cup"])
    with ChatServer(in_turn(Said("1"))) as server:
        settings = judged(server)
    assert step.scored(settings)["accuracy"] == [None, None] and step.metrics["judge/failed"] == 1
    with ChatServer(in_turn(Said("1"))) as back:
        assert step.scored(judged(back))["accuracy"] == [1, 1]


def test_a_failed_attempt_is_tried_again() -> None:
    with ChatServer(in_turn(Said(""), Said("0.5"))) as server:
        assert Step(["mug"]).scored(judged(server))["accuracy"] == [0.5]
        assert len(server.requests) == 2


def test_a_judge_is_asked_as_much_at_once_as_it_may_be() -> None:
    with ChatServer(in_turn(Said("1"))) as server:
        found = Step([f"mug {n}" for n in range(5)]).scored(judged(server, concurrency=1))
        assert found["accuracy"] == [1] * 5 and len(server.requests) == 5


def test_a_wrong_key_ends_the_run() -> None:
    with ChatServer(in_turn(Said("1")), key="another") as server, pytest.raises(SeekerError, match="key is wrong"):
        Step(["mug"]).scored(judged(server))


def test_a_video_that_could_not_be_shown_is_left_out_and_no_judge_is_paid() -> None:
    environments = [Environment(fault=ItemError("unreadable", "v.mp4: no frames")), Environment()]
    step = Step(["mug", "red cup"], environments)
    with ChatServer(in_turn(Said("1"))) as server:
        assert step.scored(judged(server)) == {"accuracy": [None, 1], "format": [None, 1], "parsimony": [None, 1]}
        assert not server.requests
    assert step.left_out == ["not shown: v.mp4: no frames", ""]


def test_completions_are_read_as_the_rollout_reads_them() -> None:
    class Name(str):
        call = ToolCall(id="call_1", name="crop_video", error="the arguments must be an object")

    blocks = [{"type": "text", "text": '<think>t</think><tool_call>{"name": "crop_video"}</tool_call>'}]
    structured = {"function": {"name": Name("crop_video"), "arguments": {}}}
    read = turns_of([{"role": "assistant", "content": blocks}, *LOOKED])
    assert [call.name for turn in read for call in turn.tool_calls] == ["crop_video", "view_visual_prompt"]
    assert [turn.text for turn in read] == ["<think>t</think>", "<think>t</think>", "<answer>red cup</answer>"]
    (turn,) = turns_of([{"role": "assistant", "content": None, "tool_calls": [structured]}])
    assert turn.tool_calls == (Name.call,)


def test_trl_takes_them_and_weighs_them_as_we_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from accelerate import PartialState
    from trl import GRPOTrainer
    from trl.trainer.utils import get_callable_name, is_async_callable, start_event_loop_in_daemon

    settings = RewardSettings()
    step = Step(["red cup", "cup"], [Environment(1), Environment(fault=ItemError("x", "y"))])
    monkeypatch.setattr(PartialState, "_shared_state", {})
    PartialState()  # TRL warns of a row without any part, which needs it
    functions, weights = reward_functions(settings)
    assert all(map(is_async_callable, functions))
    names = [get_callable_name(function) for function in functions]
    assert names == ["accuracy", "format", "parsimony"]
    given = step.given()
    thread, loop, ready = start_event_loop_in_daemon(name="rewards")
    ready.wait(10)
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device=torch.device("cpu"), is_main_process=True),
        args=SimpleNamespace(report_to=[]),
        async_loop=loop,
        environments=given["environments"],
        reward_funcs=functions,
        reward_func_names=names,
        reward_processing_classes=[None] * 3,
        state=SimpleNamespace(global_step=0),
        _log_completion_extra=given["log_extra"],
        _log_metric=given["log_metric"],
    )
    rows = [{name: given[name][n] for name in ("question", "answer", "options", "task")} for n in range(2)]
    found = GRPOTrainer._calculate_rewards(trainer, rows, given["prompts"], given["completions"], [[1], [1]])
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    assert torch.isnan(found[1]).all(), "TRL leaves a row without any part out of its group's mean"
    parts = dict(zip(names, found[0].tolist(), strict=True))
    total = combined(parts, settings.weights.model_dump())
    assert total == pytest.approx(0.8 + 0.15 + 0.05 * 0.9) == (found[0] * torch.tensor(weights)).sum().item()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"accuracy": "judge"}, "name a model exactly if"),
        ({"judge": NAME}, "name a model exactly if"),
        ({"weights": {"accuracy": 0, "format": 0, "parsimony": 0}}, "nothing would be learned"),
        ({"weights": {"accuracy": -1}}, "greater than or equal"),
        ({"parsimony_lambda": -0.1}, "greater than or equal"),
        ({"judge_timeout_s": 0}, "greater than 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        RewardSettings.model_validate(settings)
