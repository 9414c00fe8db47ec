"""Replies of other tools: every format read, every row given its item, what does not fit counted, files given back."""

import csv
import io
import json
import random
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from material import shared
from typer.testing import CliRunner

from seekerdata.errors import SeekerError
from seekereval.benchmark import benchmark
from seekereval.cli import app
from seekereval.item import Item, State
from seekereval.matching import match
from seekereval.predictions import FORMATS, read_predictions
from seekereval.report import facts_of
from seekereval.results import Results, read_results
from seekereval.score import said, score
from seekereval.submission import FORMS, write_submission

Row = dict[str, Any]
MLVU = "mlvu:split=test,generation=false"
FILES = {
    "v2p_bench": "dataset_info.jsonl",
    "videomme": "videomme.json",
    "longvideobench": "lvb_val.json",
    MLVU: "test-ground-truth/test_mcq_gt.json",
}


def asked(spec: str) -> list[Row]:
    """Rows in the benchmark's format; of MLVU those of the multiple-choice file."""
    return [row for row in benchmark(spec).fixtures if "mlvu" not in spec or row.get("candidates")]


def data_of(spec: str, folder: Path, rows: Sequence[Row] | None = None) -> Path:
    """A data folder with the benchmark's annotation file alone."""
    rows = asked(spec) if rows is None else rows
    path = folder / FILES[spec]
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    path.write_text(lines if path.suffix == ".jsonl" else json.dumps(rows))
    return folder


