"""Progress: what a run shows of itself: a bar, `log.jsonl`, and the picture of its loss. Changes no number of it.

Importing this file loads transformers.
"""

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from seekerdata.workspace import write_atomically

Draw = Callable[[Sequence[dict[str, Any]]], bytes]
BLUE, ORANGE, GREEN = "#0b6e75", "#e8930c", "#1c7c43"


class Bar(TrainerCallback):
    """A bar on a terminal; elsewhere a line for each log."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
        columns += [TextColumn("{task.fields[told]}"), TimeRemainingColumn(compact=True)]
        self._live = sys.stderr.isatty()
        self._progress = Progress(*columns, console=self._console, disable=not self._live)
        self._task: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._progress.start()
            self._task = self._progress.add_task("step", total=state.max_steps, completed=state.global_step, told="")

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if self._task is None or not logs:
            return
        told = "  ".join(f"{name} {_figure(logs[key])}" for key, name in SHOWN.items() if logs.get(key) is not None)
        self._progress.update(self._task, told=told)
        if told and not self._live:
            self._console.print(f"step {state.global_step}/{state.max_steps}  {told}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress.stop()


def walked(rows: Any, title: str) -> Iterator[Any]:
    """Rows one by one, with a bar on a terminal that goes when it is full; of several processes the first has one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True)]
    quiet = not sys.stderr.isatty() or os.environ.get("RANK", "0") != "0"
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        yield from bar.track(rows, total=len(rows), description=title)


SHOWN = {
    "loss": "loss",
    "eval_loss": "held-out loss",
    "learning_rate": "rate",
    "grad_norm": "norm",
    "train_tokens_per_second": "tokens/s",
    "reward": "reward",
    "tools/call_frequency": "calls",
    "frac_reward_zero_std": "flat groups",
    "plays_right": "right",
    "plays_looked": "looked",
    "plays_calls": "calls a play",
}
"""Logged numbers that the bar shows, by their short names."""


class Curve(TrainerCallback):
    """Writes `log.jsonl` and a picture of it into a run's folder at every save, measurement and play, and at the end.
    Of several at one step only the first draws: the picture would be the same, and training waits for it.

    Args:
        out: the run's folder.
        picture: file name of the picture.
        drawn: makes its PNG of a trainer's `log_history`; None draws the loss.
    """

    def __init__(
        self, out: Path, picture: str = "loss.png", drawn: Callable[[Sequence[dict[str, Any]]], bytes] | None = None
    ) -> None:
        self.out, self.picture, self.drawn = out, picture, drawn or curve
        self._entries: int | None = None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.write(state)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.write(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.write(state)

    def write(self, state: Any) -> None:
        """Both files, from all that was logged since the run's first step."""
        if not state.is_world_process_zero:
            return
        lines = (json.dumps(entry) + "\n" for entry in state.log_history)
        write_atomically(self.out / "log.jsonl", (line.encode() for line in lines))
        entries = sum("train_loss" not in entry for entry in state.log_history)  # the sum at the end is not drawn
        if entries != self._entries:
            write_atomically(self.out / self.picture, self.drawn(state.log_history))
            self._entries = entries


def curve(history: Sequence[dict[str, Any]]) -> bytes:
    """A PNG of the loss by step, with the held-out loss and the share of right plays where they were measured."""
    import io

    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.4), dpi=130)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.15, right=0.91, top=0.97, bottom=0.19)
    for key, name, colour, style in (("loss", "loss", BLUE, "-"), ("eval_loss", "held-out loss", ORANGE, "o-")):
        steps, values = points(history, key)
        if steps:
            axes.plot(steps, values, style, color=colour, label=name, linewidth=1.6, markersize=4)
    axes.set_xlabel("step")
    axes.set_ylabel("loss per trained token")
    axes.set_yscale("log")
    axes.grid(color="#e3e6e9")
    steps, values = points(history, "plays_right")
    if steps:
        right = axes.twinx()
        right.plot(steps, values, "s--", color=GREEN, label="held-out plays that are right", markersize=4)
        right.set_ylim(0, 1.03)
        right.set_ylabel("share of plays")
    if any(drawn.lines for drawn in figure.axes):
        figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=8)
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def points(history: Sequence[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Steps and values of one logged number, without those that are no number; TRL logs None for such."""
    logged = [(entry["step"], entry[key]) for entry in history if entry.get(key) is not None]
    found = [(step, float(value)) for step, value in logged if math.isfinite(value)]
    return [step for step, _ in found], [value for _, value in found]


def _figure(value: Any) -> str:
    number = float(value)
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"
