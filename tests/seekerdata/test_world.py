"""The world as a source: stable entries, reproducible files, samples that fulfil the contract, opaque names."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from seekerdata.errors import ItemError
from seekerdata.instance import decode_mask, mask_box
from seekerdata.plugin import load
from seekerdata.sample import DIMENSIONS, Sample
from seekerdata.sources.world import World
from seekerdata.workspace import Workspace
from seekerdata.world.families import FAMILIES
from seekerdata.world.level import COLOURS, LEVELS, SHAPES

SMALL = {1: {}, 3: {"duration_s": (20, 20), "size_wh": (160, 120), "fps": 10}}
"""A level 3 that takes a second to film."""


def workspace(root: Path) -> Workspace:
    return Workspace(root=root, video_root=root / "videos")


@pytest.fixture(scope="module", params=[1, 3])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path, list[Sample]]:
    """A world, its folder and its samples read end to end."""
    world = World(level=request.param, videos=1, **SMALL[request.param])
    root = tmp_path_factory.mktemp("world")
    return world, root, [world.read(entry, workspace(root)) for entry in world.entries()]


def test_it_is_found_by_name() -> None:
    assert load("sources", "world") is World
    assert (World.__doc__ or "").count("\n") == 0


def test_entries_are_stable_and_unique() -> None:
    world = World(level=3, videos=20)
    ids = [entry.id for entry in world.entries()]
    assert ids == [entry.id for entry in World(level=3, videos=20).entries()]
    assert len(set(ids)) == len(ids) == 20 * LEVELS[3].questions_per_video
    assert ids[0] == "world-3-0-0-0"
    assert set(ids) > {entry.id for entry in World(level=3, videos=10).entries()}
    first = [entry.data["index"] for entry in world.entries()][:20]
    assert first == list(range(20)), "every clip comes once before any comes again"


@pytest.mark.parametrize("change", [{"fps": 20}, {"options": False}, {"duration_s": (30, 40)}, {"families": ("OD",)}])
def test_other_settings_give_other_ids(change: dict) -> None:
    plain = {entry.id for entry in World(level=3, videos=2).entries()}
    assert not plain & {entry.id for entry in World(level=3, videos=2, **change).entries()}


def test_reading_in_any_order_gives_the_same(made: tuple, tmp_path: Path) -> None:
    world, root, samples = made
    entries = list(world.entries())
    again = [world.read(entry, workspace(tmp_path)) for entry in reversed(entries)][::-1]
    assert again == samples
    for sample in samples:  # the very bytes, too
        name = sample.video.path
        assert (root / "videos" / name).read_bytes() == (tmp_path / "videos" / name).read_bytes()


def test_one_film_for_all_questions_of_a_clip(made: tuple) -> None:
    _, root, samples = made
    assert {sample.video.path for sample in samples} == {f.name for f in (root / "videos").iterdir()}
    assert len({sample.video.sha256 for sample in samples}) == 1


def test_names_leak_nothing(made: tuple) -> None:
    words = {*COLOURS, *SHAPES, *FAMILIES, "person"}
    for sample in made[2]:
        assert re.fullmatch(r"[0-9a-f]{20}\.mp4", sample.video.path)
        assert not any(word in sample.id for word in words)


def test_the_file_is_what_the_sample_says(made: tuple) -> None:
    import av

    _, root, samples = made
    ref = samples[0].video
    with av.open(str(root / "videos" / ref.path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height) == ref.size_wh
        assert float(stream.average_rate) == ref.fps
        assert stream.frames == ref.duration_s * ref.fps
        assert "creation_time" not in {**container.metadata, **stream.metadata}
    assert (ref.origin, ref.licence) == ("world", "Apache-2.0")


def test_sightings_are_exact(made: tuple) -> None:
    for sample in made[2]:
        width, height = sample.video.size_wh
        times = [sighting.time_s for sighting in sample.instance.sightings]
        assert times == sorted(times)
        assert all(time_s % 1 == 0 or _near_event(sample, time_s) for time_s in times)
        assert any(sample.target.window_s[0] - 0.5 <= t <= sample.target.window_s[1] and t % 1 == 0 for t in times)
        for sighting in sample.instance.sightings:
            mask = decode_mask(sighting.mask)
            assert mask.shape == (height, width)
            assert mask_box(mask) == sighting.box_xyxy


def _near_event(sample: Sample, time_s: float) -> bool:
    return sample.target.event_s[0] <= time_s <= sample.target.event_s[1]


def test_open_answers_and_both() -> None:
    world = World(level=3, videos=12, options=False)
    opened = [world.sample(entry) for entry in world.entries()]
    assert not any(sample.options for sample in opened)
    closed = [World(level=3, videos=12).sample(entry) for entry in world.entries()]
    assert [s.answer for s in opened] == [s.answer_text for s in closed]
    both = World(level=3, videos=12, options="both", open_share=0.25)
    assert sum(not both.sample(entry).options for entry in both.entries()) == 9


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_alone_makes_questions(family: str) -> None:
    world = World(level=3, videos=2, questions_per_video=2, families=(family,))
    samples = [world.sample(entry) for entry in world.entries()]
    assert {s.provenance["source"]["family"] for s in samples} == {family}
    assert {s.dimension for s in samples} == {FAMILIES[family].dimension}


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if family.plain])
def test_plain_families_at_level_one(family: str) -> None:
    world = World(level=1, videos=10, families=(family,))
    assert {world.sample(entry).provenance["source"]["family"] for entry in world.entries()} == {family}


def test_many_questions_about_a_clip_are_all_different() -> None:
    for level in LEVELS:
        world = World(level=level, videos=3, questions_per_video=6)
        samples = [world.sample(entry) for entry in world.entries()]
        asked = {(s.provenance["source"]["index"], s.question, s.target.event_s, s.answer_text) for s in samples}
        assert len(asked) == 18


def test_more_questions_than_plans_ask_about_the_look_alike() -> None:
    world = World(level=1, videos=5)
    samples = [world.sample(entry) for entry in world.entries()]
    for one, other in zip(samples[:5], samples[5:], strict=True):
        assert one.question == other.question
        assert other.provenance["source"]["look_alike_answer"] == one.answer_text != other.answer_text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"families": ("flush",)}, "did you mean 'flash'"),
        ({"size_wh": (321, 240)}, "even"),
        ({"duration_s": (30, 20)}, "shortest"),
        ({"level": 5}, "level"),
        ({"level": 1, "families": ("PU",)}, "level 1 has only flash, dart"),
        ({"videos": 0}, "videos"),
    ],
)
def test_mistakes_are_told(settings: dict, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        World(**settings)


def test_a_world_without_room_says_so() -> None:
    world = World(level=3, videos=1, duration_s=(6, 6), questions_per_video=6, families=("AS", "PU", "FT"))
    with pytest.raises(ItemError, match="no room"):
        for entry in world.entries():
            world.sample(entry)


def test_dimension_codes_choose_families() -> None:
    assert World(families=("SR", "flash")).settings().families == ("flash", "visit", "swap")
    assert {family.dimension for family in FAMILIES.values()} == set(DIMENSIONS)
