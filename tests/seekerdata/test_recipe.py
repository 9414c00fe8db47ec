"""Recipes: read, changed by --set, and every mistake told at once with the nearest right word."""

from pathlib import Path

import pytest

from seekerdata.build import BuildRecipe
from seekerdata.errors import SeekerError
from seekerdata.recipe import load_recipe

GOOD = "name: t\nout: runs/t\nsource: {use: world, videos: 2}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(GOOD)
    return path


def mistakes(path: Path, *changes: str) -> list[str]:
    with pytest.raises(SeekerError) as caught:
        load_recipe(BuildRecipe, path, changes)
    return [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]


def test_bare_names_are_short_for_by(path: Path) -> None:
    path.write_text(GOOD + "filter: rules\nsegment: annotated\nsolve: expert\n")
    recipe = load_recipe(BuildRecipe, path)
    assert recipe.filter.by == "rules"
    assert recipe.segment.by.plugin_name() == "annotated"
    assert recipe.solve.by.plugin_name() == "expert"


def test_set_changes_nested_keys_and_opens_bare_names(path: Path) -> None:
    path.write_text("name: t\nout: runs/t\nsource: world\n")
    changes = ["source.videos=3", "solve.rollout.max_rounds=2", "out=/tmp/a b", "render.shapes=[arrow, point]"]
    recipe = load_recipe(BuildRecipe, path, changes)
    assert recipe.source.videos == 3  # type: ignore[attr-defined]
    assert recipe.solve.rollout.max_rounds == 2
    assert str(recipe.out) == "/tmp/a b"
    assert [shape.plugin_name() for shape in recipe.render.shapes] == ["arrow", "point"]


def test_the_recipe_seed_reaches_stages_that_set_none(path: Path) -> None:
    recipe = load_recipe(BuildRecipe, path, ["seed=7", "select.seed=1"])
    assert (recipe.render.seed, recipe.solve.seed, recipe.select.seed) == (7, 7, 1)
    assert recipe.source.seed == 7  # type: ignore[attr-defined]


def test_all_mistakes_at_once_with_near_matches(path: Path) -> None:
    path.write_text(
        GOOD.replace("videos", "vidoes")
        + "sead: 3\nrender: {shape: [arrow]}\nsolve: {recovery: 2, rollout: {max_round: 1}}\nsegment: anotated\n"
    )
    assert mistakes(path) == [
        "render.shape: unknown key, did you mean 'shapes'?",
        "sead: unknown key, did you mean 'seed'?",
        "segment.by: no 'anotated' in segmenters (did you mean 'annotated'?)",
        "solve.recovery: Input should be less than or equal to 1 (got 2)",
        "solve.rollout.max_round: unknown key, did you mean 'max_rounds'?",
        "source.vidoes: unknown key, did you mean 'videos'?",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: t\nout: x\n", "source: is needed"),
        ("name: t\nout: x\nsource: {videos: 3}\n", "source: expected a name of sources or {use: name, ...}"),
        ("name: t\nout: x\nsource: wrold\n", "source: no 'wrold' in sources (did you mean 'world'?)"),
        ("name: t\nout: x\nsource: 3\n", "source: expected a name of sources"),
        ("- a\n- b\n", "a recipe is a mapping"),
        ("name: [t\n", "not valid YAML"),
        ("", "a recipe is a mapping"),
        (GOOD + "render: {shapes: [arow]}\n", "render.shapes.0: no 'arow' in shapes (did you mean 'arrow'?)"),
        (GOOD + "render: {shapes: []}\n", "render.shapes: "),
        (GOOD + "filter: {by: gpt}\n", "filter.by: Input should be 'rules' or 'model' (got 'gpt')"),
    ],
)
def test_mistakes(text: str, words: str, path: Path) -> None:
    path.write_text(text)
    (line,) = mistakes(path)
    assert words in line


def test_missing_and_undecodable_files(tmp_path: Path) -> None:
    assert mistakes(tmp_path / "none.yaml") == ["no such recipe"]
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in mistakes(tmp_path / "bytes.yaml")[0]


def test_set_needs_a_key_and_a_value(path: Path) -> None:
    assert mistakes(path, "source.videos") == ["--set source.videos: expected key=value, such as source.videos=8"]
