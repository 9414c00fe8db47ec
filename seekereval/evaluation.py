"""Evaluation: what is asked of a model in one run: a benchmark, a preset, what is taken away, who judges.

Two runs with equal evaluations of equal files ask the same questions with the same frames.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from seekerdata.errors import SeekerError
from seekerdata.instructions import FORMATS, LAST_LOOK, MARKED, NO_LOOK_LEFT, ROLE, play_hash
from seekerdata.models import ModelSettings
from seekerdata.sample import digest
from seekerdata.tools import tool_schemas
from seekereval.benchmark import benchmark
from seekereval.item import Item
from seekereval.play import Baseline, shuffled, turned
from seekereval.presets import Preset


class Evaluation(BaseModel):
    """One run's questions and how they are put."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    benchmark: str
    """Its name, with settings as `mlvu:split=test`."""
    data: Path
    """The folder of the benchmark's files."""
    preset: Preset
    baseline: Baseline = ""
    shuffle_options: int | None = None
    """Seed of another order of every item's options; None: the benchmark's own order."""
    circular: bool = False
    """Every item is asked once for each place of its options and is right if it is right every time."""
    limit: int | None = Field(default=None, ge=1)
    judge: ModelSettings | None = None

    def items(self) -> list[Item]:
        """The items of the run in the benchmark's order, as they are asked but for `circular`.

        Raises:
            SeekerError: the data folder is not the benchmark's, it holds nothing, or open items have no judge.
        """
        items = benchmark(self.benchmark).items(self.data)[: self.limit]
        if not items:
            raise SeekerError(f"{self.benchmark}: no items in {self.data}")
        judged = sum(item.is_open for item in items)
        if judged and self.judge is None:
            raise SeekerError(f"{self.benchmark}: {judged} of {len(items)} items are open; name a judge with --judge")
        return items if self.shuffle_options is None else [shuffled(i, self.shuffle_options) for i in items]

    def asked(self, items: list[Item]) -> list[Item]:
        """Every question that is put: the items, or all their turns."""
        return [turn for item in items for turn in turned(item)] if self.circular else items

    @property
    def task(self) -> str:
        """What logs call it."""
        return self.benchmark.partition(":")[0]

    def prompt_hashes(self) -> dict[str, str]:
        """Hashes of the words that every play is made of."""
        words = [ROLE, FORMATS[self.preset.mode], MARKED, LAST_LOOK, NO_LOOK_LEFT]
        return {"play": play_hash(self.preset.mode), "words": digest(words), "tools": digest(tool_schemas())}