def json_lines(rows: Sequence[Row]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def table(rows: Sequence[Row], delimiter: str = "\t") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def responses(items: Sequence[Item]) -> str:
    return json_lines([{**item.row, "response": item.answer, "model": "m"} for item in items])


def videoseeker(items: Sequence[Item]) -> str:
    """Options inside the question, as its conversion writes them."""
    rows = []
    for item in items:
        letters = "\n".join(f"{'ABCDEF'[n]}: {option}" for n, option in enumerate(item.options))
        told = {"video_path": Path(item.video).name, "question": f"{item.question}\n{letters}", "answer": item.answer}
        reply = f"<think>Look.</think><answer>{item.answer}</answer>"
        call = {"name": "crop_video", "arguments": {"start_time": 1}}
        own = {"response": reply, "raw_output": reply, "predict": item.answer, "tool_calls": [call], "correct": True}
        rows.append({**told, **own})
    return json_lines(rows)


def lmms_eval(items: Sequence[Item], **left: Any) -> str:
    rows = []
    for n, item in enumerate(items):
        told = {"doc_id": n, "doc": item.row, "target": item.answer, "resps": [[f"{item.answer}."]]}
        rows.append({**told, "filtered_resps": [item.answer], **left})
    return json_lines(rows)


def lmms_eval_scored(items: Sequence[Item]) -> str:
    """Without `doc`, as newer versions write it: the id stands in the score's own facts."""
    key = "question_id" if "question_id" in items[0].row else "id"
    rows = [{"doc_id": 9, "target": i.answer, "filtered_resps": [i.answer], "score": {key: i.row[key]}} for i in items]
    return json_lines(rows)


def vlmevalkit(items: Sequence[Item]) -> str:
    """No id of the question, lists as text, as its TSV has them."""
    keys = ("video", "question", "candidates", "answer")
    rows = []
    for n, item in enumerate(items):
        told = {"index": n, **{key: str(value) for key, value in item.row.items() if key in keys}}
        video = {"video": Path(item.video).stem, "question": item.row["question"]}
        rows.append({**told, **video, "prediction": f"Answer: {item.answer}"})
    return table(rows)


def videomme_template(items: Sequence[Item]) -> str:
    videos: dict[str, Row] = {}
    for item in items:
        row = item.row
        head = {key: row[key] for key in ("video_id", "duration", "domain", "sub_category")}
        question = {key: row[key] for key in ("question_id", "task_type", "question", "options", "answer")}
        videos.setdefault(row["video_id"], {**head, "questions": []})["questions"].append(
            {**question, "response": f"({item.answer})"}
        )
    return json.dumps(list(videos.values()))


def mlvu_test(items: Sequence[Item]) -> str:
    rows = [
        {key: item.row[key] for key in ("question_id", "question_type")} | {"option": item.answer} for item in items
    ]
    return json.dumps(rows)


def longvideobench_test(items: Sequence[Item]) -> str:
    return json.dumps({item.id: item.answer for item in items})


CASES: list[tuple[str, str, Callable[..., str]]] = [
    ("responses", "v2p_bench", responses),
    ("videoseeker", "v2p_bench", videoseeker),
    ("videoseeker", "videomme", videoseeker),
    ("videoseeker", "longvideobench", videoseeker),
    ("lmms_eval", "videomme", lmms_eval),
    ("lmms_eval", "videomme", lmms_eval_scored),
    ("lmms_eval", "longvideobench", lmms_eval_scored),
    ("lmms_eval", MLVU, lmms_eval),
    ("vlmevalkit", "videomme", vlmevalkit),
    ("vlmevalkit", "longvideobench", vlmevalkit),
    ("vlmevalkit", "v2p_bench", vlmevalkit),
    ("videomme_template", "videomme", videomme_template),
    ("mlvu_test", MLVU, mlvu_test),
    ("longvideobench_test", "longvideobench", longvideobench_test),
]


@pytest.mark.parametrize(("form", "spec", "write"), CASES, ids=[f"{c[2].__name__}-{c[1]}" for c in CASES])
def test_every_format_finds_its_items_in_any_order(form: str, spec: str, write: Any, tmp_path: Path) -> None:
    data = data_of(spec, tmp_path / "data")
    items = benchmark(spec).items(data)
    random.Random(5).shuffle(items)
    (file := tmp_path / "replies").write_text(write(items))
    assert read_predictions(file).format == form
    results = score(spec, file, data)
    assert len(results.graded) == len(items) > 20
    assert {row.state for row in results.graded} == {State.ANSWERED} and {row.score for row in results.graded} == {1.0}
    assert said(results) == [] or "of up to" in said(results)[0]


def test_all_formats_are_tried() -> None:
    assert {case[0] for case in CASES} == set(FORMATS)


def test_a_place_in_the_data_counts_only_with_the_right_answer_there(tmp_path: Path) -> None:
    data = data_of("videomme", tmp_path / "data")
    items = benchmark("videomme").items(data)
    rows = [json.loads(line) for line in lmms_eval(items).split("\n") if line]
    for row in rows:
        del row["doc"]
    rows[3]["target"] = next(letter for letter in "ABCD" if letter != items[3].answer)
    rows.append({**rows[0], "doc_id": len(items)})
    (file := tmp_path / "samples.jsonl").write_text(json_lines(rows))
    results = score("videomme", file, data)
    assert results.graded[3].state is State.MISSING
    assert sum(row.score for row in results.graded) == len(items) - 1
    assert results.manifest["matched"]["unknown"] == 2


def test_what_does_not_fit_is_counted_and_said(tmp_path: Path) -> None:
    data = data_of("videomme", tmp_path / "data")
    items = benchmark("videomme").items(data)
    other = {**items[0].row, "question_id": "not-there", "videoID": "other", "video_id": "other", "response": "A"}
    again = {**items[5].row, "response": "Z"}
    shifted = {**items[6].row, "answer": "A" if items[6].answer != "A" else "B", "response": items[6].answer}
    rows = [{**item.row, "response": item.answer} for item in items[4:] if item is not items[6]]
    (file := tmp_path / "r.jsonl").write_text(json_lines([*rows, other, again, shifted]))
    results = score("videomme", file, data)
    assert len(results.graded) == len(items)
    assert [row.state for row in results.graded[:4]] == [State.MISSING] * 4
    assert results.graded[5].score == 1.0
    told = results.manifest["matched"]
    assert {key: told[key] for key in ("missing", "unknown", "repeated", "other_gold")} == {
        "missing": 4, "unknown": 1, "repeated": 1, "other_gold": 1,
    }  # fmt: skip
    lines = said(results)
    assert lines[0].startswith("4 items have no row") and lines[1].startswith("1 rows are no question")
    assert facts_of(results)["states"]["missing"] == 4


def test_a_question_asked_twice_is_told_apart_by_its_frame() -> None:
    rows = [{**benchmark("v2p_bench").fixtures[0], "frame_path": f"Made/{n}.jpg"} for n in range(2)]
    items = [benchmark("v2p_bench").item(row) for row in rows]
    turned = json_lines([{**row, "response": reply} for row, reply in zip(reversed(rows), "BA", strict=True)])
    predictions = [json.loads(line) for line in turned.split("\n") if line]
    from seekereval.predictions import Prediction

    found = match(items, [Prediction(n, row, row.pop("response")) for n, row in enumerate(predictions)]).found
    assert [found[item.id].reply for item in items] == ["A", "B"]


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        ("Failed to obtain answer via API.", State.ERROR),
        ("[LMMS_EVAL_REQUEST_FAILED after 5 attempts] boom", State.ERROR),
        (None, State.MISSING),
        (float("nan"), State.MISSING),
        ("", State.MISSING),
        ("!" * 64, State.MISSING),
        ("A" * 200_000, State.MISSING),
    ],
)  # fmt: skip
def test_no_reply_is_never_an_answer(reply: Any, state: State, tmp_path: Path) -> None:
    row = benchmark("v2p_bench").fixtures[0]
    (file := tmp_path / "r.jsonl").write_text(json_lines([{**row, "response": reply}]))
    (graded,) = score("v2p_bench", file).graded
    assert (graded.state, graded.score, graded.answer) == (state, 0.0, "")


