"""Plots: a run's groups as bars with their intervals, and runs side by side as a radar. Every picture says n."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seekerdata.errors import SeekerError

COLOURS = ("#0b6e75", "#e8930c", "#7a4fa3", "#c0322b", "#1c7c43", "#5d656f", "#2b6cb0", "#b8860b")
FEWEST_SPOKES = 3
MOST_SPOKES = 16
LONGEST_AXIS = 60
"""Letters that stand side by side below the bars; longer names are turned."""


def write_plots(folder: Path, runs: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """Draw every grouping: `<grouping>.png` with bars, and `<grouping>_radar.png` where it has 3 to 16 values.

    Args:
        folder: made if it is not there.
        runs: the facts of each run (`report.facts_of`) by its name.

    Raises:
        SeekerError: matplotlib is missing, or the folder cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SeekerError("--plots needs: pip install 'videoseeker-toolkit[eval]'") from None
    groupings = list(dict.fromkeys(name for facts in runs.values() for name in facts["groups"]))
    made: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for grouping in groupings:
            groups = {run: facts["groups"].get(grouping, {}) for run, facts in runs.items()}
            values = list(dict.fromkeys(value for told in groups.values() for value in told))
            figure = Figure(figsize=(max(5.0, 1.5 + 0.45 * len(values) * (1 + 0.35 * len(runs))), 4.2), dpi=150)
            _bars(figure, grouping, values, groups)
            name = re.sub(r"[^\w-]+", "_", grouping)
            made.append(_saved(figure, folder / f"{name}.png"))
            if FEWEST_SPOKES <= len(values) <= MOST_SPOKES:
                figure = Figure(figsize=(6.4, 5.6), dpi=150)
                _radar(figure, grouping, values, groups)
                made.append(_saved(figure, folder / f"{name}_radar.png"))
    except OSError as error:
        raise SeekerError(f"--plots {folder}: cannot be written: {error.strerror}") from None
    return made


Groups = Mapping[str, Mapping[str, Mapping[str, Any]]]


def _bars(figure: Any, grouping: str, values: Sequence[str], groups: Groups) -> None:
    """Bars side by side, one colour a run; whiskers are the 95 % intervals."""
    axes = figure.add_subplot()
    width = 0.8 / len(groups)
    for n, (run, told) in enumerate(groups.items()):
        at = [place + (n - (len(groups) - 1) / 2) * width for place, value in enumerate(values) if value in told]
        rows = [told[value] for value in values if value in told]
        scores = [row["score"] for row in rows]
        spans = [row["ci95"] or (score, score) for row, score in zip(rows, scores, strict=True)]
        below = [max(0.0, score - span[0]) for score, span in zip(scores, spans, strict=True)]
        above = [max(0.0, span[1] - score) for score, span in zip(scores, spans, strict=True)]
        axes.bar(at, scores, width * 0.92, label=run, color=COLOURS[n % len(COLOURS)], zorder=2)
        axes.errorbar(
            at, scores, yerr=[below, above], fmt="none", ecolor="#4a4f57", elinewidth=0.9, capsize=2, zorder=3
        )
    if max(map(len, values)) * len(values) > LONGEST_AXIS:
        names = [_labelled(value, groups, ", ") for value in values]
        axes.set_xticks(range(len(values)), names, rotation=40, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks(range(len(values)), [_labelled(value, groups) for value in values])
    axes.set_ylim(0, 100)
    axes.set_ylabel("score, %")
    axes.set_title(grouping.replace("_", " "), loc="left", fontsize=11)
    axes.grid(axis="y", color="#e3e6e9", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    if len(groups) > 1:
        axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=min(4, len(groups)))


def _radar(figure: Any, grouping: str, values: Sequence[str], groups: Groups) -> None:
    """One closed line a run; a value that a run lacks is a gap, not a zero."""
    axes = figure.add_subplot(projection="polar")
    axes.set_theta_offset(math.pi / 2)
    axes.set_theta_direction(-1)
    angles = [2 * math.pi * n / len(values) for n in range(len(values))]
    for n, (run, told) in enumerate(groups.items()):
        scores = [told[value]["score"] if value in told else math.nan for value in values]
        colour = COLOURS[n % len(COLOURS)]
        axes.plot([*angles, angles[0]], [*scores, scores[0]], label=run, color=colour, linewidth=1.8)
        axes.fill([*angles, angles[0]], [*scores, scores[0]], color=colour, alpha=0.08)
    axes.set_xticks(angles, [_labelled(value, groups) for value in values], fontsize=8)
    axes.set_ylim(0, 100)
    axes.set_yticks([25, 50, 75, 100], ["25", "50", "75", "100"], fontsize=7, color="#8b939c")
    axes.set_title(f"{grouping.replace('_', ' ')}, %", loc="left", fontsize=11, pad=22)
    axes.grid(color="#e3e6e9")
    if len(groups) > 1:
        axes.legend(
            frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, -0.2), ncols=min(3, len(groups))
        )


def _labelled(value: str, groups: Groups, between: str = "\n") -> str:
    """The value with its count; both where runs differ in it."""
    counts = sorted({told[value]["n"] for told in groups.values() if value in told})
    return f"{value or 'none'}{between}n {'/'.join(map(str, counts))}"


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, bbox_inches="tight")
    return path
