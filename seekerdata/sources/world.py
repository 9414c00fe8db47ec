"""World: clips made from a seed, with questions whose truth is known to the pixel. The embedded default source."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from seekerdata.instance import Instance
from seekerdata.plugin import near
from seekerdata.sample import DIMENSIONS, Sample, digest
from seekerdata.stage import Entry, Source
from seekerdata.workspace import Workspace, write_atomically
from seekerdata.world.families import FAMILIES
from seekerdata.world.level import LEVELS, Level

__all__ = ["World"]


class World(Source):
    """Procedural clips in which look-alikes move and brief events happen; every answer, mask and window is known."""

    version = 2

    level: Literal[1, 2, 3, 4] = 3
    """1 is for a 2 M-parameter model on a CPU, 4 has the sizes and texts of real sets."""
    lists_by = frozenset({"videos"})

    videos: int = Field(8, ge=1)
    """How many clips."""
    seed: int = Field(0, ge=0)
    """Another seed is another world; use one for training and another for testing."""
    options: bool | Literal["both"] = True
    """Four options (true), open answers (false), or `both` in the share `open_share`."""
    open_share: float = Field(0.5, ge=0, le=1)
    """With `options: both`, the share of open answers."""
    questions_per_video: int | None = Field(None, ge=1, le=8)
    """Questions about one clip; None takes the level's."""
    duration_s: tuple[int, int] | None = None
    """Shortest and longest clip in whole seconds; None takes the level's."""
    size_wh: tuple[int, int] | None = None
    """Frame width and height in pixels, even numbers; None takes the level's."""
    fps: int | None = Field(None, ge=8, le=60)
    """Frames per second; None takes the level's."""
    families: tuple[str, ...] | None = None
    """Question families by name or by dimension code; None takes the level's."""
    no_mark_share: float | None = Field(None, ge=0, le=0.5)
    """Share of questions whose words alone tell the target; None takes the level's (stated, at most 4 %)."""
    no_crop_share: float | None = Field(None, ge=0, le=0.5)
    """Share of questions that the overview answers; None takes the level's (stated, at most 4 %)."""

    @field_validator("families")
    @classmethod
    def _known(cls, families: tuple[str, ...] | None) -> tuple[str, ...] | None:
        known = [*FAMILIES, *DIMENSIONS]
        for name in families or ():
            if name not in known:
                raise ValueError(f"no question family '{name}'{near(name, known)}")
        return families

    @field_validator("size_wh")
    @classmethod
    def _even(cls, size_wh: tuple[int, int] | None) -> tuple[int, int] | None:
        if size_wh and (min(size_wh) < 48 or any(n % 2 for n in size_wh)):
            raise ValueError("size_wh must be two even numbers of at least 48")
        return size_wh

    @model_validator(mode="after")
    def _possible(self) -> "World":
        low, high = self.duration_s or (20, 20)
        if not 6 <= low <= high:
            raise ValueError("duration_s must be [shortest, longest] with at least 6 seconds")
        if LEVELS[self.level].plain:
            bad = [name for name in self.settings().families if not FAMILIES[name].plain]
            if bad:
                fine = ", ".join(name for name, family in FAMILIES.items() if family.plain)
                raise ValueError(f"families: level {self.level} has only {fine}, not {', '.join(bad)}")
        return self

    def settings(self) -> Level:
        """The level with this recipe's changes."""
        level = LEVELS[self.level]
        names = (
            "questions_per_video",
            "duration_s",
            "size_wh",
            "fps",
            "no_mark_share",
            "no_crop_share",
        )
        changes: dict[str, Any] = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        if self.families is not None:
            changes["families"] = tuple(
                name for name, family in FAMILIES.items() if name in self.families or family.dimension in self.families
            )
        if "questions_per_video" in changes:
            count = changes["questions_per_video"]
            changes["plans"] = max(min(level.plans, count), -(-count // 2))
        return level.model_copy(update=changes)

    def entries(self) -> Iterator[Entry]:
        level = self.settings()
        changes = {
            "level": level.model_dump(),
            "options": self.options,
            "open_share": self.open_share,
        }
        same = level == LEVELS[self.level] and self.options is True
        tail = "" if same else f"-{digest(changes, 4)}"
        for question in range(level.questions_per_video):  # every clip first, so that no two workers make the same
            for index in range(self.videos):
                name = f"world-{self.level}-{self.seed}-{index}-{question}{tail}"
                where = f"world level {self.level}, seed {self.seed}, clip {index}, question {question}"
                yield Entry(id=name, where=where, data={"index": index, "question": question})

    def facts(self) -> dict[str, str]:
        """How honest the questions are: what could be answered without looking, over the first 500."""
        from seekerdata.world.honesty import measure

        return measure([self.sample(entry) for entry in islice(self.entries(), 500)]).facts()

    def video_root(self, out: Path) -> Path:
        return out / "videos"

    def sample(self, entry: Entry) -> Sample:
        """The sample of an entry without its video and instance: no pixel is made."""
        from seekerdata.world.questions import sample

        index, question = entry.data["index"], entry.data["question"]
        share = {True: 0.0, False: 1.0, "both": self.open_share}[self.options]
        number = index * self.settings().questions_per_video + question
        is_open = int((number + 1) * share) > int(number * share)  # spread evenly
        return sample(entry.id, self.settings(), self.level, self.seed, index, question, is_open)

    def read(self, entry: Entry, workspace: Workspace) -> Sample:
        from seekerdata.world.film import encode
        from seekerdata.world.questions import asked, recall
        from seekerdata.world.sight import sightings

        level, sample = self.settings(), self.sample(entry)
        found = recall(level, self.seed, self.level, entry.data["index"])
        facts = {
            "version": self.version,
            "seed": self.seed,
            "level": self.level,
            **level.model_dump(),
        }
        path = f"{digest({**facts, 'index': entry.data['index']}, 20)}.mp4"
        file = workspace.video_root / path
        if not file.exists():
            write_atomically(file, encode(found.scene, level.preset, level.crf))
        plan, member = asked(found, entry.data["question"])
        times = [sum(event.core_s) / 2 for event in plan.parts[member].events]
        seen = sightings(found.scene, plan.pair[member], times)
        video = sample.video.model_copy(update={"path": path, "sha256": _sha256(file)})
        instance = Instance(tag=sample.target.tag, sightings=seen)
        return sample.model_copy(update={"video": video, "instance": instance})


@lru_cache(maxsize=256)
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
