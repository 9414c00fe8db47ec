"""Prediction: one reply that another tool wrote, with the row it stands in. What a file is, its content says.

Read are: response files of V2P-Bench (JSON lines with `response`), VideoSeeker's results, lmms-eval's samples,
VLMEvalKit's tables, Video-MME's template, MLVU's test file and LongVideoBench's. Nothing of a reply is changed; a text
by which a tool says that it got no reply is an error and never a reply.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seekerdata.errors import SeekerError
from seekereval.item import Call

FORMATS = {
    "responses": "V2P-Bench: JSON lines, annotation rows with `response`",
    "videoseeker": "VideoSeeker: JSON lines with `response`, `raw_output` or `predict`",
    "lmms_eval": "lmms-eval: samples JSON lines with `resps` or `filtered_resps`",
    "vlmevalkit": "VLMEvalKit: xlsx, tsv, csv or JSON table with `prediction`",
    "videomme_template": "Video-MME: JSON list of videos, each question with `response`",
    "mlvu_test": "MLVU: JSON list with `question_id` and `option`",
    "longvideobench_test": "LongVideoBench: one JSON object of replies by question id",
}
NO_REPLY = re.compile(r"\s*(?:Failed to obtain answer(?: via API)?\.?|\[LMMS_EVAL_REQUEST_FAILED\b.*)\s*", re.DOTALL)
"""What VLMEvalKit and lmms-eval write in place of a reply when a call failed."""
EXCEL = b"PK\x03\x04"

Row = dict[str, Any]


@dataclass(frozen=True)
class Prediction:
    """One reply. `row` is what the file says of the question; `number` counts the file's rows from 1."""

    number: int
    row: Row
    reply: str
    error: str = ""
    calls: tuple[Call, ...] = ()
    position: int | None = None
    """lmms-eval's `doc_id`: the place of the question in the data set, where nothing else names it."""


@dataclass(frozen=True)
class Predictions:
    """A file of replies; `format` is a key of `FORMATS`, `sha256` names its content."""

    path: Path
    format: str
    replies: list[Prediction] = field(repr=False)
    sha256: str = ""

    @property
    def facts(self) -> Row:
        """For a manifest: no path, it is this machine's."""
        rows = len(self.replies)
        return {"file": self.path.name, "format": self.format, "rows": rows, "sha256": self.sha256}


def read_predictions(path: Path) -> Predictions:
    """Read a file of replies of any format in `FORMATS`.

    Raises:
        SeekerError: no such file, an Excel table without `openpyxl`, a line that is no JSON, or a content that is
            none of the formats; says what it holds.
    """
    import hashlib

    try:
        data = path.read_bytes()
    except OSError as error:
        raise SeekerError(f"{path}: cannot be read: {error.strerror}") from None
    content = _excel(path, data) if data.startswith(EXCEL) else _content(path, data)
    kind = _format(path, content)
    replies = list(_READERS[kind](content))
    return Predictions(path, kind, replies, hashlib.sha256(data).hexdigest())


