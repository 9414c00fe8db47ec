"""Questions: from an episode to samples. Needs no pixels, so a thousand questions take a second."""

import re
from functools import lru_cache
from typing import Any

import numpy as np

from seekerdata.errors import ItemError
from seekerdata.sample import LETTERS, Sample, Target, VideoRef
from seekerdata.world.episode import Episode, Planned, episode
from seekerdata.world.families import FAMILIES
from seekerdata.world.level import Level
from seekerdata.world.plans import Part
from seekerdata.world.scene import Thing

CHOICES = 4


@lru_cache(maxsize=512)
def recall(level: Level, seed: int, number: int, index: int) -> Episode:
    """`episode`, remembered: a clip's questions do not follow each other, every clip's first comes first."""
    return episode(level, seed, number, index)


def asked(found: Episode, question: int) -> tuple[Planned, int]:
    """The plan and the member (0 or 1) that question number `question` of a clip is about.

    Raises:
        ItemError: `no_room`, the clip has no such many different questions.
    """
    if question >= 2 * len(found.planned):
        raise ItemError("no_room", f"the clip has only {2 * len(found.planned)} different questions")
    plan = found.planned[question % len(found.planned)]
    return plan, (plan.first + question // len(found.planned)) % 2


def compose(found: Episode, level: Level, seed: int, index: int, question: int, open_answer: bool) -> dict[str, Any]:
    """The fields of a `Sample` that follow from the scene: question, options, answer, dimension, target."""
    plan, member = asked(found, question)
    family, part, other = FAMILIES[plan.family], plan.parts[member], plan.parts[1 - member]
    thing = found.scene.things[plan.pair[member]]
    turn = index * level.questions_per_video + question
    rng = np.random.default_rng(np.random.SeedSequence([seed, turn, 7]))
    wording = family.questions[int(rng.integers(len(family.questions))) if level.natural else 0]
    description = f"the {thing.words}"
    options = () if open_answer else _options(rng, seed, turn, part, other.answer if plan.alike else "")
    answer = part.answer if open_answer else LETTERS[options.index(part.answer)]
    return {
        "question": wording.format(target=description, other=part.other),
        "options": options,
        "answer": answer,
        "dimension": family.dimension,
        "target": _target(found, level, plan, member, description),
    }


def _target(found: Episode, level: Level, plan: Planned, member: int, description: str) -> Target:
    family, part = FAMILIES[plan.family], plan.parts[member]
    thing = found.scene.things[plan.pair[member]]
    evidence = family.evidence.format(answer=part.answer, other=part.other)
    if level.plain:
        sides = ("left", "right") if thing.path.centre_xy[0] < level.size_wh[0] / 2 else ("right", "left")
        seen = dict(zip(sides, (part.answer, plan.parts[1 - member].answer), strict=True))
        evidence = f"left {seen['left']}, right {seen['right']}. It is on the {sides[0]}: {part.answer}."
    return Target(
        tag=tag(thing),
        description=description,
        unique=True,  # two things may share the words, but the world knows which one is meant
        window_s=plan.windows[member],
        event_s=(min(e.start_s for e in part.events), max(e.end_s for e in part.events)),
        evidence=evidence[0].upper() + evidence[1:] if not level.plain else evidence,
        needs_mark=plan.alike,
        needs_crop=not plan.held,
    )


def tag(thing: Thing) -> str:
    """A noun phrase for a text-prompted segmenter."""
    return re.sub(r"\bthe ", "", thing.words)


def _options(rng: np.random.Generator, seed: int, turn: int, part: Part, look_alike: str) -> tuple[str, ...]:
    """Four options: the answer, the look-alike's answer, near misses, then others. The answer's place is dealt in
    blocks of four questions, so that letters are balanced in every stretch."""
    wrong = [w for w in (look_alike, *part.near) if w in part.pool and w != part.answer]
    rest = [str(w) for w in rng.permutation([w for w in part.pool if w not in (*wrong, part.answer)])]
    wrong = list(dict.fromkeys([*wrong, *rest]))[: CHOICES - 1]
    wrong = [str(w) for w in rng.permutation(wrong)]
    deal = np.random.default_rng(np.random.SeedSequence([seed, turn // CHOICES, 11])).permutation(CHOICES)
    wrong.insert(int(deal[turn % CHOICES]), part.answer)
    return tuple(wrong)


def sample(
    name: str,
    level: Level,
    number: int,
    seed: int,
    index: int,
    question: int,
    open_answer: bool = False,
) -> Sample:
    """A whole sample but for its video file and its instance; `name` becomes its id."""
    found = recall(level, seed, number, index)
    plan, member = asked(found, question)
    scene = found.scene
    return Sample(
        id=name,
        video=VideoRef(
            path="",
            sha256="",
            duration_s=scene.duration_s,
            size_wh=scene.size_wh,
            fps=scene.fps,
            origin="world",
            licence="Apache-2.0",
        ),
        provenance={
            "source": {
                "seed": seed,
                "level": number,
                "index": index,
                "family": plan.family,
                "look_alike_answer": plan.parts[1 - member].answer if plan.alike else None,
            }
        },
        **compose(found, level, seed, index, question, open_answer),
    )
