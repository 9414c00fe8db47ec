"""videosiah: VideoSIAH-Eval of LongVT (arXiv 2511.20785): open questions about a brief moment of a long video."""

from pathlib import Path, PurePosixPath
from typing import Any

from seekerdata.sample import digest
from seekereval.archive import Archive
from seekereval.benchmark import Benchmark, Count, Hub
from seekereval.item import Item
from seekereval.table import find_table, read_table, text

__all__ = ["VideoSIAH"]

FILES = ("data/test-*.parquet", "data/test-*.json", "test-*.parquet", "test-*.json", "*.jsonl")
NEEDED = ("question", "answer", "video_path")


class VideoSIAH(Benchmark):
    """VideoSIAH-Eval: 652 open questions over 244 videos; a judge says what an answer is worth."""

    groups = ()

    @property
    def hub(self) -> Hub:
        return Hub(
            "longvideotool/VideoSIAH-Eval",
            "main",
            "as its dataset card says",
            archives=(Archive("*.zip", "videos", flat=True),),
        )

    @property
    def counts(self) -> tuple[Count, ...]:
        return (
            Count("since duplicates were removed (2026-03)", 652, videos=244),
            Count("before duplicates were removed", 1280),
        )

    @property
    def fixtures(self) -> list[dict[str, Any]]:
        asked = (("What is poured into the cup?", "green tea"), ("Who opens the door?", "the man in the red coat"))
        rows = [*asked, ("How many boats pass before the bridge closes?", "three")]
        return [
            {"video_path": f"made/{n}.mp4", "question": question, "answer": answer}
            for n, (question, answer) in enumerate(rows)
        ]

    def rows(self, data: Path) -> list[dict[str, Any]]:
        return read_table(find_table(data, FILES, self.plugin_name()), NEEDED)

    def item(self, row: dict[str, Any], data: Path | None = None) -> Item:
        question, answer, path = text(row.get("question")), text(row.get("answer")), text(row.get("video_path"))
        name = PurePosixPath(path).name  # its archives differ in their folders, so they are unpacked into one
        return Item(
            id=digest([path, question, answer]),
            video=path if data is not None and ".." not in path and (data / path).is_file() else f"videos/{name}",
            question=question,
            answer=answer,
            scoring="judge",
            cluster=name,
            defects=("no_question",) * (not question) + ("no_gold",) * (not answer),
            row=row,
        )
