"""DatasetRow: a row of a dataset read back as the sample, the mark and the turns that it was written from.

What its configuration has no column for stays empty.
"""

from collections.abc import Mapping
from typing import Any

from seekerdata.sample import Sample, Target, VideoRef
from seekerdata.trajectory import ToolCall, Turn
from seekerdata.visual_prompt import VisualPrompt

Row = Mapping[str, Any]


def asked(row: Row) -> Sample:
    """The question of a row; only a `qa` row is asked with its options."""
    video = VideoRef(
        path=row["video_path"],
        sha256=row["video_sha256"],
        duration_s=row["video_duration_s"],
        size_wh=tuple(row["video_size_wh"]),
        fps=0.0,
    )
    return Sample(
        id=row["id"],
        video=video,
        question=row["question"],
        options=tuple(row["options"]) if "answer_text" in row else (),
        answer=row["answer"],
        dimension=row["dimension"],
        target=Target(tag=row["tag"], window_s=tuple(row["window_s"]) or None, event_s=tuple(row["event_s"]) or None),
    )


def mark(row: Row) -> VisualPrompt:
    """The mark of a row; its pictures are the row's own and have no file."""
    facts = {key: row[key] for key in ("shape", "colour", "phrase", "box_xyxy")}
    return VisualPrompt(**facts, time_s=row["frame_time_s"], mask=None, image="", raw_image="")


def turns(row: Row) -> tuple[Turn, ...]:
    """The conversation of an `sft` row, the opening of an `rl` row; a `qa` row has none."""
    told = row.get("messages") or row.get("prompt") or ()
    return tuple(
        Turn(
            role=message["role"],
            content=message["content"],
            tool_calls=tuple(ToolCall(id=call["id"], **call["function"]) for call in message["tool_calls"]),
            tool_call_id=message["tool_call_id"],
            loss=message["loss"],
        )
        for message in told
    )
