"""rl_curves: a picture from any log, with gaps where nothing was measured."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from transformers import TrainerState

from seekertrain.progress import BLUE, Curve, curve, points
from seekertrain.rl_curves import COLOURS, rl_curves


def history(steps: int) -> list[dict[str, Any]]:
    """A run as TRL logs it, with parts that a step could not tell, evaluations and plays."""
    rng, found = np.random.default_rng(0), list[dict[str, Any]]()
    for step in range(1, steps + 1):
        near = 1 - math.exp(-step / 40)
        noise = lambda scale: float(rng.normal(0, scale))  # noqa: E731
        found.append(
            {
                "step": step,
                "reward": 0.6 + 0.3 * near + noise(0.05),
                "rewards/accuracy/mean": 0.7 + 0.2 * near + noise(0.06),
                "rewards/accuracy/std": 0.3,
                "rewards/format/mean": min(1.0, 0.95 + noise(0.02)),
                "rewards/parsimony/mean": None if step % 3 else 0.8 + noise(0.03),
                "tools/call_frequency": 2.3 - 0.4 * near + noise(0.08),
                "tools/refused_frequency": abs(noise(0.05)),
                "tools/failure_frequency": 0.0,
                "frac_reward_zero_std": min(1.0, max(0.0, 0.3 + 0.3 * near + noise(0.1))),
                "entropy": 0.4 * math.exp(-step / 60) + abs(noise(0.02)),
                "completions/clipped_ratio": abs(noise(0.02)),
                "clip_ratio/region_mean": math.nan if step == 5 else abs(noise(0.01)),
            }
        )
        if step % 20 == 0:
            found.append({"step": step, "plays_right": 0.7 + 0.2 * near, "plays_looked": 1.0})
            found.append({"step": step, "eval_rewards/accuracy/mean": 0.65 + 0.2 * near})
    return found


def opened(data: bytes) -> np.ndarray:
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def shows(picture: np.ndarray, colour: str) -> bool:
    """Whether more than a few points have this colour."""
    wanted = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)])
    return int((np.abs(picture - wanted).max(axis=2) <= 8).sum()) > 50


def test_every_panel_is_drawn() -> None:
    picture = opened(rl_curves(history(120)))
    assert picture.shape[1] == 1300 and picture.shape[0] > 900
    assert all(shows(picture, colour) for colour in COLOURS[:4])


def test_what_was_not_logged_has_no_panel() -> None:
    bare = [{"step": n, "reward": 0.5, "rewards/accuracy/mean": 0.4} for n in range(1, 4)]
    one, all_of_them = (opened(rl_curves(some)).shape[0] for some in (bare, history(20)))
    assert one < all_of_them / 2
    assert opened(rl_curves([])).size and opened(rl_curves([{"step": 1, "entropy": None}])).size


def test_a_number_that_trl_could_not_tell_is_a_gap() -> None:
    """TRL logs None where every value of a step was NaN."""
    logged = [{"step": 1, "reward": None}, {"step": 2, "reward": 0.5}, {"step": 3, "reward": math.inf}, {"step": 4}]
    assert points(logged, "reward") == ([2], [0.5])


def test_the_picture_is_written_at_saves_beside_the_log(tmp_path: Path) -> None:
    state = TrainerState(is_world_process_zero=True, log_history=history(4))
    Curve(tmp_path, "curves.png", rl_curves).on_save(None, state, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "log.jsonl"]
    assert opened((tmp_path / "curves.png").read_bytes()).size


def test_a_picture_is_drawn_once_for_what_is_new(tmp_path: Path) -> None:
    """As Trainer logs: the time so far in every entry, the mean loss in the last."""
    drawn: list[int] = []

    def draw(history: Sequence[dict[str, Any]]) -> bytes:
        drawn.append(len(history))
        return curve(history)

    logged = [{"step": step, "loss": 4.0 / step, "train_runtime": 1.0 * step} for step in (1, 2)]
    state = TrainerState(is_world_process_zero=True, log_history=logged)
    shown = Curve(tmp_path, drawn=draw)
    shown.on_evaluate(None, state, None)
    shown.on_save(None, state, None)
    assert drawn == [2] and shows(opened((tmp_path / "loss.png").read_bytes()), BLUE)
    state.log_history.append({"step": 3, "loss": 1.0, "train_runtime": 3.0})
    shown.on_save(None, state, None)
    state.log_history.append({"step": 3, "train_loss": 2.3, "train_runtime": 3.0})
    shown.on_train_end(None, state, None)
    assert drawn == [2, 3] and len((tmp_path / "log.jsonl").read_text().splitlines()) == 4
