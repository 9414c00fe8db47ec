"""Reports: the same figures in every form, with their intervals, counts and manifest; plots that are pictures."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import PIL.Image
import pytest
from typer.testing import CliRunner

from seekerdata.errors import SeekerError
from seekereval.cli import app
from seekereval.item import Call, Graded, Item, State
from seekereval.plots import write_plots
from seekereval.report import Number, comma_separated, drawn, facts_of, latex, markdown, report
from seekereval.results import Results, leaves, read_results, write_results
from seekereval.scoring import grade

MANIFEST = {"settings": {"benchmark": "v2p_bench"}, "model": {"asked": "a_model|50%"}, "scorer": "1"}


def item(number: int, **fields: str) -> Item:
    groups = {"dimension": ("OA", "HA", "CR")[number % 3], "source & kind": "x_1", **fields}
    return Item(
        id=f"i{number}",
        video="v.mp4",
        question="Which?",
        options=("red", "blue"),
        answer="A",
        cluster=f"v{number // 2}",
        groups=groups,
    )


def graded(count: int = 12, right: int = 8) -> list[Graded]:
    """The first `right` items are right, the last one has no reply, the others are wrong; one calls a tool."""
    replies = ["A" if n < right else "B" for n in range(count - 1)] + [""]
    calls = (Call(name="crop_video", arguments={"start_time": 1, "end_time": 2}),)
    return [grade(item(n), reply, calls=calls if n == 0 else (), seconds=2.0) for n, reply in enumerate(replies)]


@pytest.fixture
def runs(tmp_path: Path) -> list[Results]:
    first = write_results(tmp_path / "first", MANIFEST, graded())
    return [first, write_results(tmp_path / "second_run", {**MANIFEST, "seed": 7}, graded(right=3))]


def test_a_run_is_read_as_it_was_written(runs: list[Results]) -> None:
    again = read_results(runs[0].path)
    assert again.graded == runs[0].graded and again.manifest == MANIFEST and again.name == "first"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("results.jsonl", None, "no such file"),
        ("manifest.json", None, "no such file"),
        ("manifest.json", "[]", "JSON object"),
        ("results.jsonl", '{"state": "answered"}\n', "results.jsonl:1: not a graded item: item"),
    ],
)  # fmt: skip
def test_a_folder_that_is_no_run_is_one_line(name: str, text: str | None, says: str, runs: list[Results]) -> None:
    path = runs[0].path / name
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(SeekerError, match=says) as error:
        read_results(runs[0].path)
    assert "\n" not in str(error.value)


def test_an_item_that_stands_twice_is_no_run(runs: list[Results]) -> None:
    path = runs[0].path / "results.jsonl"
    path.write_text(path.read_text() + path.read_text().split("\n")[0])
    with pytest.raises(SeekerError, match=r"results\.jsonl:13: item i0 stands there twice"):
        read_results(runs[0].path)


def test_a_reply_with_separators_of_lines_is_one_row(tmp_path: Path) -> None:
    row = grade(item(1), "A\u2028B\u0085C\n")
    write_results(tmp_path, MANIFEST, [row])
    assert read_results(tmp_path).graded == [row]


def test_every_form_has_every_figure(runs: list[Results]) -> None:
    table = report(runs)
    facts = facts_of(runs[0])
    low, high = facts["ci95"]
    headline = f"66.7 [{low:.1f}–{high:.1f}] (12)"
    assert headline in markdown(table) and headline.replace("–", "--") in latex(table)
    rows = list(csv.DictReader(io.StringIO(comma_separated(table))))
    (row,) = [r for r in rows if r["run"] == "first" and r["name"] == "all items, strict"]
    assert (float(row["value"]), float(row["low"]), int(row["n"])) == (facts["headline"], low, 12)
    sections = {row["section"] for row in rows}
    assert sections == {"score", "states", "groups", "read by other tools' rules", "tools and cost", "manifest"}
    named = {(row["run"], row["name"]): row for row in rows}
    assert float(named["first", "those answered"]["n"]) == 11
    assert named["first", "missing"]["value"] == "1" and named["second_run", "seed"]["value"] == "7"
    assert ("first", "seed") not in named
    assert named["first", "dimension: OA"]["n"] == "4" and named["first", "v2pbench_official"]["n"] == "12"
    assert float(named["first", "tools, calls per item"]["value"]) == pytest.approx(1 / 12, abs=1e-6)
    assert not {name for _, name in named} & {"mlvu_official_dev", "videomme_official"}, "rules for other benchmarks"


@pytest.mark.parametrize(("wrong", "figures"), [((), 1), ((0,), 2), (range(12), 1)])
def test_a_score_without_known_defects_is_there_where_it_differs(
    tmp_path: Path, wrong: Sequence[int], figures: int
) -> None:
    rows = graded()
    for n in wrong:
        marked = rows[n].item.model_copy(update={"defects": ("no_mark",)})
        rows[n] = rows[n].model_copy(update={"item": marked})
    table = report([write_results(tmp_path / "run", MANIFEST, rows)])
    named = [line.name for line in table.lines if line.section == "score" and line.name != "those answered"]
    assert named == ["all items, strict", "without known defects"][:figures]


def test_what_a_failed_judge_may_have_cost_is_said(tmp_path: Path) -> None:
    rows = graded(4, right=2)
    rows[3] = rows[3].model_copy(update={"state": State.JUDGE_FAILED})
    table = report([write_results(tmp_path / "run", MANIFEST, rows)])
    assert {line.name: line.cells for line in table.lines}["were all that the judge failed on right"] == (Number(75.0),)


def test_scores_counts_and_rates_are_written_apart() -> None:
    figures = [Number(0.0, n=6), Number(8.04, 1.0, 15.0, 1200), Number(0.5), Number(1200), Number(63.25)]
    assert [figure.text() for figure in figures] == ["0.0 (6)", "8.0 [1.0–15.0] (1,200)", "0.50", "1,200", "63.2"]


def test_signs_of_markdown_and_latex_are_text(runs: list[Results]) -> None:
    table = report(runs)
    lines = markdown(table).split("\n")
    assert r"a_model\|50%" in markdown(table) and len({line.replace("\\|", "").count("|") for line in lines[:-1]}) == 1
    assert r"source \& kind: x\_1" in latex(table) and r"second\_run" in latex(table)
    assert r"% model.asked: a_model|50%" in latex(table)


def test_a_terminal_shows_text_and_no_markup(runs: list[Results]) -> None:
    from rich.console import Console

    odd = runs[0].manifest | {"note": "[red]x[/red] [/]"}
    out = io.StringIO()
    Console(file=out, width=140).print(drawn(report([Results(runs[0].path, odd, runs[0].graded)])))
    assert "[red]x[/red] [/]" in out.getvalue() and "66.7 [" in out.getvalue()


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    same = [write_results(tmp_path / name / "run", MANIFEST, graded()) for name in "ab"]
    assert report(same).runs == (str(tmp_path / "a/run"), str(tmp_path / "b/run"))


def test_a_manifest_of_thousands_of_hashes_is_one_line() -> None:
    files = {f"v{n}": f"{n}" for n in range(900)}
    one, other = leaves({"files": files, "a": {"b": [1]}}), leaves({"files": files | {"v3": "x"}})
    assert one["a.b"] == "[1]" and one["files"].startswith("900 facts, hash ") and one["files"] != other["files"]


def test_plots_are_pictures_of_every_grouping(runs: list[Results], tmp_path: Path) -> None:
    made = write_plots(tmp_path / "plots", {run.name: facts_of(run) for run in runs})
    assert [path.name for path in made] == ["dimension.png", "dimension_radar.png", "source_kind.png"]
    for path in made:
        with PIL.Image.open(path) as picture:
            assert picture.format == "PNG" and min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 20


def test_the_command_prints_what_is_asked_for(runs: list[Results], tmp_path: Path) -> None:
    def told(*words: str) -> str:
        done = CliRunner().invoke(app, ["report", *map(str, (run.path for run in runs)), *words])
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    assert told("--format", "csv").startswith("run,section,name")
    assert told("--format", "latex").startswith("\\begin{tabular}{lrr}")
    assert [facts["n"] for facts in json.loads(told("--json"))] == [12, 12]
    assert "all items, strict" in told("--plots", str(tmp_path / "p"))
    assert (tmp_path / "p" / "dimension.png").exists()
    wrong = CliRunner().invoke(app, ["report", str(tmp_path / "none")])
    assert wrong.exit_code == 2 and wrong.stderr.count("\n") == 1
    wrong = CliRunner().invoke(app, ["report", str(runs[0].path), "--format", "word"])
    assert wrong.exit_code == 2 and "table, markdown, csv, latex" in wrong.stderr


def test_a_run_is_written_as_a_submission(runs: list[Results], tmp_path: Path) -> None:
    rows = [
        row.model_copy(update={"item": row.item.model_copy(update={"row": {"id": row.item.id}})}) for row in graded(3)
    ]
    run, file = write_results(tmp_path / "lvb", MANIFEST, rows), tmp_path / "submission.json"
    asked = ["--export", "longvideobench_test", str(file)]
    done = CliRunner().invoke(app, ["report", str(run.path), *asked])
    assert done.exit_code == 0, done.output
    assert json.loads(file.read_text()) == {"i0": "A", "i1": "A", "i2": ""}
    two = CliRunner().invoke(app, ["report", *(str(one.path) for one in runs), *asked])
    assert two.exit_code == 2 and "one run" in two.stderr


def test_the_list_names_benchmarks_presets_rules_and_formats() -> None:
    parts = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    assert {"v2p_bench", "world"} <= set(parts["benchmark"]) and "videoseeker" in parts["preset"]
    assert parts["rule"]["videomme_official"] != parts["rule"]["lmms_eval_mcq"]
    assert all(text for members in parts.values() for text in members.values())
    assert "v2pbench_official" in CliRunner().invoke(app, ["list"]).stdout
