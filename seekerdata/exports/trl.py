"""TRL: `train.parquet` with typed blocks and pictures inside, as `SFTTrainer` and `GRPOTrainer` take them.

TRL drops `tools` for models that see and counts no picture of a tool turn: tools stand in the system turn, what they
show stands in user turns.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from seekerdata.export_format import ExportFormat, Put, Record, Shown, parquet
from seekerdata.transcript import PLACEHOLDER, Message, check_placeholders, tools_as_text, transcript

__all__ = ["Trl"]

_FACTS = ("id", "question", "answer", "task", "video_path", "window_s", "event_s")


class Trl(ExportFormat):
    """Rows for TRL's SFTTrainer or GRPOTrainer, `<config>.parquet`, pictures inside."""

    carried: ClassVar[dict[str, tuple[str, ...]]] = {
        "sft": ("id", "messages", "tools", "images"),
        "rl": (*_FACTS, "prompt", "images"),
    }

    def record(self, shown: Shown, folder: Path) -> Record:
        """See `ExportFormat.record`; in `rl` the tools are the trainer's, not the prompt's."""
        told = transcript(shown.turns)
        told = tools_as_text(told, shown.row["tools"]) if shown.config == "sft" else told
        check_placeholders([m.text for m in told], len(shown.pictures))
        images = [{"bytes": picture, "path": None} for picture in shown.pictures]
        messages = [{"role": m.role, "content": _blocks(m)} for m in told]
        row = shown.row
        if shown.config == "sft":
            return {"id": row["id"], "messages": messages, "images": images}
        return {key: row[key] for key in _FACTS} | {"prompt": messages, "images": images}

    def lost(self, shown: Shown) -> list[str]:
        """See `ExportFormat.lost`."""
        if shown.config == "rl":
            return ["the tools: give them to the trainer as Python functions, or use `seekertrain rl`"]
        wrong = any(turn.role == "assistant" and not turn.loss for turn in shown.turns)
        return ["a turn that is not to be imitated is in the loss: TRL knows roles, not turns"] * wrong

    def writing(self, config: str, folder: Path) -> AbstractContextManager[Put]:
        """See `ExportFormat.writing`."""
        from datasets import Features, Image, List, Value

        text, times = Value("string"), List(Value("float64"))
        talk = List({"role": text, "content": List({"type": text, "text": text})})
        columns: dict[str, Any] = {"id": text, "images": List(Image())}
        if config == "sft":
            columns["messages"] = talk
        else:
            columns |= {"prompt": talk, "window_s": times, "event_s": times}
            columns |= dict.fromkeys(("question", "answer", "task", "video_path"), text)
        return parquet(folder / f"{config}.parquet", Features(columns).arrow_schema)

    def how_to(self, config: str, rows: int) -> str:
        """See `ExportFormat.how_to`."""
        trainer = "SFTTrainer" if config == "sft" else "GRPOTrainer"
        cut = "\n\nSet `max_length=None` in SFTConfig: cutting a row cuts its pictures." * (config == "sft")
        load = f'load_dataset("parquet", data_files="{config}.parquet", split="train")'
        code = f"from datasets import load_dataset\nrows = {load}\n# {trainer}(train_dataset=rows, ...)"
        return f"```python\n{code}\n```{cut}"


def _blocks(message: Message) -> list[dict[str, Any]]:
    """Text and pictures apart: TRL would put all pictures of a text before the first user turn."""
    blocks = list[dict[str, Any]]()
    for n, text in enumerate(message.text.split(PLACEHOLDER)):
        blocks += [{"type": "image", "text": None}] * (n > 0)
        blocks += [{"type": "text", "text": text}] * bool(text)
    return blocks
