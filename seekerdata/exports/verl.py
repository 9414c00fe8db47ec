"""verl: `<config>.parquet` with pictures as bytes, for `MultiTurnSFTDataset` and `RLHFDataset`.

Parquet would fill the two tools' schemas with each other's names, so `sft` offers them in the system turn; in `rl` verl
has them from its own tool configuration.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from seekerdata.export_format import ExportFormat, Put, Record, Shown, as_file, parquet
from seekerdata.transcript import check_placeholders, tools_as_text, transcript

__all__ = ["Verl"]

_FACTS = ("question", "answer", "video_path", "window_s", "event_s")


class Verl(ExportFormat):
    """Rows for verl's multi-turn SFT or its reinforcement learning, `<config>.parquet`, pictures as bytes."""

    carried: ClassVar[dict[str, tuple[str, ...]]] = {
        "sft": ("id", "messages", "tools", "images"),
        "rl": ("id", "prompt", "images", "dimension", "image", *_FACTS),
    }

    def record(self, shown: Shown, folder: Path) -> Record:
        """See `ExportFormat.record`."""
        told = transcript(shown.turns)
        told = tools_as_text(told, shown.row["tools"]) if shown.config == "sft" else told
        check_placeholders([m.text for m in told], len(shown.pictures))
        messages = [{"role": m.role, "content": m.text} for m in told]
        images = [{"bytes": picture} for picture in shown.pictures]
        if shown.config == "sft":
            return {"messages": messages, "images": images, "id": shown.row["id"]}
        reward = {"style": "rule", "ground_truth": shown.row["answer"]}
        return {
            "data_source": "videoseeker",
            "prompt": messages,
            "images": images,
            "ability": shown.row["dimension"],
            "reward_model": reward,
            "extra_info": _extra(shown, folder),
        }

    def lost(self, shown: Shown) -> list[str]:
        """See `ExportFormat.lost`."""
        if shown.config == "rl":
            return ["what the tools do: name them in verl's tool configuration; the rows hold what each needs to start"]
        wrong = any(turn.role == "assistant" and not turn.loss for turn in shown.turns)
        return ["a turn that is not to be imitated is in the loss: verl trains all assistant turns"] * wrong

    def writing(self, config: str, folder: Path) -> AbstractContextManager[Put]:
        """See `ExportFormat.writing`."""
        return parquet(folder / f"{config}.parquet", _schema(config))

    def how_to(self, config: str, rows: int) -> str:
        """See `ExportFormat.how_to`."""
        path = f"data.train_files=$PWD/{config}.parquet"
        if config == "sft":
            keys = "model.path=MODEL data.ignore_input_ids_mismatch=True"
            command = f"torchrun -m verl.trainer.sft_trainer {path} {keys}"
        else:
            command = f"python -m verl.trainer.main_ppo {path} data.image_key=images data.return_raw_chat=True"
        return f"In this folder:\n```bash\n{command}\n```\nRaise `data.max_length` or `data.max_prompt_length` to fit."


def _extra(shown: Shown, folder: Path) -> dict[str, Any]:
    """What rewards and tools need; paths are relative to the folder of the videos, and to the export."""
    row = shown.row
    mark = as_file(shown.mark, folder) if shown.mark else ""
    start = {"crop_video": {"video_path": row["video_path"]}, "view_visual_prompt": {"frame_path": mark}}
    return {
        "index": shown.number,
        "split": "train",
        "id": row["id"],
        **{key: row[key] for key in _FACTS if key != "window_s"},
        "video_segment": list(row["window_s"]),
        "need_tools_kwargs": True,
        "tools_kwargs": {tool: {"create_kwargs": kwargs} for tool, kwargs in start.items()},
    }


def _schema(config: str) -> Any:
    import pyarrow as pa

    text, real = pa.string(), pa.float64()
    talk = pa.list_(pa.struct({"role": text, "content": text}))
    images = pa.list_(pa.struct({"bytes": pa.binary()}))
    if config == "sft":
        return pa.schema({"messages": talk, "images": images, "id": text})
    extra = {"index": pa.int64(), "split": text, "id": text, "question": text, "answer": text, "video_path": text}
    extra |= {"video_segment": pa.list_(real), "event_s": pa.list_(real), "need_tools_kwargs": pa.bool_()}
    start = {"crop_video": {"video_path": text}, "view_visual_prompt": {"frame_path": text}}
    tools = {tool: pa.struct({"create_kwargs": pa.struct(kwargs)}) for tool, kwargs in start.items()}
    extra["tools_kwargs"] = pa.struct(tools)
    reward = pa.struct({"style": text, "ground_truth": text})
    columns = {"data_source": text, "prompt": talk, "images": images, "ability": text, "reward_model": reward}
    return pa.schema(columns | {"extra_info": pa.struct(extra)})
