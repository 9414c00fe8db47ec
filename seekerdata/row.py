"""Row: one raw question as a source found it. It becomes a Sample whole, or names everything that is wrong with it.

`{video, question, options, answer, dimension?, source?, licence?, <annotations>?}`; other keys are not read.
"""

import math
import re
from pathlib import PurePosixPath
from typing import Any

from seekerdata.annotation import Annotation, read_annotation
from seekerdata.errors import ItemError
from seekerdata.mistakes import Mistakes, shown
from seekerdata.sample import LETTERS, Sample, Target, VideoRef
from seekerdata.workspace import Workspace

_LETTERED = re.compile(r"\(?([A-Za-z])[.):]\s*(.*)", re.DOTALL)
_OPTION = re.compile(r"\s*\(?([A-Z])[.):]\s+(.*)")
_HEADING = re.compile(r"\s*options?\s*:?\s*", re.IGNORECASE)
_LETTER = re.compile(r"\(?([A-Za-z])[.):]*")


def read_row(
    raw: dict[str, Any],
    workspace: Workspace,
    *,
    id: str,
    where: str,
    provenance: dict[str, Any],
    annotations: str = "annotations",
    origin: str = "",
    licence: str = "",
) -> Sample:
    """The sample of one row, its video probed and everything checked.

    Args:
        where: file and line; opens every error text. Not kept: a line added above must not change the sample.
        provenance: noted as `source`.
        annotations: the row's field that `read_annotation` reads.
        origin, licence: used where the row has no `source` or `licence` of its own.

    Raises:
        ItemError: bad_question, bad_options, bad_answer, bad_field, bad_path, bad_annotation, bad_window,
            bad_box, bad_time, bad_mask; all mistakes in one text, coded as the first. A video that cannot be
            read raises its own VideoError; marks are then not checked, for want of a frame to check against.
    """
    mistakes = Mistakes(where)
    question = _question(raw, mistakes)
    options = _options(raw, mistakes)
    answer = _answer(raw, options, mistakes)
    texts = {field: _text(raw, field, mistakes) for field in ("dimension", "source", "licence")}
    video = _video(raw, workspace, texts["source"] or origin, texts["licence"] or licence, mistakes)
    marks = Annotation(Target(), None, ())
    if video is not None:
        marks = read_annotation(raw.get(annotations), annotations, video, mistakes)
    mistakes.raise_any()
    assert video is not None
    noted = {**provenance, "adjusted": list(marks.adjusted)} if marks.adjusted else provenance
    return Sample(
        id=id,
        video=video,
        question=question,
        options=options,
        answer=answer,
        dimension=texts["dimension"],
        target=marks.target,
        instance=marks.instance,
        provenance={"source": noted},
    )


def inside_path(path: Any) -> str:
    """A row's video path, normalised, if it stays inside the video folder.

    Raises:
        ItemError: bad_path when it is no text, empty, absolute or goes up.
    """
    if not isinstance(path, str) or not path.strip():
        raise ItemError("bad_path", f"video is {shown(path)}, must be a path in the video folder")
    absolute = path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[\\/]", path)
    if absolute or ".." in re.split(r"[\\/]", path) or "\0" in path:
        raise ItemError("bad_path", f"video is {shown(path)}, must stay inside the video folder")
    return str(PurePosixPath(path))


def _text(raw: dict[str, Any], field: str, mistakes: Mistakes) -> str:
    value = raw.get(field)
    if value is None or isinstance(value, str):
        return (value or "").strip()
    mistakes.add("bad_field", f"{field} is {shown(value)}, must be text")
    return ""


def _question(raw: dict[str, Any], mistakes: Mistakes) -> str:
    value = raw.get("question")
    if not isinstance(value, str) or not value.strip():
        cause = "is missing" if value is None else f"is {shown(value)}, must be text"
        mistakes.add("bad_question", f"question {cause}")
        return ""
    return value.strip()


def _options(raw: dict[str, Any], mistakes: Mistakes) -> tuple[str, ...]:
    """The options as texts without letters; empty for an open question."""
    value = raw.get("options")
    if value is None or value == []:
        return ()
    texts = [_plain(option) for option in value] if isinstance(value, list) else [None]
    if None in texts:
        mistakes.add("bad_options", f"options is {shown(value)}, must be a list of texts")
        return ()
    options = without_letters([text or "" for text in texts])
    for problem in _option_problems(options):
        mistakes.add("bad_options", problem)
    return options