def _content(path: Path, data: bytes) -> Any:
    """What the file holds: a JSON value, or the rows of its lines or of its table."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SeekerError(f"{path}: neither UTF-8 text nor an Excel table") from None
    start = text.lstrip()[:1]
    if start not in ("{", "["):
        csv.field_size_limit(sys.maxsize)  # a reply may be longer than the module's own limit
        header = text.partition("\n")[0]
        return list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in header else ","))
    try:
        return json.loads(text)
    except ValueError:
        return [_line(path, number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def _line(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise SeekerError(f"{path}:{number}: not JSON: {error}") from None


def _excel(path: Path, data: bytes) -> list[Row]:
    try:
        import openpyxl
    except ImportError:
        raise SeekerError(
            f"{path}: an Excel table needs pip install 'videoseeker-toolkit[eval]'; a .tsv or .csv of it needs nothing"
        ) from None
    sheet = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True).active
    rows = sheet.iter_rows(values_only=True) if sheet else iter(())
    header = [str(name) for name in next(rows, ())]
    return [dict(zip(header, values, strict=False)) for values in rows]


def _format(path: Path, content: Any) -> str:
    """The format by what the rows hold; the first that fits, most particular first."""
    if isinstance(content, dict):
        if content and all(isinstance(value, str) for value in content.values()) and "response" not in content:
            return "longvideobench_test"
        content = [content]
    rows = content if isinstance(content, list) else []
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise SeekerError(f"{path}: no rows in it that any known format has ({', '.join(FORMATS)})")
    keys = {key for row in rows for key in row}
    for name, wanted in _SIGNS:
        if any(signs <= keys for signs in wanted):
            return name
    some = ", ".join(sorted(map(str, keys))[:12])
    raise SeekerError(f"{path}: its rows have {some}; no format of {', '.join(FORMATS)} has these without a reply")


_SIGNS: Sequence[tuple[str, Sequence[set[str]]]] = (
    ("videomme_template", [{"questions"}]),
    ("lmms_eval", [{"resps"}, {"filtered_resps"}]),
    ("videoseeker", [{"response", "raw_output"}, {"response", "predict"}]),
    ("vlmevalkit", [{"prediction", "question"}, {"prediction", "index"}]),
    ("mlvu_test", [{"question_id", "option"}]),
    ("responses", [{"response"}]),
)


def _responses(content: Any) -> Iterator[Prediction]:
    for number, row in enumerate(_rows(content), start=1):
        yield _prediction(number, row, row.get("response"), "response")


def _videoseeker(content: Any) -> Iterator[Prediction]:
    own = ("response", "raw_output", "user_text", "predict", "tool_calls", "num_rounds", "correct", "error")
    for number, row in enumerate(_rows(content), start=1):
        asked = {key: value for key, value in row.items() if key not in own}
        calls = tuple(
            Call(name=str(call.get("name", "")), arguments=call.get("arguments") or {})
            for call in row.get("tool_calls") or ()
        )
        yield _prediction(number, asked, row.get("response"), error=str(row.get("error") or ""), calls=calls)


def _lmms_eval(content: Any) -> Iterator[Prediction]:
    """Replies as they came: `filtered_resps` only where `resps`, being the same, was left out."""
    for number, row in enumerate(_rows(content), start=1):
        reply = row.get("resps", row.get("filtered_resps"))
        while isinstance(reply, list):
            reply = reply[0] if reply else None
        named = [v for v in row.values() if isinstance(v, dict) and {"question_id", "id"} & v.keys()]
        asked = row.get("doc") or next(iter(named), {})
        asked = {**asked, **({"answer": row["target"]} if "target" in row and "answer" not in asked else {})}
        place = row.get("doc_id")
        yield _prediction(number, asked, reply, position=place if isinstance(place, int) else None)


def _vlmevalkit(content: Any) -> Iterator[Prediction]:
    for number, row in enumerate(_rows(content), start=1):
        yield _prediction(number, row, row.get("prediction"), "prediction")


def _videomme_template(content: Any) -> Iterator[Prediction]:
    asked = [{**video, **question} for video in _rows(content) for question in video.get("questions", ())]
    for number, row in enumerate(asked, start=1):
        row.pop("questions", None)
        yield _prediction(number, row, row.get("response"), "response")


def _mlvu_test(content: Any) -> Iterator[Prediction]:
    for number, row in enumerate(_rows(content), start=1):
        yield _prediction(number, row, row.get("option"), "option")


def _longvideobench_test(content: Mapping[str, str]) -> Iterator[Prediction]:
    for number, (name, reply) in enumerate(content.items(), start=1):
        yield _prediction(number, {"id": name}, reply)


_READERS = {
    "responses": _responses,
    "videoseeker": _videoseeker,
    "lmms_eval": _lmms_eval,
    "vlmevalkit": _vlmevalkit,
    "videomme_template": _videomme_template,
    "mlvu_test": _mlvu_test,
    "longvideobench_test": _longvideobench_test,
}


def _rows(content: Any) -> list[Row]:
    return [content] if isinstance(content, dict) else content


def _prediction(number: int, row: Row, reply: Any, own: str = "", error: str = "", **facts: Any) -> Prediction:
    """A reply that is absent (null, an empty cell, pandas' nan) is empty; a tool's words for a failed call are one."""
    absent = reply is None or (isinstance(reply, float) and reply != reply)
    text = "" if absent else str(reply)
    if not error and NO_REPLY.fullmatch(text):
        error = " ".join(text.split())
    asked = {key: value for key, value in row.items() if key != own}
    return Prediction(number, asked, "" if error else text, error, **facts)
