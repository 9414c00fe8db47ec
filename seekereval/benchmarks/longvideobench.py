"""longvideobench: LongVideoBench (arXiv 2407.15754): questions that refer to moments of long videos.

`position` holds frame numbers of the evidence; where the video is on disk, its frame rate turns them into seconds.
"""

from pathlib import Path
from typing import Any, Literal

from seekerdata.errors import ItemError
from seekerdata.sample import LETTERS, digest
from seekereval.archive import Archive
from seekereval.benchmark import Benchmark, Count, Hub, defects_of, laid
from seekereval.item import Item
from seekereval.playing import video_of
from seekereval.table import as_list, find_table, read_table, seconds, text

__all__ = ["LongVideoBench"]

FILES = {
    "validation": ("lvb_val.json", "**/lvb_val.json", "validation-*.parquet", "**/validation-*.parquet"),
    "test": ("lvb_test_wo_gt.json", "**/lvb_test_wo_gt.json", "test-*.parquet", "**/test-*.parquet"),
}
NEEDED = ("question", "video_path", "question_category")
CATEGORIES = (
    "S2E", "S2O", "S2A", "E2O", "O2E", "T2E", "T2O", "T2A",
    "E3E", "O3O", "SSS", "SOS", "SAA", "T3E", "T3O", "TOS", "TAA",
)  # fmt: skip
"""Question categories: the first eight are of level L1 (perception), the others of L2 (relation)."""


class LongVideoBench(Benchmark):
    """LongVideoBench: 4 or 5 options, subtitles as a setting, a test split that only its leaderboard can score."""

    split: Literal["validation", "test"] = "validation"
    """test: its right answers are held back; a run claims no score and leaves the file that the leaderboard takes."""
    subtitles: Literal["off", "interleaved"] = "off"
    """interleaved: what is spoken while a frame is shown stands behind it."""

    groups = ("duration", "question_category", "level", "topic_category")

    @property
    def hub(self) -> Hub:
        return Hub(
            "longvideobench/LongVideoBench",
            "60d1c89c1919a198b73be39c2babb213b29d6a5c",
            "CC-BY-NC-SA-4.0",
            (FILES[self.split][0], "subtitles.tar", "videos.tar.part.*"),
            (Archive("videos.tar.part.*", "videos", parts=31), Archive("subtitles.tar", "subtitles")),
            gated=True,
        )

    @property
    def compat(self) -> tuple[str, ...]:
        return ("lmms_eval_longvideobench", "vlmevalkit_can_infer", "videoseeker_eval_all", "videoseeker_direct")

    @property
    def counts(self) -> tuple[Count, ...]:
        if self.split == "test":
            return (Count("test file", 5341),)
        lengths = {"15": 189, "60": 172, "600": 412, "3600": 564}
        return (Count("validation file", 1337, {"duration": lengths}),)

    @property
    def fixtures(self) -> list[dict[str, Any]]:
        rows = [_fixture(category, n) for category in CATEGORIES for n in range(3)]
        held_back = {"correct_choice"} if self.split == "test" else set()
        return [{key: value for key, value in row.items() if key not in held_back} for row in rows]

    @property
    def submission(self) -> str:
        return "longvideobench_test" if self.split == "test" else ""

    def rows(self, data: Path) -> list[dict[str, Any]]:
        if self.split == "test":
            file = find_table(data, FILES["test"], f"{self.plugin_name()}:split=test")
            return read_table(file, NEEDED)
        return read_table(find_table(data, FILES["validation"], self.plugin_name()), (*NEEDED, "correct_choice"))

    def item(self, row: dict[str, Any], data: Path | None = None) -> Item:
        question, options = text(row.get("question")), _options(row)
        gold = _gold(row.get("correct_choice"), options)
        held_back = self.split == "test" and not gold
        defects = defects_of(question, options, gold)
        video, spoken = text(row.get("video_path")), text(row.get("subtitle_path"))
        item = Item(
            id=text(row.get("id")) or digest([video, question, options]),
            video=f"{laid(data, 'videos', 'video')}/{video}",
            question=question,
            options=options,
            answer=gold,
            scoring="elsewhere" if held_back else "choice",
            groups={
                "duration": text(row.get("duration_group")),
                "question_category": text(row.get("question_category")),
                "level": text(row.get("level")).partition("-")[0],
                "topic_category": text(row.get("topic_category")),
            },
            cluster=text(row.get("video_id")) or video,
            duration_s=seconds(row.get("duration")),
            subtitles=f"{laid(data, 'subtitles', 'subtitle')}/{spoken}" if self.subtitles != "off" and spoken else "",
            defects=tuple(code for code in defects if code != "no_gold") if held_back else defects,
            row=row,
        )
        return item if data is None else item.model_copy(update={"evidence_s": _evidence(item, data)})


def _options(row: dict[str, Any]) -> tuple[str, ...]:
    """The candidates; in parquet they are columns, filled up with `N/A`."""
    if row.get("candidates") is not None:
        return tuple(text(option) for option in as_list(row["candidates"]))
    columns = [text(row.get(f"option{n}")) for n in range(5)]
    return tuple(option for option in columns if option and option != "N/A")


def _gold(choice: Any, options: tuple[str, ...]) -> str:
    """`correct_choice` counts from 0; the test split's `@` is no answer."""
    number = text(choice).removesuffix(".0")
    return LETTERS[int(number)] if number.isdigit() and int(number) < len(options) else ""


def _evidence(item: Item, data: Path) -> tuple[tuple[float, float], ...]:
    """The moments of `position` in seconds; none where the video cannot be read, which its play will say."""
    frames = [number for number in as_list(item.row.get("position")) if isinstance(number, int | float)]
    if not frames:
        return ()
    try:
        fps = video_of(item, data).info.fps
    except ItemError:
        return ()
    return tuple((round(n / fps, 3), round(n / fps, 3)) for n in frames) if fps else ()


def _fixture(category: str, n: int) -> dict[str, Any]:
    options = ["a man opens a door", "rain falls", "a train leaves", "a hand waves", "a light goes out"][: 4 + n % 2]
    level = "L1-Perception" if CATEGORIES.index(category) < 8 else "L2-Relation"
    return {
        "video_id": f"made_{n}",
        "question": f"When the words of case {n} are said, what happens next ({category})?",
        "question_wo_referring_query": "What happens next?",
        "candidates": options,
        "correct_choice": (CATEGORIES.index(category) + n) % len(options),
        "position": [10, 20 + n],
        "topic_category": "Made",
        "question_category": category,
        "level": level,
        "id": f"made_{category}_{n}",
        "video_path": f"made_{n}.mp4",
        "subtitle_path": f"made_{n}_en.json",
        "duration_group": (15, 600, 3600)[n],
        "starting_timestamp_for_subtitles": 0,
        "duration": (12.5, 300.0, 1000.0)[n],
    }