def _plain(value: Any) -> str | None:
    """Text, or a number as text (counts are often written so); None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else None
    return value.strip() if isinstance(value, str) else None


def _option_problems(options: tuple[str, ...]) -> list[str]:
    problems = []
    if len(options) == 1:
        problems.append("options holds one entry, must hold at least two, or none")
    if len(options) > len(LETTERS):
        problems.append(f"options holds {len(options)} entries, at most {len(LETTERS)} have letters")
    empty = [number for number, option in enumerate(options, 1) if not option]
    if empty:
        problems.append(f"option {empty[0]} of {len(options)} is empty")
    seen: dict[str, int] = {}
    for number, option in enumerate(options, 1):
        first = seen.setdefault(_matched(option), number)
        if option and first != number:
            problems.append(f"option {number} repeats option {first} ({shown(option)})")
    return problems


def without_letters(options: list[str]) -> tuple[str, ...]:
    """Option texts without `A. `, `B) `, `(C) `, if all carry them and in order."""
    parts = [_LETTERED.fullmatch(option) for option in options]
    letters = "".join(part[1] for part in parts if part).upper()
    if letters != LETTERS[: len(options)]:
        return tuple(options)
    return tuple(part[2].strip() for part in parts if part)


def _answer(raw: dict[str, Any], options: tuple[str, ...], mistakes: Mistakes) -> str:
    value = _plain(raw.get("answer"))
    if not value:
        cause = "is missing" if raw.get("answer") is None else f"is {shown(raw['answer'])}"
        mistakes.add("bad_answer", f"answer {cause}, must be text")
        return ""
    if not options:
        if raw.get("options"):  # broken options: their own mistake is told, the answer cannot be judged
            return ""
        return value
    try:
        return find_letter(value, options)
    except ValueError as error:
        mistakes.add("bad_answer", str(error))
        return ""


def part_options(text: str) -> tuple[str, list[str]]:
    """A question's words and its options, each on a line of its own that begins `A. `, letters kept."""
    question: list[str] = []
    options: list[str] = []
    for line in filter(str.strip, text.split("\n")):
        match = _OPTION.fullmatch(line)
        if match and len(options) < len(LETTERS) and match[1] == LETTERS[len(options)]:
            options.append(line.strip())
        elif options:  # an option that goes on in a second line
            options[-1] += " " + line.strip()
        elif not _HEADING.fullmatch(line):
            question.append(line.strip())
    return "\n".join(question), options


def find_letter(answer: str, options: tuple[str, ...]) -> str:
    """The letter that an answer means: `B`, `(b)`, `B. Blue` or the option's own text.

    Raises:
        ValueError: it means none, or two different ones; says so in one line.
    """
    matches = [i for i, option in enumerate(options) if _matched(option) == _matched(answer)]
    by_text = matches[0] if matches else None
    last = LETTERS[min(len(options), len(LETTERS)) - 1]
    if alone := _LETTER.fullmatch(answer):
        by_letter = LETTERS.index(alone[1].upper())
        if by_text is not None and by_text != by_letter:
            text = f"is a letter, and also the text of option {LETTERS[by_text]}"
            raise ValueError(f"answer {shown(answer)} {text}")
        if by_letter < len(options):
            return LETTERS[by_letter]
        raise ValueError(f"answer {shown(answer)} is beyond the {len(options)} options (A-{last})")
    if by_text is not None and by_text < len(LETTERS):
        return LETTERS[by_text]
    if both := _LETTERED.fullmatch(answer):
        index = LETTERS.index(both[1].upper())
        if index < len(options) and _matched(options[index]) == _matched(both[2]):
            return LETTERS[index]
    raise ValueError(f"answer {shown(answer)} is not among the {len(options)} options (A-{last})")


def _matched(text: str) -> str:
    """What two spellings of one option have in common."""
    return " ".join(text.casefold().split()).rstrip(" .")


def _video(raw: dict[str, Any], workspace: Workspace, origin: str, licence: str, mistakes: Mistakes) -> VideoRef | None:
    try:
        path = inside_path(raw.get("video"))
    except ItemError as error:
        mistakes.add(error.code, error.message)
        return None
    try:
        video = workspace.video(path)
        info = video.info
        return VideoRef(
            path=path,
            sha256=video.sha256,
            duration_s=info.duration_s,
            size_wh=info.size_wh,
            fps=info.fps,
            origin=origin,
            licence=licence,
        )
    except ItemError as error:
        mistakes.add_error(error)
        return None
