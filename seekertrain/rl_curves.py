"""rl_curves: the picture of a run of reinforcement learning: rewards, looks, and what shows that it goes wrong.

Importing this file loads transformers.
"""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from seekertrain.progress import BLUE, GREEN, ORANGE, points

GREY, RED, VIOLET, BROWN = "#5d656f", "#c0322b", "#6a51a3", "#8c6239"
COLOURS = (BLUE, ORANGE, GREEN, VIOLET, RED, BROWN, GREY)
SMOOTH_FROM, SMOOTH = 30, 10
"""A curve of so many points is drawn pale, with its mean over the last so many of them on top."""


class Panel(NamedTuple):
    """One small picture: what it is about, and its curves by the logged number's name."""

    title: str
    curves: dict[str, str]
    share: bool = False
    """Whether its values lie between 0 and 1."""


PANELS = (
    Panel("calls per rollout", {"tools/call_frequency": "calls", "tools/refused_frequency": "refused"}),
    Panel("groups whose rollouts all have one reward", {"frac_reward_zero_std": "share of groups"}, share=True),
    Panel("entropy of a token", {"entropy": "nats"}),
    Panel(
        "clipped",
        {"completions/clipped_ratio": "rollouts cut off", "clip_ratio/region_mean": "tokens outside the trust region"},
        share=True,
    ),
    Panel(
        "tool errors",
        {
            "tools/refused_share": "calls refused",
            "tools/failure_frequency": "calls that raised",
            "rollouts/not_shown": "rollouts without video",
        },
        share=True,
    ),
    Panel(
        "held out",
        {
            "plays_right": "plays that are right",
            "plays_looked": "plays that looked",
            "eval_rewards/accuracy/mean": "sampled accuracy",
        },
        share=True,
    ),
)
"""The panels after that of the rewards, whose parts the log names."""


def rl_curves(history: Sequence[dict[str, Any]]) -> bytes:
    """A PNG of all panels that something was logged for, from a trainer's `log_history`."""
    from matplotlib.figure import Figure

    history = [_with_share(entry) for entry in history]
    panels = [panel for panel in (_rewards(history), *PANELS) if any(points(history, key)[0] for key in panel.curves)]
    rows = max(1, (len(panels) + 1) // 2)
    height = 2.7 * rows
    figure = Figure(figsize=(10.0, height), dpi=130)
    places = figure.subplots(rows, 2, squeeze=False, sharex=True).flatten()
    figure.subplots_adjust(left=0.05, right=0.99, top=1 - 0.3 / height, bottom=0.45 / height, wspace=0.13, hspace=0.3)
    for axes, panel in zip(places, panels, strict=False):
        _draw(axes, panel, history)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes in places[max(0, len(panels) - 2) : len(panels)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("step", fontsize=8)
    data = io.BytesIO()
    figure.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()


def _rewards(history: Sequence[dict[str, Any]]) -> Panel:
    """The reward and its parts, each before it is weighted."""
    logged = dict.fromkeys(key for entry in history for key in entry)
    parts = {key: key.split("/")[1] for key in logged if key.startswith("rewards/") and key.endswith("/mean")}
    return Panel("reward and its parts", {"reward": "reward"} | parts)


def _with_share(entry: dict[str, Any]) -> dict[str, Any]:
    """A log with refused calls as a share of the calls too; nothing where no call was made."""
    calls, refused = entry.get("tools/call_frequency"), entry.get("tools/refused_frequency")
    return entry | {"tools/refused_share": refused / calls} if calls and refused is not None else entry


def _draw(axes: Any, panel: Panel, history: Sequence[dict[str, Any]]) -> None:
    for colour, (key, name) in zip(COLOURS * len(panel.curves), panel.curves.items(), strict=False):
        steps, values = points(history, key)
        if not steps:
            continue
        if len(steps) < SMOOTH_FROM:
            axes.plot(steps, values, "o-", color=colour, label=name, linewidth=1.5, markersize=3)
        else:
            axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.25)
            axes.plot(steps, _smooth(values), color=colour, label=name, linewidth=1.7)
    axes.set_title(panel.title, fontsize=9.5, loc="left")
    axes.grid(color="#e3e6e9")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(*((-0.03, 1.03) if panel.share else (None, None)))
    if len(panel.curves) > 1:
        axes.legend(fontsize=7.5, frameon=False, ncols=2)


def _smooth(values: Sequence[float]) -> list[float]:
    """Each value's mean with those before it."""
    windows = [values[max(0, n - SMOOTH + 1) : n + 1] for n in range(len(values))]
    return [sum(window) / len(window) for window in windows]
