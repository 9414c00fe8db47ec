"""videomme: Video-MME (arXiv 2405.21075): four options about short, medium and long videos, or with subtitles."""

from pathlib import Path
from typing import Any, Literal

from seekerdata.row import without_letters
from seekerdata.sample import LETTERS, digest
from seekereval.archive import Archive
from seekereval.benchmark import Benchmark, Count, Hub, defects_of, gold_letter, laid
from seekereval.item import Item
from seekereval.table import as_list, find_table, read_table, text

__all__ = ["VideoMME"]

FILES = ("videomme/test-*.parquet", "**/test-*.parquet", "Video-MME.tsv", "videomme.json", "*.parquet")
NEEDED = ("question", "answer", "duration", "task_type")
TASKS = (
    "Temporal Perception", "Spatial Perception", "Attribute Perception", "Action Recognition", "Object Recognition",
    "OCR Problems", "Counting Problem", "Temporal Reasoning", "Spatial Reasoning", "Action Reasoning",
    "Object Reasoning", "Information Synopsis",
)  # fmt: skip


class VideoMME(Benchmark):
    """Video-MME: 900 videos with three questions each, by length, domain and task."""

    subtitles: Literal["off", "on"] = "off"
    """on: what is spoken while a frame is shown stands behind it, for the 744 videos that have subtitles."""

    groups = ("duration", "domain", "sub_category", "task_type")

    @property
    def hub(self) -> Hub:
        return Hub(
            "lmms-lab/Video-MME",
            "ead1408f75b618502df9a1d8e0950166bf0a2a0b",
            "Video-MME's own: academic research only",
            ("videomme/*.parquet", "videos_chunked_*.zip", "subtitle.zip"),
            (Archive("videos_chunked_*.zip", "data", flat=True), Archive("subtitle.zip", "subtitle", flat=True)),
        )

    @property
    def compat(self) -> tuple[str, ...]:
        return (
            "videomme_official", "lmms_eval_mcq", "vlmevalkit_can_infer", "videoseeker_eval_all", "videoseeker_direct",
        )  # fmt: skip

    @property
    def counts(self) -> tuple[Count, ...]:
        lengths = dict.fromkeys(("short", "medium", "long"), 900)
        return (Count("paper and dataset card", 2700, {"duration": lengths}, videos=900),)

    @property
    def fixtures(self) -> list[dict[str, Any]]:
        return [_fixture(task, n) for task in TASKS for n in range(3)]

    def rows(self, data: Path) -> list[dict[str, Any]]:
        return read_table(find_table(data, FILES, self.plugin_name()), NEEDED)

    def item(self, row: dict[str, Any], data: Path | None = None) -> Item:
        question = text(row.get("question"))
        given = row.get("options") if row.get("options") is not None else row.get("candidates")
        options = without_letters([text(option) for option in as_list(given)])
        gold = gold_letter(row.get("answer"), options)
        video = text(row.get("videoID") or row.get("video") or row.get("video_id"))
        folder, beside = laid(data, "data", "video", "videos"), laid(data, "subtitle", "subtitles")
        spoken = f"{beside}/{video}.srt"
        has = self.subtitles == "on" and (data is None or (data / spoken).is_file())
        return Item(
            id=text(row.get("question_id")) or digest([video, question, options]),
            video=f"{folder}/{video}.mp4",
            question=question,
            options=options,
            answer=gold,
            groups={name: text(row.get(name)) for name in self.groups},
            cluster=video,
            subtitles=spoken if has else "",
            defects=defects_of(question, options, gold),
            row=row,
        )


def _fixture(task: str, n: int) -> dict[str, Any]:
    options = [f"{LETTERS[k]}. {word}." for k, word in enumerate(("Four cups", "A bird", "The red door", "None"))]
    return {
        "video_id": f"00{n + 1}",
        "duration": ("short", "medium", "long")[n],
        "domain": "Knowledge",
        "sub_category": "Made",
        "url": "",
        "videoID": f"made_{n}",
        "question_id": f"made-{TASKS.index(task)}-{n}",
        "task_type": task,
        "question": f"What does case {n} of {task.lower()} show?",
        "options": options if n != 1 else str(options),  # a TSV writes a list as text
        "answer": LETTERS[(TASKS.index(task) + n) % 4],
    }
