"""mlvu: MLVU (arXiv 2406.04264), dev and test: long videos, multiple-choice tasks and two that are answered freely.

Tasks carry the leaderboard's codes in both splits. M-Avg is the mean of task accuracies, G-Avg the mean of the two free
tasks' totals; other tools print means over items under these names, so those stand beside them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from seekerdata.sample import LETTERS, digest
from seekereval.archive import Archive
from seekereval.benchmark import Benchmark, Count, Hub, defects_of, laid
from seekereval.item import Graded, Item, State
from seekereval.table import as_list, find_table, read_table, seconds, text

__all__ = ["MLVU"]

FOLDERS = {
    "PQA": "1_plotQA", "NQA": "2_needle", "ER": "3_ego", "AC": "4_count", "AO": "5_order", "AR": "6_anomaly_reco",
    "TR": "7_topic_reasoning", "SSC": "8_sub_scene", "VS": "9_summary",
}  # fmt: skip
"""Files and video folders of the dev split, by task."""
TYPES = {
    "plotQA": "PQA", "findNeedle": "NQA", "needle": "NQA", "needleQA": "NQA", "ego": "ER", "count": "AC", "order": "AO",
    "anomaly_reco": "AR", "topic_reasoning": "TR", "subPlot": "SSC", "sub_scene": "SSC", "summary": "VS",
    "sportsQA": "SQA", "tutorialQA": "TQA",
}  # fmt: skip
"""Tasks by the rows' `question_type`."""
DEV = {"PQA": 539, "NQA": 355, "ER": 352, "AC": 206, "AO": 259, "AR": 200, "TR": 264, "SSC": 201, "VS": 217}
TEST = {"TR": 91, "AR": 39, "NQA": 60, "ER": 53, "PQA": 50, "SQA": 36, "AO": 70, "AC": 60, "TQA": 43}
FREE = {"SSC": "mlvu_sub_scene", "VS": "mlvu_summary"}
"""Tasks without options, and who scores them."""
LOWEST, HIGHEST = 2.0, 10.0
"""Two ratings of 1 to 5 make a free answer's total."""
TEST_FILES = ("test_mcq_gt.json", "test_ssc_gt.json", "test_vs_gt.json")
NEEDED = ("question", "answer", "video", "question_type")


