"""world: a made world with known truth, so that a run needs no download. The default set; what is right is certain.

The questions go through seekerdata's own stages, by name: what a build would show is what a run asks. Made once into a
folder named by all that decides it; a second call after a kill goes on.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from seekerdata.errors import ItemError, SeekerError
from seekerdata.plugin import describe, make
from seekerdata.sample import Sample, digest
from seekerdata.visual_prompt import SHAPES
from seekerdata.workspace import Workspace, write_atomically
from seekereval.benchmark import Benchmark, Count, Hub
from seekereval.item import Item
from seekereval.playing import TRUTH

__all__ = ["World"]


SHARES = {shape: 26 - (n > 3) for n, shape in enumerate(SHAPES)}
"""Items of every shape in the default world."""


class _Travelling(BaseModel):
    """What seekerdata's stages are handed: they read the sample and leave it changed."""

    model_config = ConfigDict(frozen=True)

    sample: Sample


class World(Benchmark):
    """Made clips with marked things: four options, every truth known, nothing to download.

    Every question is asked twice, of a thing and of its look-alike, with another answer: who does not look at the mark
    is right in one of two at best.
    """

    version = 2

    clips: int = Field(34, ge=1)
    """How many clips; at level 3 each has six questions."""
    level: int = Field(3, ge=1, le=4)
    """How hard and how large, as seekerdata's source has it."""
    seed: int = Field(2026, ge=0)
    """Another seed is another world; recipes train on others."""

    groups = ("dimension", "family", "shape")

    @property
    def hub(self) -> Hub:
        return Hub("", "", "Apache-2.0", ())

    @property
    def compat(self) -> tuple[str, ...]:
        return ("lmms_eval_mcq", "vlmevalkit_can_infer", "videoseeker_eval_all", "videoseeker_direct")

    @property
    def counts(self) -> tuple[Count, ...]:
        return (Count("as made", 204, {"shape": SHARES}, videos=34),) if self == World() else ()

    @property
    def fixtures(self) -> list[dict[str, Any]]:
        """Rows without pixels: of every dimension the first three."""
        found: dict[str, list[dict[str, Any]]] = {}
        for entry in self._source.entries():
            sample = self._source.sample(entry)
            rows = found.setdefault(sample.dimension, [])
            if len(rows) < 3:
                rows.append({"folder": "made", TRUTH: sample.model_dump(mode="json")})
        return [row for rows in found.values() for row in rows]

    @property
    def _source(self) -> Any:
        settings = {"use": "world", "videos": self.clips, "level": self.level, "seed": self.seed}
        asked_about = make("sources", settings).settings().plans
        return make("sources", settings | {"questions_per_video": 2 * asked_about})

    def rows(self, data: Path) -> list[dict[str, Any]]:
        """Every question with its truth; what is not made yet is made now, in half a minute for the default."""
        if (data / "qa").is_dir():
            raise SeekerError(f"{data}: a dataset, no place for a world; seekereval run built --data {data.parent}")
        source, stages = self._source, [make("stages", name) for name in ("verify", "segment", "render")]
        made_by = [self.version, source.version, *(describe(stage, with_versions=True) for stage in stages)]
        settings = {name: value for name, value in describe(source).items() if name != "videos"}
        folder = f"{self.level}-{self.seed}-{digest([made_by, settings], 8)}"
        workspace = Workspace(root=data / folder, video_root=data / folder / "videos")
        rows = []
        for number, entry in enumerate(source.entries()):
            kept = workspace.root / "items" / f"{entry.id}.json"
            if not kept.is_file():
                sample = _made(source, entry, number, stages, workspace)
                write_atomically(kept, (sample.model_dump_json() if sample else "null").encode())
            if (text := kept.read_text()) != "null":
                rows.append({"folder": folder, TRUTH: Sample.model_validate_json(text).model_dump(mode="json")})
        return rows

    def item(self, row: dict[str, Any], data: Path | None = None) -> Item:
        sample, folder = Sample.model_validate(row[TRUTH]), row["folder"]
        source = sample.provenance.get("source", {})
        seen = sample.target.event_s or sample.target.window_s
        shapes = [prompt.shape for prompt in sample.visual_prompts]
        return Item(
            id=sample.id,
            video=f"{folder}/videos/{sample.video.path}",
            question=sample.question,
            options=sample.options,
            answer=sample.answer,
            marked_frames=tuple(f"{folder}/{prompt.image}" for prompt in sample.visual_prompts),
            groups={
                "dimension": sample.dimension,
                "family": source.get("family", ""),
                "shape": ", ".join(shapes),
            },
            cluster=sample.video.path,
            duration_s=sample.video.duration_s,
            evidence_s=(seen,) if seen else (),
            row=row,
        )


def _made(source: Any, entry: Any, number: int, stages: list[Any], workspace: Workspace) -> Sample | None:
    """One question, its clip and its marked frame written; None where the clip has no such question."""
    try:
        item = _Travelling(sample=source.read(entry, workspace))
        for stage in stages:
            item = stage.process(item, workspace, number % len(SHAPES))
            if not isinstance(item, _Travelling):  # the stage found no frame to mark
                return None
    except ItemError as error:
        if error.code != "no_room":
            raise
        return None
    prompts = tuple(prompt.model_copy(update={"mask": None}) for prompt in item.sample.visual_prompts)
    return item.sample.model_copy(update={"instance": None, "visual_prompts": prompts})
