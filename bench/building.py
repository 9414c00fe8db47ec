"""Where the time of a build goes: seconds of work by stage, samples per second of one core.

    python bench/building.py [RECIPE]

Prints shares and ratios from one run with one process on the quickstart recipe (or the one given).
"""

import sys
import tempfile
import time
from pathlib import Path

from seekerdata.build import BuildRecipe, build
from seekerdata.recipe import load_recipe

ROOT = Path(__file__).parent.parent


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "recipes" / "build" / "quickstart.yaml"
    with tempfile.TemporaryDirectory() as folder:
        recipe = load_recipe(BuildRecipe, path, [f"out={folder}/run", "engine.workers=1"])
        started = time.perf_counter()
        report = build(recipe)
        wall = time.perf_counter() - started
    samples = report.rows["qa"]
    worked = sum(stage["seconds"] for stage in report.stages)
    print(f"{path.name}: {samples} samples in {wall:.1f} s on one core, {samples / wall:.2f} samples/s")
    print(f"{'stage':8} {'share of the run':>17} {'ms/sample':>10}")
    for stage in report.stages:
        print(f"{stage['name']:8} {stage['seconds'] / wall:17.1%} {1000 * stage['seconds'] / samples:10.1f}")
    print(f"{'output':8} {(wall - worked) / wall:17.1%} {1000 * (wall - worked) / samples:10.1f}")


if __name__ == "__main__":
    main()
