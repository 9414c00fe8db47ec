"""Stage: one step of the build. An item goes in; it comes out kept, is dropped with a reason, or fails with an error.

A stage is a pure function of its settings, the item and the files the item names. Running it twice gives the same
bytes, so a run can be killed at any moment and continued, on one machine or on many.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from seekerdata.load import Load
from seekerdata.plugin import Plugin
from seekerdata.sample import Sample
from seekerdata.trajectory import Trajectory
from seekerdata.workspace import Workspace

if TYPE_CHECKING:
    from seekerdata.ledger import Row


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(Frozen):
    """What a source lists cheaply before any work: enough to read one sample later.

    `where` tells a person which line or file it is; `problem` is set when the listing itself already shows that
    the entry cannot be used.
    """

    id: str
    where: str
    data: dict[str, Any] = {}
    problem: str = ""


class Item(Frozen):
    """What travels from stage to stage: the sample, then also its trajectory, then the sets it belongs to."""

    sample: Sample
    trajectory: Trajectory | None = None
    sets: tuple[str, ...] = ()


class Drop(Frozen):
    """A stage's verdict that an item does not belong in the dataset. `reason` starts with the word counted."""

    reason: str
    facts: dict[str, Any] = {}
    """What else the stage's `summary` needs; stands as the row's output."""


class Status(StrEnum):
    KEPT = "kept"
    DROPPED = "dropped"
    FAILED = "failed"


class Source(Plugin):
    """Contract of `seekerdata/sources/<name>.py`: lists entries, and reads one entry into a sample.

    `entries` is cheap and always gives the same list, so that every rank knows all of it. `read` does the work;
    it raises `ItemError` for an entry that cannot be used.
    """

    lists_by: ClassVar[frozenset[str]] = frozenset()
    """Settings that only decide which entries there are: changing them redoes no entry."""

    def fingerprint(self) -> str:
        return super().fingerprint_without(self.lists_by)

    def entries(self) -> Iterator[Entry]:
        """Every entry, in a stable order, ids unique."""
        raise NotImplementedError

    def read(self, entry: Entry, workspace: Workspace) -> Sample:
        """The sample of one entry; may write its video under `workspace.video_root`."""
        raise NotImplementedError

    def facts(self) -> dict[str, str]:
        """What the source can say of its questions before any work; shown by `plan` and on the card."""
        return {}

    def video_root(self, out: Path) -> Path:
        """The folder that `VideoRef.path` is relative to; `out` is the run's folder."""
        raise NotImplementedError


class Stage(Plugin):
    """Contract of `seekerdata/stages/<name>.py`. Override `process`; override `assign` only if an item's outcome
    depends on the other items (a quota)."""

    by: Any
    """Who does the work; a bare name in a recipe (`filter: rules`) is this field."""

    @property
    def sees_all(self) -> bool:
        """Whether `assign` needs every item at once; a rank then stops before this stage, the merging call runs it."""
        return False

    def assign(self, items: Iterable[Item], workspace: Workspace | None = None) -> dict[str, Any]:
        """What the whole set decides for each item id, e.g. its shape. Must not depend on the order of `items`."""
        return {}

    @property
    def decides(self) -> bool:
        """Whether `process` only finds out what is paid for, and `decide` says what becomes of the item. The settings
        that only `decide` reads are then not in `fingerprint`: changing them redoes no work."""
        return False

    def tasks(self, assigned: Any) -> Sequence[Any]:
        """What `process` is given for what the whole set decided: the first; findings of the others do as well."""
        return [assigned]

    def decide(self, item: Item, assigned: Any = None) -> Item | Drop:
        """The item as it leaves the stage, or why it is dropped, from what `process` found; quick, asks nobody."""
        return item

    def loads(self, video_s: float | None) -> dict[str, Load]:
        """What one item is expected to cost each model, by the field that names it (`model`, `by.model`); for `plan`,
        which says of a model without an entry that nothing is known."""
        return {}

    def summary(self, rows: "Iterable[Row]") -> dict[str, Any]:
        """What all rows of the stage say together, beside their counts: for the manifest, the card and the report."""
        return {}

    def process(self, item: Item, workspace: Workspace, assigned: Any = None) -> Item | Drop:
        """The item with this stage's findings added, or why it is dropped.

        Raises:
            ItemError: the item cannot be processed; becomes a `failed` row.
        """
        raise NotImplementedError