def test_a_row_that_failed_is_an_error_with_its_words(tmp_path: Path) -> None:
    row = benchmark("v2p_bench").fixtures[0]
    (file := tmp_path / "r.jsonl").write_text(
        json_lines([{**row, "response": None, "predict": None, "error": "CUDA A"}])
    )
    (graded,) = score("v2p_bench", file).graded
    assert (graded.state, graded.error) == (State.ERROR, "CUDA A")


def test_calls_of_videoseeker_are_kept(tmp_path: Path) -> None:
    items = [benchmark("v2p_bench").item(row) for row in benchmark("v2p_bench").fixtures]
    (file := tmp_path / "r.jsonl").write_text(videoseeker(items))
    assert [call.name for call in read_predictions(file).replies[0].calls] == ["crop_video"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no rows"),
        ("[]", "no rows"),
        ("[1, 2]", "no rows"),
        ('{"a": 1}\n{"b": 2', ":2: not JSON"),
        ('[{"question": "Q", "answer": "A"}]', "its rows have answer, question"),
        ("index\tquestion\n1\tQ\n", "its rows have index, question"),
    ],
)  # fmt: skip
def test_a_file_of_no_format_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    (file := tmp_path / "replies").write_text(text)
    with pytest.raises(SeekerError, match=says) as error:
        read_predictions(file)
    assert "\n" not in str(error.value) and str(file) in str(error.value)


def test_an_excel_table_without_its_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file := tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04rest")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(SeekerError, match=r"pip install .*\.tsv or \.csv"):
        read_predictions(file)


def test_an_excel_table_is_read_as_its_text_is(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="needs openpyxl, of the extra [eval]")
    items = [benchmark("videomme").item(row) for row in asked("videomme")]
    (text := tmp_path / "t.tsv").write_text(vlmevalkit(items))
    book = openpyxl.Workbook()
    for row in csv.reader(io.StringIO(text.read_text()), delimiter="\t"):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    data = data_of("videomme", tmp_path / "data")
    replies = [score("videomme", tmp_path / name, data).graded for name in ("t.tsv", "t.xlsx")]
    assert replies[0] == replies[1] and replies[0][0].score == 1.0


def test_rows_without_questions_need_the_data(tmp_path: Path) -> None:
    (file := tmp_path / "r.json").write_text(json.dumps([{"question_id": "TR_0", "question_type": "x", "option": "A"}]))
    with pytest.raises(SeekerError, match="--data DIR"):
        score(MLVU, file)


def test_rows_of_another_benchmark_are_refused(tmp_path: Path) -> None:
    (file := tmp_path / "r.json").write_text(json.dumps({"a": "A"}))
    with pytest.raises(SeekerError, match="none of its 1 rows is a question of videomme"):
        score("videomme", file, data_of("videomme", tmp_path / "data"))


