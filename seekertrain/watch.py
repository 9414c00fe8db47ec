"""Watch: gives an alarm each logged step's facts, tells what it says, and stops training if it says so.

Of TRL it knows the names of logged numbers only. Importing this file loads transformers.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from seekerdata.answers import read_choice
from seekerdata.sample import Sample
from seekertrain.alarm import Alarm, AlarmSettings, Facts
from seekertrain.rollout_log import Rolled

if TYPE_CHECKING:
    from seekertrain.sft import Tell

CALLS, REFUSED = "tools/call_frequency", "tools/refused_frequency"
"""Calls per rollout as TRL logs them; refused ones per rollout as our trainer does."""
ZERO_VARIANCE, ENTROPY = "frac_reward_zero_std", "entropy"
ACCURACY, FORMAT = "rewards/accuracy/mean", "rewards/format/mean"
LONGEST_ANSWER = 60


class Watch(TrainerCallback):
    """Stands between the trainer and an alarm.

    Args:
        settings: of the alarm.
        tell: is told what is wrong, in lines.

    Attributes:
        stopped: why the alarm ended training; None if it did not. The run is then not finished.
    """

    def __init__(self, settings: AlarmSettings, tell: "Tell") -> None:
        self.alarm, self.tell = Alarm(settings), tell
        self.stopped: str | None = None
        self._answers, self._golds = Counter[str](), Counter[str]()

    def seen(self, rollouts: Iterable[Rolled]) -> None:
        """Count the answers of this process's rollouts, to be heard of with the next log."""
        for rolled in rollouts:
            if said := answered(rolled.trajectory.answer, rolled.sample):
                self._answers[said] += 1
                self._golds[answered(rolled.sample.answer, rolled.sample)] += 1

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        for entry in state.log_history:  # of a run that goes on
            if ZERO_VARIANCE in entry:
                self.alarm.recall(facts(entry["step"], entry))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if not logs or ZERO_VARIANCE not in logs:  # no rollouts were made since the last log
            return
        answers, golds = self._counted(args)
        for raised in self.alarm.hear(facts(state.global_step, logs, answers, golds)):
            self.tell(f"step {state.global_step}: {raised.text}")
            if raised.stop:
                self.stopped = self.stopped or raised.text
                control.should_training_stop = True

    def _counted(self, args: Any) -> tuple[Counter[str], Counter[str]]:
        """The answers and gold answers of all processes since the last time: all must stop at one step."""
        mine = (self._answers, self._golds)
        self._answers, self._golds = Counter(), Counter()
        if args.world_size == 1:
            return mine
        from accelerate.utils import gather_object

        every = gather_object([mine])
        answers, golds = (sum((pair[n] for pair in every), Counter[str]()) for n in range(2))
        return answers, golds


def facts(
    step: int, logs: Mapping[str, Any], answers: Counter[str] | None = None, golds: Counter[str] | None = None
) -> Facts:
    """What TRL logged of a step; a number that it could not tell is None."""
    calls, refused = logs.get(CALLS), logs.get(REFUSED)
    return Facts(
        step=step,
        calls_per_rollout=calls,
        accuracy=logs.get(ACCURACY),
        format=logs.get(FORMAT),
        zero_variance_share=logs.get(ZERO_VARIANCE),
        tool_error_share=refused / calls if calls and refused is not None else None,
        entropy=logs.get(ENTROPY),
        answers=answers or Counter(),
        golds=golds or Counter(),
    )


def answered(answer: str, sample: Sample) -> str:
    """What an answer is counted as: its letter, or the words of an open one; empty if it is none."""
    if sample.options:
        return read_choice(answer, list(sample.options)).letter or ""
    return " ".join(re.findall(r"\w+", answer.lower()))[:LONGEST_ANSWER]