class MLVU(Benchmark):
    """MLVU: nine tasks with four options (dev) or eleven with six (test), two of each answered freely."""

    split: Literal["dev", "test"] = "dev"
    """dev: known to have rows that no reply gets right, and rows whose right option stands twice (see defects)."""
    generation: bool = True
    """Whether the two free tasks are asked too; they need a judge."""

    groups = ("task",)

    @property
    def hub(self) -> Hub:
        licence = "CC-BY-NC-SA-4.0"
        if self.split == "dev":
            return Hub("MLVU/MVLU", "main", licence, ("MLVU/*",), gated=True)
        videos = Archive("MLVU_Test/test_video.tar.gz.part-*", "MLVU_Test/video")
        return Hub("MLVU/MLVU_Test", "main", licence, ("test-ground-truth/*", videos.files), (videos,), gated=True)

    @property
    def compat(self) -> tuple[str, ...]:
        return (f"mlvu_official_{self.split}", "lmms_eval_mcq", "vlmevalkit_can_infer")

    @property
    def counts(self) -> tuple[Count, ...]:
        if self.split == "test":
            all_of_it = None if self.generation else sum(TEST.values())  # of the free tasks no number is known
            return (Count("leaderboard", all_of_it, {"task": TEST}),)
        tasks = DEV if self.generation else {task: n for task, n in DEV.items() if task not in FREE}
        return (Count("annotation files", sum(tasks.values()), {"task": tasks}),)

    @property
    def submission(self) -> str:
        return "mlvu_test" if self.split == "test" else ""

    @property
    def fixtures(self) -> list[dict[str, Any]]:
        tasks = DEV if self.split == "dev" else [*TEST, *FREE]
        return [_fixture(task, n, self.split) for task in tasks for n in range(3)]

    def rows(self, data: Path) -> list[dict[str, Any]]:
        if self.split == "dev":
            files = {task: (f"MLVU/json/{name}.json", f"**/{name}.json") for task, name in FOLDERS.items()}
        else:
            names = zip(("", "SSC", "VS"), TEST_FILES, strict=True)
            files = {task: (f"test-ground-truth/{name}", f"**/{name}") for task, name in names}
        wanted = [patterns for task, patterns in files.items() if self.generation or task not in FREE]
        return [row for patterns in wanted for row in read_table(find_table(data, patterns, self._spec), NEEDED)]

    @property
    def _spec(self) -> str:
        return "mlvu" if self.split == "dev" else "mlvu:split=test"

    def item(self, row: dict[str, Any], data: Path | None = None) -> Item:
        task = _task(row)
        question, answer, video = text(row.get("question")), text(row.get("answer")), text(row.get("video"))
        options = () if task in FREE else tuple(text(option) for option in as_list(row.get("candidates")))
        gold = answer if task in FREE else _gold(answer, options)
        if self.split == "dev":
            folder = f"{laid(data, 'MLVU/video', 'video')}/{FOLDERS.get(task, task)}"
        else:
            folder = laid(data, "MLVU_Test/video", "video")
        missing = ("no_question",) * (not question) + ("no_gold",) * (not answer)
        return Item(
            id=text(row.get("question_id")) or digest([task, video, question, options, answer]),
            video=f"{folder}/{video}",
            question=question,
            options=options,
            answer=gold,
            scoring=FREE.get(task, "choice"),
            points=tuple(text(point) for point in as_list(row.get("scoring_points"))),
            groups={"task": task},
            cluster=video,
            duration_s=seconds(row.get("duration")),
            defects=missing if task in FREE else defects_of(question, options, gold),
            row=row,
        )

    def extras(self, graded: Sequence[Graded]) -> dict[str, float]:
        """`M-Avg` and `M micro` in percent; `G-Avg` and `G micro` from 2 to 10.

        A free answer that is none counts as the lowest total; one that the judge failed on is left out, and bounds say
        what it might have been worth.
        """
        chosen = _by_task(row for row in graded if row.item.scoring == "choice")
        free = _by_task(row for row in graded if row.item.scoring in FREE.values())
        found = {}
        if chosen:
            shares = {task: fmean(row.score for row in rows) for task, rows in chosen.items()}
            found["M-Avg"] = 100 * fmean(shares.values())
            found["M micro"] = 100 * fmean(row.score for rows in chosen.values() for row in rows)
        judged = {task: [total for row in rows if (total := _total(row)) is not None] for task, rows in free.items()}
        if judged and all(judged.values()):
            found["G-Avg"] = fmean(fmean(totals) for totals in judged.values())
            found["G micro"] = fmean(total for totals in judged.values() for total in totals)
        if free and any(_total(row) is None for rows in free.values() for row in rows):
            for name, total in (("G-Avg at least", LOWEST), ("G-Avg at most", HIGHEST)):
                found[name] = fmean(fmean(_total(row) or total for row in rows) for rows in free.values())
        return found


def _task(row: dict[str, Any]) -> str:
    """The leaderboard's code of a row's task; the test split's ids begin with it (`AR_0`)."""
    code = text(row.get("question_id")).partition("_")[0]
    kind = text(row.get("question_type"))
    return code if code in {*TEST, *FREE} else TYPES.get(kind, kind)


def _gold(answer: str, options: tuple[str, ...]) -> str:
    """The letter of the last option that is the answer's very text, as the official code takes it."""
    equal = [LETTERS[n] for n, option in enumerate(options) if option == answer]
    return equal[-1] if equal else ""


def _by_task(graded: Iterable[Graded]) -> dict[str, list[Graded]]:
    found: dict[str, list[Graded]] = {}
    for row in graded:
        found.setdefault(row.item.groups["task"], []).append(row)
    return found


def _total(row: Graded) -> float | None:
    """A free answer's total, of the judge's two ratings; None where the judge failed."""
    if row.state is State.JUDGE_FAILED:
        return None
    if row.state is not State.ANSWERED:
        return LOWEST
    return row.scores["total"]


def _fixture(task: str, n: int, split: str) -> dict[str, Any]:
    options = ["Yellow", "Red", "Green", "Blue", "Grey", "White"][: 4 if split == "dev" else 6]
    kind = next(kind for kind, code in TYPES.items() if code == task)
    row: dict[str, Any] = {
        "video": f"made_{n}.mp4",
        "duration": 200 + n,
        "question": f"Which colour ends case {n} of {task}?",
        "question_type": kind,
    }
    if split == "test":
        row["question_id"] = f"{task}_{n}"
    if task in FREE:
        row |= {"question": f"Please describe case {n} of {task}.", "answer": "A boat leaves, then it rains."}
        return row | ({"scoring_points": ["A boat leaves", "It rains"]} if task == "SSC" else {})
    number = (len(options) - 1 - n) if split == "test" else n + 1
    return row | {"candidates": options, "answer": options[number]}
