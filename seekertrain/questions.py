"""Questions: the `rl` rows that a run plays; what cannot be played is left out with its reason. No video is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seekerdata.errors import SeekerError
from seekerdata.instructions import Mode
from seekerdata.rollout import RolloutSettings
from seekerdata.tools import tool_schemas
from seekertrain.environment import begun
from seekertrain.rows import Data, LeftOut, counted, rows_of

if TYPE_CHECKING:
    from datasets import Dataset

READ = (
    *("id", "question", "answer", "options", "choice_question", "task", "dimension", "tag", "window_s", "event_s"),
    *("needs_mark", "needs_crop", "image", "frame_time_s", "mask", "drawn"),
    *("video_path", "video_sha256", "video_duration_s", "video_size_wh", "prompt", "tools", "media"),
)
"""Columns that playing and rewards read; the rest of a row is never loaded."""


@dataclass(frozen=True)
class Questions:
    """The rows kept, as TRL takes them, and those left out."""

    data: "Dataset"
    videos: Path
    left_out: Sequence[LeftOut] = ()

    def __len__(self) -> int:
        return len(self.data)

    def facts(self) -> dict[str, Any]:
        """Counts for manifest and card."""
        return {"rows": len(self), "left_out": counted(self.left_out)}


def load(data: Data) -> "Dataset":
    """The `rl` rows of a dataset.

    Raises:
        SeekerError: it cannot be found, has no such rows, or other columns.
    """
    rows = rows_of(data, "rl", READ)
    return rows.select(range(min(data.samples, len(rows)))) if data.samples else rows


def other_opening(rows: "Dataset", play: RolloutSettings) -> str:
    """Whether a play shows other frames first than the first row was made with; empty if it does not."""
    row = rows.select_columns(["id", "prompt", "video_duration_s"])[0]
    made = [block["max_pixels"] for turn in row["prompt"] for block in turn["content"] if block["type"] == "image"]
    shown = [play.max_pixels] * play.overview_frames(row["video_duration_s"])
    if made == shown:
        return ""
    made_of, shown_of = (f"{len(sizes)} frames of {next(iter(sizes), 0):,} pixels" for sizes in (made, shown))
    return f"play shows {shown_of} first, and {row['id']} was made with {made_of}: a model of its sft rows saw those"


def playable(rows: "Dataset", data: Data, mode: Mode) -> Questions:
    """The rows that can be played, the marked frame as `marked`, each with the turns that its rollout fills.

    Raises:
        SeekerError: none can be played, or other tools were offered when they were made.
    """
    videos, kept, left_out = data.videos(), list[int](), list[LeftOut]()
    bare = rows.select_columns(["id", "video_path", "tools", "media", "drawn"])
    for place, row in enumerate(bare):
        if row["tools"] != tool_schemas():
            raise SeekerError(f"{data.path}: its 'rl' rows offer other tools, such as {row['id']}; build it again")
        if row["media"] == "withheld" and not row["drawn"]:
            reason = f"{row['id']}: published without pictures or how to draw its mark"
            left_out.append(LeftOut(row["id"], "withheld", reason))
        elif (videos / row["video_path"]).is_file():
            kept.append(place)
        else:
            left_out.append(LeftOut(row["id"], "missing", f"{videos / row['video_path']}: no such video"))
    if not kept:
        reason = f": {left_out[0].reason}" if left_out else ""
        raise SeekerError(f"{data.path}: none of {len(left_out)} rows can be played, the first{reason}")
    named = rows.select(kept).remove_columns(["prompt", "tools", "media"]).rename_column("image", "marked")

    def with_prompt(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {**batch, "prompt": [begun(mode) for _ in batch["id"]]}

    return Questions(named.with_transform(with_prompt), videos, left_out)
