"""What a step of reinforcement learning costs beside its model: TRL's GRPOTrainer as it is against ours.

    python bench/rolling.py [sharing] [latency] [memory] [device]

Everything by default. Both arms play the same script with the same tiny model, seed and tools, in turns, and must come
to the same looks, rewards and loss, which is checked. The stock arm's environments share nothing, as one writes them.
CPU seconds of this process, torch on one thread. Needs the `train` extra.
"""

import math
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import datasets
import torch
from arms import ANSWER, ARMS, ROWS, TIMES, Seen, alike, outside, said, step, trainer_of
from transformers.utils import logging

from seekerdata.build import BuildRecipe, build
from seekerdata.rollout import RolloutSettings
from seekerdata.tools import VideoTools
from seekertrain.tiny import init_tiny

ROUNDS, WAIT_S = 3, 0.25


def world(folder: Path, side: int) -> Path:
    """A dataset of questions about clips of ten seconds, and the tiny model."""
    source = {"use": "world", "level": 1, "videos": 2 * ROWS, "questions_per_video": 1, "options": False}
    source["size_wh"] = [side, side]
    recipe = {"name": "bench", "out": folder, "source": source, "select": {"rl_share": 0.9}, "engine": {"workers": 1}}
    build(BuildRecipe.model_validate(recipe | {"filter": {"by": "rules", "allow": ["counting"]}}))
    init_tiny(folder / "tiny")
    return folder


def sharing(folder: Path) -> None:
    """Pictures preprocessed, frames decoded, and the step's CPU outside the model."""
    best: dict[str, Seen] = {}
    for _ in range(ROUNDS):
        made = {arm: step(arm, folder, RolloutSettings()) for arm in ARMS}
        alike(made["stock"], made["ours"])
        for arm, seen in made.items():
            if arm not in best or outside(seen) < outside(best[arm]):
                best[arm] = seen
    of = {arm: seen.spent for arm, seen in best.items()}
    print(f"sharing: a step of {ROWS} questions, each played {TIMES} times; least of {ROUNDS} rounds")
    print(f"{'':24}{'stock TRL':>10} {'ours':>8} {'ratio':>7} {'least':>7}")
    rows = {"preprocessed": ("pictures preprocessed", "distinct"), "decoded": ("frames decoded", "frames")}
    for key, (name, least) in rows.items():
        stock, ours = of["stock"][key], of["ours"][key]
        print(f"{name:24}{stock:10} {ours:8} {stock / ours:7.1f} {of['ours'][least]:7}")
    stock, ours = outside(best["stock"]), outside(best["ours"])
    print(f"{'CPU s outside the model':24}{stock:10.2f} {ours:8.2f} {stock / ours:7.1f}")
    print(f"{'CPU s of the model':24}{of['stock']['model']:10.2f} {of['ours']['model']:8.2f}")
    shares = [outside(best[arm]) / of[arm]["step"] for arm in ARMS]
    print(f"{'share outside the model':24}{shares[0]:10.1%} {shares[1]:8.1%}")


def latency(folder: Path) -> None:
    """What looks at slow storage add to a turn: each look waits."""
    show = VideoTools._show
    spent = {(arm, wait_s): math.inf for arm in ARMS for wait_s in (0.0, WAIT_S)}
    for _ in range(ROUNDS):
        for arm, wait_s in spent:
            VideoTools._show = lambda tools, look, s=wait_s: (time.sleep(s), show(tools, look))[1]  # type: ignore[method-assign]
            try:
                took = step(arm, folder, RolloutSettings(), rows=1, real=False).spent["tools"]
            finally:
                VideoTools._show = show  # type: ignore[method-assign]
            spent[arm, wait_s] = min(spent[arm, wait_s], took)
    calls = [sum(said(n, turn) != ANSWER for n in range(TIMES)) for turn in range(3)]
    print(f"\nlatency: {TIMES} rollouts, turns of {calls} looks that each wait {WAIT_S} s; wall s of all turns")
    for arm in ARMS:
        added = spent[arm, WAIT_S] - spent[arm, 0.0]
        slowest = added / len(calls) / WAIT_S
        print(f"{arm:>8}: {added:5.2f} s more than without the wait, {slowest:4.1f} times each turn's slowest look")


def rolled(arm: str, name: str, rows: int) -> tuple[float, float]:
    """MB by which playing a batch raises the peak of this process, and of the patches that TRL's step is given."""
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    pixels = 448 * 448
    tools = {"max_pixels": pixels}
    play = RolloutSettings.model_validate({"overview_fps": 0.4, "max_pixels": pixels, "tools": tools})
    trainer = trainer_of(arm, Path(name), Seen(), play, rows, real=False)
    trainer.model.train()
    batch = [trainer.train_dataset[n] for n in range(rows) for _ in range(TIMES)]
    before = peak_mb(anew=True)
    made = trainer._generate_and_score_completions(batch)
    return peak_mb() - before, made["pixel_values"].nbytes / 2**20


def peak_mb(anew: bool = False) -> float:
    """The largest memory of this process so far, or from now on; what getrusage says begins with the parent's."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def memory(_: Path) -> None:
    """Host memory of rollouts of larger frames, by how many there are; each arm in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        world(Path(name), 448)
        print("\nmemory: frames of 448 x 448, MB that playing a batch adds to the peak, for each rollout")
        print(f"{'rollouts':>8} {'stock TRL':>10} {'ours':>7} {'ratio':>6} {'patches in the batch':>22}")
        for rows in (1, ROWS):
            found = {}
            for arm in ARMS:
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    peak, patches = pool.apply(rolled, (arm, name, rows))
                found[arm] = peak / rows / TIMES
            least = patches / rows / TIMES
            ratio = found["stock"] / found["ours"]
            print(f"{rows * TIMES:8} {found['stock']:10.1f} {found['ours']:7.1f} {ratio:6.1f} {least:22.1f}")


def device(folder: Path) -> None:
    """Rollouts per second where there is an accelerator."""
    if not torch.cuda.is_available():
        print("\ndevice: rollouts per second on an accelerator: not measured, there is none")
        return
    best = dict.fromkeys(ARMS, math.inf)
    for _ in range(ROUNDS):
        for arm in ARMS:
            best[arm] = min(best[arm], step(arm, folder, RolloutSettings(), use_cpu=False).spent["wall"])
    print(f"\ndevice: {torch.cuda.get_device_name()}, {ROWS * TIMES} rollouts a step, whole steps")
    for arm in ARMS:
        print(f"{arm:>8}: {ROWS * TIMES / best[arm]:6.1f} rollouts/s, {best['stock'] / best[arm]:4.2f} of stock TRL")


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as name:
        datasets.config.HF_DATASETS_CACHE = Path(name) / "arrow"
        folder = world(Path(name) / "world", 112)
        for part in (sharing, latency, memory, device):
            if not names or part.__name__ in names:
                part(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
