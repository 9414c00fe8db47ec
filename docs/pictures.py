"""Draws docs/marks.jpg: the eight marks on frames of the procedural world.

    python docs/pictures.py

docs/page.jpg is a browser's picture of `runs/quickstart/page.html` (make demo), 1280 pixels wide. docs/training.png is
`runs/quickstart_sft/loss.png` (make sft-demo).
"""

import tempfile
from pathlib import Path

import PIL.Image

from seekerdata.build import BuildRecipe, build
from seekerdata.dataset import read

TILE = (320, 240)


def main() -> None:
    with tempfile.TemporaryDirectory() as out:
        source = {"use": "world", "level": 3, "videos": 8, "questions_per_video": 1}
        recipe = {"name": "marks", "out": out, "source": source, "filter": {"by": "rules", "allow": ["counting"]}}
        report = build(BuildRecipe.model_validate(recipe))
        rows = sorted(read(report.out / "dataset", "qa"), key=lambda row: row["shape"])
        sheet = PIL.Image.new("RGB", (4 * TILE[0], 2 * TILE[1]))
        for n, row in enumerate(rows[:8]):
            sheet.paste(row["image"].resize(TILE), (n % 4 * TILE[0], n // 4 * TILE[1]))
    sheet.save(Path(__file__).parent / "marks.jpg", quality=90, subsampling=0)


if __name__ == "__main__":
    main()
