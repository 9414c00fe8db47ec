"""Submission: a run's answers in the file that a benchmark's own evaluation takes. No answer stays no answer."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from seekerdata.errors import SeekerError
from seekerdata.workspace import write_atomically
from seekereval.item import Graded, State


def write_submission(form: str, path: Path, graded: Sequence[Graded]) -> None:
    """Write all items of a run as `videomme`, `mlvu_test` or `longvideobench_test`.

    Video-MME's evaluation reads the replies itself, so its file holds them whole; the other two take letters, and hold
    an empty one where none was read.

    Raises:
        SeekerError: no such form, an item that lacks what the form needs, or a disk that is full.
    """
    if form not in FORMS:
        raise SeekerError(f"--export {form}: there is {', '.join(FORMS)}")
    text = json.dumps(FORMS[form](graded), ensure_ascii=False, indent=2)
    write_atomically(path, f"{text}\n".encode())


def _videomme(graded: Sequence[Graded]) -> list[dict[str, Any]]:
    """Video-MME's template, with the replies whole."""
    videos: dict[str, dict[str, Any]] = {}
    for row in graded:
        about, asked = ("video_id", "duration", "domain", "sub_category"), ("question_id", "task_type", "question")
        video = _fields(row, "videomme", about)
        questions = videos.setdefault(video["video_id"], {**video, "questions": []})["questions"]
        told = _fields(row, "videomme", (*asked, "options", "answer"))
        questions.append({**told, "options": list(told["options"]), "response": row.reply})
    return list(videos.values())


def _mlvu_test(graded: Sequence[Graded]) -> list[dict[str, Any]]:
    """MLVU's multiple-choice questions; those to be judged have a file of their own there."""
    chosen = [row for row in graded if row.item.options]
    return [{**_fields(row, "mlvu_test", ("question_id", "question_type")), "option": _letter(row)} for row in chosen]


def _longvideobench_test(graded: Sequence[Graded]) -> dict[str, str]:
    """LongVideoBench's test file: letters by question id."""
    return {_fields(row, "longvideobench_test", ("id",))["id"]: _letter(row) for row in graded}


FORMS: dict[str, Callable[[Sequence[Graded]], Any]] = {
    "videomme": _videomme,
    "mlvu_test": _mlvu_test,
    "longvideobench_test": _longvideobench_test,
}


def _letter(row: Graded) -> str:
    return row.answer if row.state is State.ANSWERED else ""


def _fields(row: Graded, form: str, keys: Sequence[str]) -> dict[str, Any]:
    """Fields of the benchmark's own row, as it has them."""
    if missing := [key for key in keys if key not in row.item.row]:
        raise SeekerError(f"--export {form}: item {row.item.id} has no {', '.join(missing)}; is it of that benchmark?")
    return {key: row.item.row[key] for key in keys}
