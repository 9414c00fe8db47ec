"""Draws docs/marks.jpg, the eight marks on frames of the procedural world; docs/page.jpg and docs/trajectory.jpg, which
are the page of a run in Chromium.

    python docs/pictures.py [RUN]          # RUN: runs/quickstart (make demo)

docs/training.png is `runs/quickstart_sft/loss.png` (make sft-demo).
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

import PIL.Image
import PIL.ImageOps

from seekerdata.build import BuildRecipe, build
from seekerdata.shards import read
from seekerdata.show import show

TILE = (320, 240)


def marks(path: Path) -> None:
    with tempfile.TemporaryDirectory() as out:
        source = {"use": "world", "level": 3, "videos": 8, "questions_per_video": 1}
        recipe = {"name": "marks", "out": out, "source": source, "filter": {"by": "rules", "allow": ["counting"]}}
        report = build(BuildRecipe.model_validate(recipe))
        rows = sorted(read(report.out / "dataset", "qa"), key=lambda row: row["shape"])
        sheet = PIL.Image.new("RGB", (4 * TILE[0], 2 * TILE[1]))
        for n, row in enumerate(rows[:8]):
            sheet.paste(row["image"].resize(TILE), (n % 4 * TILE[0], n // 4 * TILE[1]))
    sheet.save(path, quality=90, subsampling=0)


def page(run: Path, folder: Path) -> None:
    """The page with its list at an item, and the conversation of that item."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as out, sync_playwright() as driver:
        shown = show(run, Path(out) / "page.html", 200)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 880})
        tab.goto(f"{shown.as_uri()}#item-2")
        tab.wait_for_function("document.querySelector('#item figure img').complete")
        _save(tab.screenshot(), folder / "page.jpg")
        tab.evaluate("document.querySelectorAll('.turn.user, .turn.system').forEach(turn => turn.remove())")
        _save(tab.locator("#item .talk").screenshot(), folder / "trajectory.jpg")
        browser.close()


def _save(png: bytes, path: Path) -> None:
    picture = PIL.Image.open(io.BytesIO(png)).convert("RGB")
    PIL.ImageOps.expand(picture, 16, "white").save(path, quality=88, subsampling=0)


if __name__ == "__main__":
    here = Path(__file__).parent
    marks(here / "marks.jpg")
    page(Path(*(sys.argv[1:] or ["runs/quickstart"])), here)
