"""Looks: what a trajectory says of its pictures, as short conversations: a look, and the thought that followed it.

They warm a model up that has never seen a picture: it learns to see before it learns to play. The thought for which
the look was made stands before it, because what is seen is often told of the thing that it names.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

Row = Mapping[str, Any]

_THOUGHT = re.compile(r"<think>(.*?)</think>", flags=re.DOTALL)


def looks(row: Row) -> Iterator[dict[str, Any]]:
    """The looks of an `sft` row, as rows of the same columns: those after which the model thought, and is imitated."""
    place = 0
    for before, turn, after in zip(row["messages"], row["messages"][1:], row["messages"][2:], strict=False):
        place += sum(block["type"] == "image" for block in before["content"])
        count = sum(block["type"] == "image" for block in turn["content"])
        if turn["role"] != "tool" or not count or not after["loss"]:
            continue
        asked, thought = _thought(before), _thought(after)
        if not thought:
            continue
        shown = [_text(f"{asked}\n")] * bool(asked) + list(turn["content"])
        said = [_turn("user", shown), _turn("assistant", [_text(f"<think>{thought}</think>")])]
        images = row["images"][place : place + count]
        yield {**row, "id": f"{row['id']}-{place}", "messages": said, "tools": [], "images": images}


def all_looks(rows: "Dataset") -> "Dataset":
    """The looks of all rows; no picture is decoded."""
    from datasets import Image, List

    kept = rows.cast_column("images", List(Image(decode=False))).cast_column("image", Image(decode=False))

    def cut(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        found = [
            look
            for values in zip(*batch.values(), strict=True)
            for look in looks(dict(zip(batch, values, strict=True)))
        ]
        return {name: [look[name] for look in found] for name in batch}

    return kept.map(cut, batched=True, batch_size=64, keep_in_memory=True).cast(rows.features)


def _thought(turn: Row) -> str:
    """What a turn of the model thought; empty if it is none, or thought nothing."""
    said = "".join(block["text"] for block in turn["content"] if block["type"] == "text")
    found = _THOUGHT.search(said) if turn["role"] == "assistant" else None
    return found[1].strip() if found else ""


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _turn(role: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"role": role, "content": content, "tool_calls": [], "tool_call_id": "", "loss": role == "assistant"}
