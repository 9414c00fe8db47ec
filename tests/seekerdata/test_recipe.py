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


@pytest.mark.parametrize(
    ("text", "changes", "use", "settings"),
    [
        ("segment: annotated", ["segment.by={use: sam3, new_score: 0.2}"], "sam3", {"new_score": 0.2}),
        ("segment: annotated", ["segment.by=sam3"], "sam3", {}),
        ("segment: annotated", ["segment.by.use=sam3"], "sam3", {}),
        ("segment: sam3", ["segment.by.new_score=0.2", "segment.by.fps=2"], "sam3", {"new_score": 0.2, "fps": 2.0}),
        ("segment: {by: sam3}", ["segment.by.new_score=0.2"], "sam3", {"new_score": 0.2}),
        ("segment: {by: {use: sam3}}", ["segment.by.new_score=0.2"], "sam3", {"new_score": 0.2}),
        ("segment: sam3", ["segment.max_area=0.5", "segment.by.new_score=0.2"], "sam3", {"new_score": 0.2}),
        ("segment: sam3", ["segment=annotated"], "annotated", {}),
        ("seed: 0", ["segment.by={use: sam3}"], "sam3", {}),
    ],
)
def test_set_reaches_into_a_stage_that_is_a_bare_name(
    text: str, changes: list[str], use: str, settings: dict[str, float], path: Path
) -> None:
    path.write_text(f"{GOOD}{text}\n")
    segment = load_recipe(BuildRecipe, path, changes).segment
    assert segment.by.plugin_name() == use
    assert {name: getattr(segment.by, name) for name in settings} == settings
    assert segment.max_area == (0.5 if "segment.max_area=0.5" in changes else 0.8)


@pytest.mark.parametrize(
    "stage", ["filter: {by: model, model: openai/a}", "filter: {by: model, model: {model: openai/a}}"]
)
def test_set_reaches_into_a_model_that_is_a_bare_name(stage: str, path: Path) -> None:
    path.write_text(f"{GOOD}{stage}\n")
    model = load_recipe(BuildRecipe, path, ["filter.model.base_url=http://h/v1"]).filter.model
    assert model is not None and (model.model, model.base_url) == ("openai/a", "http://h/v1")
    path.write_text(f"{GOOD}filter: model\n")
    model = load_recipe(BuildRecipe, path, ["filter.model=openai/a", "filter.model.seed=3"]).filter.model
    assert model is not None and (model.model, model.seed) == ("openai/a", 3)


def test_the_seed_reaches_a_source_and_a_stage_that_set_opened(path: Path) -> None:
    path.write_text("name: t\nout: runs/t\nseed: 7\nsource: world\nrender: template\n")
    recipe = load_recipe(BuildRecipe, path, ["source.videos=3", "render.shapes=[arrow]"])
    assert (recipe.source.seed, recipe.render.seed, recipe.render.by) == (7, 7, "template")  # type: ignore[attr-defined]


def test_a_name_where_keys_belong_is_said(path: Path) -> None:
    path.write_text(GOOD + "dataset: embedded\nexpected_retention: paper\n")
    words = "the recipe has a name here, and --set adds keys to it"
    assert mistakes(path, "dataset.media=embedded") == [f"dataset: {words}"]
    assert mistakes(path, "dataset={}", "expected_retention.filter=0.5") == [f"expected_retention: {words}"]


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
