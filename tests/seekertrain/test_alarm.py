"""Alarm and Watch: what is said of a run, when, and from which numbers of TRL."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerControl, TrainerState

from seekerdata.sample import Sample
from seekerdata.trajectory import StopReason, Trajectory
from seekertrain.alarm import Alarm, AlarmSettings, Facts
from seekertrain.rollout_log import Rolled
from seekertrain.watch import Watch, answered, facts

WINDOW = 5
FOUR = Counter(A=8, B=8, C=8, D=8)
FINE = Facts(0, 2.0, 0.7, 1.0, 0.2, 0.1, 0.3, FOUR, FOUR)


def steps(count: int, **changes: Any) -> list[Facts]:
    return [replace(FINE, **changes)] * count


def heard(told: list[Facts], **settings: Any) -> list[tuple[int, str, bool]]:
    """Step, rule and whether to stop of all that an alarm says to these steps."""
    alarm = Alarm(AlarmSettings(window=WINDOW, **settings))
    numbered = [replace(one, step=n) for n, one in enumerate(told, start=1)]
    return [(one.step, raised.rule, raised.stop) for one in numbered for raised in alarm.hear(one)]


@pytest.mark.parametrize(
    ("then", "rules"),
    [
        ({}, []),
        ({"calls_per_rollout": 0.0, "accuracy": 0.3}, ["collapse"]),
        ({"calls_per_rollout": 0.3, "accuracy": 0.3}, ["collapse"]),
        ({"calls_per_rollout": 0.0, "accuracy": 0.7}, []),  # it learnt to do without
        ({"calls_per_rollout": 2.0, "accuracy": 0.1}, []),  # wrong, but it looks
        ({"calls_per_rollout": 1.0, "accuracy": 0.9}, []),  # parsimony works
        ({"calls_per_rollout": None, "accuracy": None}, []),
        ({"answers": Counter(A=30, B=2)}, ["one_answer"]),
        ({"answers": Counter(A=30, B=2), "golds": Counter(A=29, B=3)}, []),  # it is the right one
        ({"answers": Counter(), "golds": Counter()}, []),
        ({"zero_variance_share": 1.0}, ["nothing_learnt"]),
        ({"zero_variance_share": 0.95}, []),
        ({"tool_error_share": 0.8}, ["tools_fail"]),
        ({"calls_per_rollout": 0.0, "accuracy": 0.7, "tool_error_share": None}, []),
    ],
)
def test_what_is_said_when_a_good_run_changes(then: dict[str, Any], rules: list[str]) -> None:
    assert [rule for _, rule, _ in heard(steps(10) + steps(10, **then))] == rules


def test_a_collapse_from_the_first_step_on_is_seen() -> None:
    """Calls 1.56 → 0 in 65 steps, as a learning rate of 3e-4 does to a half-trained policy."""
    fall = [max(0.0, 1 - n / 40) for n in range(75)]
    told = [replace(FINE, calls_per_rollout=1.56 * left, accuracy=0.26 * left, answers=Counter()) for left in fall]
    said = heard(told)
    assert [rule for _, rule, _ in said] == ["collapse"]
    assert 30 < said[0][0] < 45


def test_a_collapse_within_two_steps_is_seen_when_the_window_is_full() -> None:
    said = heard(steps(1) + steps(8, calls_per_rollout=0.0, accuracy=0.0, answers=Counter()))
    assert (said[0][0], said[0][1]) == (WINDOW, "collapse")


def test_a_run_that_first_gets_better_is_measured_by_its_best() -> None:
    told = steps(6, accuracy=0.3) + steps(10, accuracy=0.9) + steps(6, calls_per_rollout=0.1, accuracy=0.35)
    assert [rule for _, rule, _ in heard(told)] == ["collapse"]


@pytest.mark.parametrize(("does", "stop"), [("stop", True), ("warn", False)])
def test_what_a_collapse_does_is_the_users_choice(does: str, stop: bool) -> None:
    told = steps(10) + steps(10, calls_per_rollout=0.0, accuracy=0.3, answers=Counter(A=9))
    assert {rule: stops for _, rule, stops in heard(told, on_collapse=does)} == {"collapse": stop, "one_answer": False}
    assert {rule: stops for _, rule, stops in heard(told, on_one_answer=does)}["one_answer"] is stop


def test_a_run_without_tools_has_no_tool_use_to_lose() -> None:
    assert heard(steps(10, calls_per_rollout=0.0) + steps(10, calls_per_rollout=0.0, accuracy=0.1)) == []


def test_nothing_is_said_before_a_window_and_nothing_twice() -> None:
    bad = steps(12, zero_variance_share=1.0)
    assert heard(bad) == [(WINDOW, "nothing_learnt", False)]
    wavering = bad + steps(2) + steps(8, zero_variance_share=1.0)
    assert [step for step, _, _ in heard(wavering)] == [5, 19]
    assert heard([*steps(4, zero_variance_share=1.0), *steps(20)]) == []


def test_the_text_says_from_where_to_where() -> None:
    alarm = Alarm(AlarmSettings(window=2))
    told = steps(3) + steps(3, calls_per_rollout=0.0, accuracy=0.1, format=0.4, entropy=2.8)
    said = [raised.text for n, one in enumerate(told) for raised in alarm.hear(replace(one, step=n))]
    assert len(said) == 1
    for words in ("2.00 → 0.00", "0.70 → 0.10", "format 0.40", "entropy 2.80"):
        assert words in said[0]


def log(step: int, **changes: Any) -> dict[str, Any]:
    """A step as TRL logs it, good unless changed."""
    good = {"tools/call_frequency": 2.0, "rewards/accuracy/mean": 0.7, "frac_reward_zero_std": 0.2, "entropy": 0.3}
    return {"step": step, **good, **changes}


def fed(watch: Watch, history: list[dict[str, Any]], of_before: int = 0) -> int | None:
    """Give a watch logs as the trainer does, the first of them as those of a run that goes on; the step it stops."""
    state, control, args = TrainerState(), TrainerControl(), type("Args", (), {"world_size": 1})()
    state.log_history = history[:of_before]
    watch.on_train_begin(args, state, control)
    for entry in history[of_before:]:
        state.global_step = entry["step"]
        watch.on_log(args, state, control, logs=entry)
        if control.should_training_stop:
            return entry["step"]
    return None


BAD = {"tools/call_frequency": 0.0, "rewards/accuracy/mean": 0.1}
HISTORY = [log(n, **(BAD if n > 10 else {})) for n in range(1, 31)]


def test_a_watch_stops_training_and_keeps_why() -> None:
    told: list[str] = []
    watch = Watch(AlarmSettings(window=WINDOW), told.append)
    stop = fed(watch, HISTORY)
    assert stop == 14 and watch.stopped and told == [f"step 14: {watch.stopped}"]


@pytest.mark.parametrize("before", [11, 20])
def test_a_run_that_goes_on_remembers_its_beginning(before: int) -> None:
    """Also one whose checkpoint is already of a collapsed policy."""
    watch = Watch(AlarmSettings(window=WINDOW), lambda line: None)
    assert fed(watch, HISTORY, of_before=before) == max(14, before + 1)


def test_logs_of_other_things_are_no_steps() -> None:
    watch = Watch(AlarmSettings(window=2), lambda line: None)
    others = [{"step": n, "plays_right": 0.1, "eval_frac_reward_zero_std": 1.0} for n in range(1, 9)]
    assert fed(watch, others) is None and watch.alarm._window == []


def test_answers_are_counted_between_logs(sample: Sample) -> None:
    told: list[str] = []
    watch = Watch(AlarmSettings(window=2), told.append)
    said = [
        Trajectory(sample_id="q1", policy="p", turns=(), stop=StopReason.ANSWERED, answer=answer)
        for answer in ("A", "(A)", "A. red", "no idea")
    ]
    rolled = [Rolled(sample, one, {}, 0.0, 0.0, group=0) for one in said]
    for n in (1, 2):
        watch.seen(rolled)
        fed(watch, [log(n)])
    assert told == ["step 2: one answer takes over: 100% of the answers are 'A', of the right ones 0%"]
    assert not watch._answers


@pytest.mark.parametrize(
    ("answer", "options", "counted"),
    [("B. white", True, "B"), ("who knows", True, ""), ("A  Red, car!", False, "a red car"), ("", False, "")],
)
def test_an_answer_is_counted_by_letter_or_words(sample: Sample, answer: str, options: bool, counted: str) -> None:
    asked = sample if options else sample.model_copy(update={"options": (), "answer": "red car"})
    assert answered(answer, asked) == counted


def test_the_names_are_those_that_trl_logs(tiny: Path, tmp_path: Path) -> None:
    """Two steps of TRL's own trainer with a tool."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from seekertrain.processor import load_processor

    def accuracy(completions: Any, **_: Any) -> list[float | None]:
        return [float(n % 2) for n in range(len(completions))]

    def format(completions: Any, **_: Any) -> list[float | None]:
        return [None] * len(completions)

    def look(moment: float) -> str:
        """Look.

        Args:
            moment: when.

        Returns:
            What is seen.
        """
        return "nothing"

    told: list[str] = []
    watch = Watch(AlarmSettings(window=2), told.append)
    settings = GRPOConfig(
        output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=2, num_generations=2, logging_steps=1,
        max_completion_length=4, use_cpu=True, bf16=False, report_to="none", save_strategy="no",
        gradient_checkpointing=False, disable_tqdm=True,
    )  # fmt: skip
    rows = Dataset.from_list([{"prompt": [{"role": "user", "content": "What?"}]}] * 4)
    trainer = GRPOTrainer(
        str(tiny), [accuracy, format], settings, rows, processing_class=load_processor(str(tiny)), tools=[look],
        callbacks=[watch],
    )  # fmt: skip
    trainer.train()
    found = facts(1, trainer.state.log_history[0])
    assert found == Facts(1, 0.0, 0.5, None, 0.0, None, found.entropy)
    assert found.entropy is not None and found.entropy > 0
    assert len(watch.alarm._window) == 2
