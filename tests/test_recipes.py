"""Every recipe in the repository loads, and opens with the command that runs it."""

from pathlib import Path

import pytest

from seekerdata.build import BuildRecipe
from seekerdata.recipe import load_recipe

ROOT = Path(__file__).parent.parent
RECIPES = sorted((ROOT / "recipes" / "build").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_recipe_loads_and_says_its_command(path: Path) -> None:
    assert path.read_text().startswith(f"# seekerdata build {path.relative_to(ROOT)}")
    assert load_recipe(BuildRecipe, path).name == path.stem