def test_open_answers_need_a_judge(tmp_path: Path) -> None:
    free = [row for row in benchmark("mlvu").fixtures if not row.get("candidates")]
    (file := tmp_path / "r.jsonl").write_text(json_lines([{**row, "response": "A boat."} for row in free]))
    with pytest.raises(SeekerError, match="--judge"):
        score("mlvu", file)


@pytest.mark.parametrize(
    ("form", "spec"),
    [
        ("videomme", "videomme"),
        ("mlvu_test", MLVU),
        ("longvideobench_test", "longvideobench"),
    ],
)
def test_a_written_file_is_read_back_to_the_same_grades(form: str, spec: str, tmp_path: Path) -> None:
    data = data_of(spec, tmp_path / "data")
    items = benchmark(spec).items(data)
    replies = [item.answer if n % 3 else "I cannot tell" if n % 2 else "A" for n, item in enumerate(items)]
    rows = [{**item.row, "response": reply} for item, reply in zip(items, replies, strict=True)]
    (file := tmp_path / "r.jsonl").write_text(json_lines(rows))
    first = score(spec, file, data)
    write_submission(form, tmp_path / "out.json", first.graded)
    second = score(spec, tmp_path / "out.json", data)
    pairs = list(zip(first.graded, second.graded, strict=True))
    assert all(a.answer == b.answer and a.score == b.score for a, b in pairs)
    assert 0 < sum(a.score for a, _ in pairs) < len(items)


def test_a_template_keeps_replies_whole(tmp_path: Path) -> None:
    row = asked("videomme")[1]
    (file := tmp_path / "r.jsonl").write_text(json_lines([{**row, "response": "The answer is (B), I think."}]))
    write_submission("videomme", tmp_path / "out.json", score("videomme", file).graded)
    (video,) = json.loads((tmp_path / "out.json").read_text())
    (question,) = video["questions"]
    assert question["response"] == "The answer is (B), I think." and isinstance(question["options"], list)
    with pytest.raises(SeekerError, match="has no question_type"):
        write_submission("mlvu_test", tmp_path / "m.json", score("videomme", file).graded)
    with pytest.raises(SeekerError, match=", ".join(FORMS)):
        write_submission("other", tmp_path / "m.json", [])


def test_the_command_prints_one_object_and_keeps_what_it_graded(tmp_path: Path) -> None:
    (file := tmp_path / "r.jsonl").write_text(
        responses([benchmark("v2p_bench").item(row) for row in asked("v2p_bench")])
    )
    command = ["score", "v2p-bench", "--predictions", str(file), "--out", str(tmp_path / "run"), "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert {"n", "headline", "ci95", "states", "groups", "compat"} <= set(facts)
    assert (facts["n"], facts["headline"], facts["compat"]["v2pbench_official"]) == (36, 100.0, 100.0)
    kept = read_results(tmp_path / "run")
    assert facts_of(kept) == facts
    assert kept.manifest["settings"]["benchmark"] == "v2p_bench" and kept.manifest["model"]["asked"] == "m"
    wrong = CliRunner().invoke(app, ["score", "v2p", "--predictions", str(file)])
    assert wrong.exit_code == 2 and "no 'v2p' in benchmarks" in wrong.stderr and wrong.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def sample() -> tuple[list[Row], Results]:
    file = shared("v2p-bench-sample") / "qwen2.5-vl-72b.sample.jsonl"
    return [json.loads(line) for line in file.read_text().split("\n") if line], score("v2p_bench", file)


def test_the_released_replies_are_all_counted(sample: tuple[list[Row], Results]) -> None:
    from seekereval.compat import is_right, read

    rows, results = sample
    assert len(results.graded) == len(rows) == facts_of(results)["n"] == 201
    for row, graded in zip(rows, results.graded, strict=True):
        assert is_right("v2pbench_official", graded) == (row["response"][0] == row["answer"])
        assert read("v2pbench_official", graded.reply, graded.item.options) == row["response"][0]
    right = sum(row["response"][0] == row["answer"] for row in rows)
    assert facts_of(results)["compat"]["v2pbench_official"] == pytest.approx(100 * right / 201, abs=1e-5)
    runs = [graded for row, graded in zip(rows, results.graded, strict=True) if set(row["response"]) == {"!"}]
    assert runs and {graded.state for graded in runs} == {State.MISSING}
