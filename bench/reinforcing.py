"""reinforcing: what recipes/rl/quickstart.yaml makes of a careless model, by seed: held-out plays and rollouts.

Needs the model and the data that the recipe names (`make train-demo` makes them). A seed whose run is finished is read.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RECIPE = "recipes/rl/quickstart.yaml"
STEPS = 10
"""Steps at the begin and at the end of a run whose rollouts are averaged."""
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
"""Student's t for an interval of 95 % from so many runs."""
COLUMNS = {
    "held out, right": ("plays_right", False),
    "held out, calls": ("plays_calls", False),
    "rollouts, right": ("rewards/accuracy/mean", True),
    "rollouts, form": ("rewards/format/mean", True),
    "rollouts, calls": ("tools/call_frequency", True),
}


def trained(seed: int, out: Path, changes: list[str]) -> list[dict[str, Any]]:
    """The log of a seed's run, which is made if it is not there."""
    command = [sys.executable, "-m", "seekertrain.cli", "rl", RECIPE, "--set", f"seed={seed}", "--out", str(out)]
    subprocess.run([*command, *(part for change in changes for part in ("--set", change))], check=True, cwd=ROOT)
    return [json.loads(line) for line in (ROOT / out / "log.jsonl").read_text().splitlines()]


def before_and_after(log: list[dict[str, Any]], key: str, averaged: bool) -> tuple[float, float]:
    values = [entry[key] for entry in log if key in entry]
    if not averaged:
        return values[0], values[-1]
    return statistics.fmean(values[:STEPS]), statistics.fmean(values[-STEPS:])


def interval(values: list[float]) -> str:
    """Mean and 95 % interval over runs."""
    if len(values) not in T95:
        return f"{statistics.fmean(values):.3f}"
    half = T95[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):+.3f} ± {half:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/reinforced"))
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE")
    given = parser.parse_args()
    logs = {seed: trained(seed, given.out / str(seed), given.changes) for seed in given.seeds}
    print(f"{'':>16}" + "".join(f"{f'seed {seed}':>16}" for seed in logs) + "   change, 95 %")
    for name, (key, averaged) in COLUMNS.items():
        pairs = [before_and_after(log, key, averaged) for log in logs.values()]
        told = "".join(f"{f'{first:.3f} -> {last:.3f}':>16}" for first, last in pairs)
        print(f"{name:>16}{told}   {interval([last - first for first, last in pairs])}")


if __name__ == "__main__":
    main()
