"""LLaMA-Factory: `sft.jsonl` in its sharegpt form, pictures as files, `dataset_info.json`.

Its openai form would replace a thought by the call after it, so calls are plain text of a `gpt` turn.
"""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from seekerdata.export_format import ExportFormat, Put, Record, Shown, as_files, json_lines
from seekerdata.transcript import check_placeholders, transcript
from seekerdata.workspace import write_atomically

__all__ = ["LlamaFactory"]

_ROLES = {"user": "human", "assistant": "gpt", "tool": "observation"}
_INFO = {
    "videoseeker_sft": {
        "file_name": "sft.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system", "tools": "tools", "images": "images"},
    }
}


class LlamaFactory(ExportFormat):
    """Rows for LLaMA-Factory's SFT (sharegpt), `sft.jsonl`, pictures as files, `dataset_info.json`."""

    configs: ClassVar[tuple[str, ...]] = ("sft",)
    carried: ClassVar[dict[str, tuple[str, ...]]] = {"sft": ("id", "messages", "tools", "images")}

    def record(self, shown: Shown, folder: Path) -> Record:
        """See `ExportFormat.record`."""
        system, *told = transcript(shown.turns)
        check_placeholders([m.text for m in told], len(shown.pictures))
        return {
            "id": shown.row["id"],
            "system": system.text,
            "conversations": [{"from": _ROLES[m.role], "value": m.text} for m in told],
            "tools": json.dumps([tool["function"] for tool in shown.row["tools"]], ensure_ascii=False),
            "images": as_files(shown.pictures, folder),
        }

    def lost(self, shown: Shown) -> list[str]:
        """See `ExportFormat.lost`."""
        wrong = any(turn.role == "assistant" and not turn.loss for turn in shown.turns)
        return ["a turn that is not to be imitated is in the loss: LLaMA-Factory masks no single turn"] * wrong

    def writing(self, config: str, folder: Path) -> AbstractContextManager[Put]:
        """See `ExportFormat.writing`."""
        return json_lines(folder / f"{config}.jsonl")

    def finish(self, config: str, folder: Path) -> None:
        """The index in which LLaMA-Factory looks the rows up."""
        write_atomically(folder / "dataset_info.json", json.dumps(_INFO, indent=2).encode())

    def how_to(self, config: str, rows: int) -> str:
        """See `ExportFormat.how_to`."""
        keys = "dataset_dir: THIS_FOLDER\nmedia_dir: THIS_FOLDER\ndataset: videoseeker_sft\ntemplate: qwen3_vl"
        entry = json.dumps(_INFO, indent=2)
        note = "Raise `cutoff_len`: a row that is cut loses pictures, and the trainer stops there."
        index = f"The entry in `dataset_info.json`:\n```json\n{entry}\n```"
        return f"In the recipe:\n```yaml\n{keys}\n```\n{note}\n\n{index}"
