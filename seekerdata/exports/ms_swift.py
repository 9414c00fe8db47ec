"""ms-swift: `<config>.jsonl` with pictures as files; each message says whether it is in the loss."""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from seekerdata.export_format import ExportFormat, Put, Record, Shown, as_file, as_files, json_lines
from seekerdata.transcript import Message, check_placeholders, transcript

__all__ = ["MsSwift"]

_FACTS = ("question", "answer", "task", "video_path", "window_s", "event_s")


class MsSwift(ExportFormat):
    """Rows for ms-swift's SFT or GRPO, `<config>.jsonl`, pictures as files, `loss` for each message."""

    carried: ClassVar[dict[str, tuple[str, ...]]] = {
        "sft": ("id", "messages", "tools", "images"),
        "rl": ("id", "prompt", "tools", "images", *_FACTS, "image", "frame_time_s"),
    }

    def record(self, shown: Shown, folder: Path) -> Record:
        """See `ExportFormat.record`; columns that ms-swift does not know are given to the reward."""
        told, row = transcript(shown.turns), shown.row
        check_placeholders([m.text for m in told], len(shown.pictures))
        record: Record = {
            "id": row["id"],
            "messages": [_message(m, shown.config) for m in told],
            "tools": json.dumps(row["tools"], ensure_ascii=False),
            "images": as_files(shown.pictures, folder),
        }
        if shown.config == "sft":
            return record
        facts = {key: row[key] for key in _FACTS}
        mark = {"mark_path": as_file(shown.mark, folder) if shown.mark else "", "mark_time_s": row["frame_time_s"]}
        return record | facts | mark | {"solution": row["answer"]}

    def lost(self, shown: Shown) -> list[str]:
        """See `ExportFormat.lost`."""
        play = "what the tools do: give ms-swift a multi-turn scheduler that plays them, or use `seekertrain rl`"
        return [play] if shown.config == "rl" else []

    def writing(self, config: str, folder: Path) -> AbstractContextManager[Put]:
        """See `ExportFormat.writing`."""
        return json_lines(folder / f"{config}.jsonl")

    def how_to(self, config: str, rows: int) -> str:
        """See `ExportFormat.how_to`."""
        verb = "sft" if config == "sft" else "rlhf --rlhf_type grpo"
        command = f"ROOT_IMAGE_DIR=$PWD swift {verb} --model MODEL --dataset {config}.jsonl"
        return f"In this folder (pictures are found by `ROOT_IMAGE_DIR`):\n```bash\n{command}\n```"


def _message(message: Message, config: str) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.text}
    return said | {"loss": message.loss} if message.role == "assistant" and config == "sft" else said
