"""Feed: makes the trainer's batches of rows. A row that cannot be shown is never trained blind: the next one that can
takes its place, and a line of the run's `replaced.jsonl` says so.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seekerdata.dataset import pictures
from seekerdata.errors import ItemError, SeekerError
from seekerdata.frame import FrameCache

if TYPE_CHECKING:
    from torch import Tensor

    from seekertrain.batch import Collator
    from seekertrain.rows import Rows

NEIGHBOURS = 16
"""So many rows in a line that cannot be shown are a folder of videos that is gone, and end the run."""
KEPT_BYTES = 2**28
"""Pixels of decoded frames that each process keeps for other rows of the same videos."""

Row = Mapping[str, Any]


class Feed:
    """TRL's data collator for `sft` rows.

    Args:
        collator: makes tensors of rows that have their tokens and pictures.
        sets: the rows of the run: those to train on, those held out.
        notes: where replaced rows are noted; they are not noted if None.
    """

    def __init__(self, collator: "Collator", sets: "Sequence[Rows]", notes: Path | None = None) -> None:
        self.collator, self.notes, self._frames = collator, notes, FrameCache(KEPT_BYTES)
        self._places = {name: (rows, place) for rows in sets for place, name in enumerate(rows.data["id"])}

    def __call__(self, rows: Sequence[Row]) -> "dict[str, Tensor]":
        """The batch of these rows, or of their neighbours where one cannot be shown.

        Raises:
            SeekerError: neither a row nor its neighbours can be shown.
        """
        try:
            return self.collator([self._shown(row, self._places[row["id"]][0]) for row in rows])
        except ItemError:
            return self.collator([self._shown_or_next(row) for row in rows])

    def _shown(self, row: Row, rows: "Rows") -> Row:
        """The row with its tokens and pictures."""
        encoded = rows.encoded.get(row["id"]) or self.collator.encoder.encode(row)
        return {"encoded": encoded, "images": pictures(dict(row), rows.videos, self._frames)}

    def _shown_or_next(self, row: Row) -> Row:
        """The row, or the first after it that can be shown."""
        rows, place = self._places[row["id"]]
        faults: list[ItemError] = []
        while len(faults) < min(NEIGHBOURS, len(rows)):
            found = rows.data[(place + len(faults)) % len(rows)] if faults else row
            try:
                shown = self._shown(found, rows)
                self.collator([shown])
            except ItemError as error:
                faults.append(error)
                continue
            if faults and self.notes:
                self._note(row["id"], faults[0], found["id"])
            return shown
        raise SeekerError(f"row {row['id']} and {len(faults) - 1} after it cannot be shown: {faults[0].message}")

    def _note(self, name: str, fault: ItemError, used: str) -> None:
        assert self.notes is not None
        note = {"id": name, "code": fault.code, "reason": fault.message, "replaced_by": used}
        with self.notes.open("a", encoding="utf-8") as file:  # whole lines, from the workers of several processes
            file.write(json.dumps(note, ensure_ascii=False) + "\n")
