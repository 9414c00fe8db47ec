"""The world's questions: honest numbers on 500 of them at every level, texts that work with any phrase, windows that
show the event, overviews that do not."""

import pytest

from seekerdata.sample import DIMENSIONS, Sample
from seekerdata.sampling import fps_capped
from seekerdata.sources.world import World
from seekerdata.world.families import FAMILIES
from seekerdata.world.honesty import Honesty, measure
from seekerdata.world.level import LEVELS
from seekerdata.world.questions import asked, recall

COUNT = 500


@pytest.fixture(scope="module", params=LEVELS)
def asked_samples(request: pytest.FixtureRequest) -> tuple[World, list[Sample]]:
    level = LEVELS[request.param]
    world = World(level=request.param, videos=-(-COUNT // level.questions_per_video))
    return world, [world.sample(entry) for entry in world.entries()][:COUNT]


@pytest.fixture(scope="module")
def honesty(asked_samples: tuple[World, list[Sample]]) -> Honesty:
    return measure(asked_samples[1])


def test_honesty(honesty: Honesty) -> None:
    print(*honesty.facts().items(), sep="\n")
    assert honesty.questions == COUNT
    assert honesty.majority_letter <= 0.30
    assert honesty.longest_option <= 0.32
    assert honesty.look_alike_differs >= 0.90
    assert honesty.needs_mark >= 0.92
    assert honesty.needs_crop >= 0.92
    assert max(honesty.common_answer.values()) <= 0.6


def test_level_three_and_four_have_all_dimensions(asked_samples: tuple, honesty: Honesty) -> None:
    world, _ = asked_samples
    if world.level < 3:
        assert set(honesty.families) <= set(DIMENSIONS)
        return
    assert set(honesty.families) == set(DIMENSIONS)
    assert set().union(*honesty.families.values()) == set(FAMILIES)
    totals = [sum(some.values()) for some in honesty.families.values()]
    assert min(totals) >= 0.6 * COUNT / len(DIMENSIONS)


def test_texts(asked_samples: tuple) -> None:
    for sample in asked_samples[1]:
        target = sample.target
        assert sample.question.count(target.description) == 1
        assert sample.question[0].isupper() and sample.question.endswith("?")
        assert not sample.question.startswith(target.description.capitalize())
        assert "{" not in sample.question + target.evidence
        assert len(set(sample.options)) == len(sample.options) == 4
        assert target.tag and "the " not in target.tag
        assert target.unique is True


def test_the_look_alikes_answer_is_an_option(asked_samples: tuple) -> None:
    for sample in asked_samples[1]:
        other = sample.provenance["source"]["look_alike_answer"]
        assert (other is None) == (not sample.target.needs_mark)
        assert other is None or other in sample.options


def test_words_fit_as_many_things_as_the_flags_say(asked_samples: tuple) -> None:
    world, samples = asked_samples
    for sample in samples[:150]:
        index = sample.provenance["source"]["index"]
        things = recall(world.settings(), world.seed, world.level, index).scene.things
        fitting = [thing for thing in things if f"the {thing.words}" == sample.target.description]
        assert len(fitting) == (2 if sample.target.needs_mark else 1)
        words = [thing.words for thing in things]
        assert len(things) - len(set(words)) >= 1, "at least two look alike"
        if world.level > 1:
            assert 3 <= len(things) <= 8


def test_times(asked_samples: tuple) -> None:
    """The event lies inside the window, the window inside the clip; its crop shows every part of the event, the
    overview shows none (unless no crop is needed)."""
    world, samples = asked_samples
    for entry, sample in zip(world.entries(), samples, strict=False):
        (begin, end), (low, high) = sample.target.event_s, sample.target.window_s
        assert 0 <= low <= begin < end <= high <= sample.video.duration_s
        assert (round(low, 1), round(high, 1)) == (low, high)
        assert high - low < 4
        index, question = entry.data["index"], entry.data["question"]
        plan, member = asked(recall(world.settings(), world.seed, world.level, index), question)
        shown = fps_capped(1, max_frames=64, min_frames=4).times(low, high)
        for event in plan.parts[member].events:
            assert any(event.core_s[0] <= t <= event.core_s[1] for t in shown)
            hidden = int(event.start_s) == int(event.end_s) and event.start_s % 1 > 0.1 and event.end_s % 1 < 0.9
            assert hidden == sample.target.needs_crop


def test_level_one_says_little() -> None:
    world = World(level=1, videos=100)
    samples = [world.sample(entry) for entry in world.entries()]
    texts = [f"{s.question} {s.target.evidence} {' '.join(s.options)}" for s in samples]
    words = {word.strip(".,:?").lower() for text in texts for word in text.split()}
    assert len(words) <= 17
    for sample in samples:  # the marked second is where the crop starts
        start, end = sample.target.window_s
        assert start == int(start) and end == pytest.approx(start + 0.9)


def test_another_seed_is_another_world() -> None:
    one, other = (
        [World(level=3, videos=3, seed=s).sample(e) for e in World(level=3, videos=3).entries()] for s in (0, 1)
    )
    assert [s.question for s in one] != [s.question for s in other]
