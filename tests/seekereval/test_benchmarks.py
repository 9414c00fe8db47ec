"""Every benchmark: gold scores 1 on its fixtures, its traps are read as they should be, and its items can be played."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest
from clips import make_clip
from material import shared

from seekerdata.errors import ItemError, SeekerError
from seekerdata.plugin import make
from seekerdata.rollout import RolloutSettings, rollout
from seekereval.benchmark import Benchmark, benchmark, defects_of, known, unique
from seekereval.benchmarks.mlvu import DEV, FREE, TEST
from seekereval.benchmarks.v2p_bench import BY_CONTENT, RELEASED, SIZES, split_question
from seekereval.compat import RULES
from seekereval.item import Graded, Item, State
from seekereval.play import as_text, play
from seekereval.playing import prompts_of, sample_of, video_of
from seekereval.presets import preset_of
from seekereval.scoring import grade, summary
from seekereval.subtitles import Subtitle, read_subtitles, spoken_at
from seekereval.table import read_table

SIZED = {"world": "world:clips=24"}
"""A smaller one where the default is more than a test needs."""
SPECS = [*(SIZED.get(name, name) for name in known()), "longvideobench:split=test", "mlvu:split=test"]
"""Every file of `seekereval/benchmarks/` by itself, and settings under which another file is read."""
TYPE_OF = {"videomme": "task_type", "longvideobench": "question_category", "mlvu": "task"}
"""The grouping of a benchmark that says what type a question is, where it is not the first of its groups."""


def written(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(params=SPECS)
def which(request: pytest.FixtureRequest) -> Benchmark:
    return benchmark(request.param)


def type_of(which: Benchmark, item: Item) -> str:
    """What type of question an item is; a benchmark without groups has one."""
    return item.groups[TYPE_OF.get(which.plugin_name(), which.groups[0])] if which.groups else ""


# -- what holds for all ----------------------------------------------------------------------------
def test_gold_scores_one_on_three_rows_of_every_type(which: Benchmark) -> None:
    items = [which.item(row) for row in which.fixtures]
    assert len({item.id for item in items}) == len(items)
    types = Counter(type_of(which, item) for item in items)
    assert set(types.values()) == {3}
    for item in filter(lambda item: item.is_scored, items):
        assert grade(item, item.answer).score == 1.0, item
        assert item.defects == () and set(item.groups) == set(which.groups)
        if item.options:
            wrong = next(letter for letter in "AB" if letter != item.answer)
            assert grade(item, wrong).score == 0.0


def test_every_type_has_fixtures() -> None:
    def types(spec: str) -> set[str]:
        made = benchmark(spec)
        return {type_of(made, made.item(row)) for row in made.fixtures}

    assert types("v2p_bench") == set(BY_CONTENT.values())
    assert types("mlvu") == set(DEV) and types("mlvu:split=test") == {*TEST, *FREE}
    assert len(types("videomme")) == 12 and len(types("longvideobench")) == 17


def test_what_is_declared_hangs_together(which: Benchmark) -> None:
    assert set(which.compat) <= set(RULES)
    assert which.hub_id == which.hub.id and which.licence and which.archives == which.hub.archives
    assert len(which.revision) == 40 or which.revision in ("main", "")
    for count in which.counts:
        assert set(count.groups) <= set(which.groups)
        sums = {sum(groups.values()) for groups in count.groups.values()}
        assert count.items is None or sums <= {count.items}, count.source


def test_a_folder_without_the_files_is_one_line(which: Benchmark, tmp_path: Path) -> None:
    if which.hub.id:
        with pytest.raises(SeekerError, match=f"get it by: seekereval data {which.plugin_name()}"):
            which.items(tmp_path)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("v2pbench", "did you mean 'v2p_bench'"),
        ("mlvu:splt=dev", "did you mean 'split'"),
        ("mlvu:split=train", "split: Input should be 'dev' or 'test'"),
        ("mlvu:dev", "'dev' is no setting"),
        ("v2p_bench:file=/etc/passwd", "file: String should match"),
        ("world:clips=0", "clips: Input should be greater"),
    ],
)
def test_a_wrong_name_or_setting_is_one_line(spec: str, said: str) -> None:
    with pytest.raises(SeekerError, match=said) as caught:
        benchmark(spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("question", "options", "gold", "defects"),
    [
        ("q", ("a", "b"), "A", ()),
        (" ", ("a", "b"), "A", ("no_question",)),
        ("q", (), "", ("no_options", "no_gold")),
        ("q", ("a", ""), "A", ("empty_option",)),
        ("q", ("a", "b", "B "), "A", ("repeated_option",)),
        ("q", ("a", "b", " A"), "A", ("repeated_option", "repeated_gold")),
        ("q", ("a", "b"), "", ("no_gold",)),
    ],
)
def test_defects_are_noted(question: str, options: tuple[str, ...], gold: str, defects: tuple[str, ...]) -> None:
    assert defects_of(question, options, gold) == defects


def test_equal_rows_keep_ids_of_their_own() -> None:
    item = Item(id="x", video="v", question="q", answer="a", cluster="v")
    other = item.model_copy(update={"id": "x#2"})
    assert [i.id for i in unique([item, item, other, item])] == ["x", "x#3", "x#2", "x#4"]


# -- V2P-Bench -------------------------------------------------------------------------------------
def test_v2p_real_rows() -> None:
    rows = read_table(shared("v2p-bench-sample") / "qwen2.5-vl-72b.sample.jsonl", ["question"])
    which = benchmark("v2p_bench")
    items = unique([which.item(row) for row in rows])
    assert len(items) == len({item.id for item in items}) == 201
    assert Counter(len(item.options) for item in items) == {4: 196, 3: 5}
    assert not [item.defects for item in items if item.defects]
    for item, row in zip(items, rows, strict=True):
        assert row["question"].startswith(item.question) and item.question
        assert all(option and option in row["question"] for option in item.options)
        assert "Select the best option" not in item.question + "".join(item.options)
        assert item.answer == row["answer"] and item.duration_s == row["duration"]
        assert item.groups["dimension"] == BY_CONTENT[row["dimension"]]
        assert item.groups["dimension_released"] == RELEASED[row["dimension"]]
        expected = row["frame_path"] if isinstance(row["frame_path"], list) else [row["frame_path"]]
        assert item.marked_frames == tuple(f"frames/{path}" for path in expected)
        assert grade(item, item.answer).score == 1.0
    assert Counter(item.groups["duration"] for item in items) == {"short": 99, "medium": 37, "long": 65}
    assert sum(len(item.marked_frames) > 1 for item in items) == 9


def test_v2p_counts_of_its_sources() -> None:
    assert sum(SIZES.values()) == 1169
    assert [count.items for count in benchmark("v2p_bench").counts] == [1169, 1172, 1148]
    assert sum(BY_CONTENT[number] != RELEASED[number] for number in BY_CONTENT) == 8


@pytest.mark.parametrize(
    ("asked", "question", "options"),
    [
        ("Who?\nA: he\nB: she\nSelect the best option. Give only", "Who?", ("he", "she")),
        ("Who?\nA:  he\nB:  she\nC:  they", "Who?", ("he", "she", "they")),
        ("Order?\n(a) one.\n(b) two.\nA: (a)(b).\nB: (b)(a).", "Order?\n(a) one.\n(b) two.", ("(a)(b).", "(b)(a).")),
        ("Who says\nA: hello?\nA: he\nB: she", "Who says\nA: hello?", ("he", "she")),
        ("Who?\nA: he\nwho waits\nB: she", "Who?", ("he who waits", "she")),
        ("Who?", "Who?", ()),
    ],
)
def test_v2p_options_are_read_out_of_the_question(asked: str, question: str, options: tuple[str, ...]) -> None:
    assert split_question(asked) == (question, options)


@pytest.mark.parametrize(
    ("seconds", "bins"),
    [(179.9, "short short"), (180, "short medium"), (239.9, "short medium"), (240, "medium medium"),
     (1799, "medium medium"), (1800, "long long"), (None, "unknown unknown")],
)  # fmt: skip
def test_v2p_lengths_by_the_script_and_by_the_readme(seconds: float | None, bins: str) -> None:
    which = benchmark("v2p_bench")
    groups = which.item({**which.fixtures[0], "duration": seconds}).groups
    assert f"{groups['duration']} {groups['duration_readme']}" == bins


@pytest.mark.parametrize("name", ["dataset_info.jsonl", "dataset_info_1148.json", "V2P-Bench.tsv"])
def test_v2p_annotations_under_all_their_names(tmp_path: Path, name: str) -> None:
    which = benchmark("v2p_bench")
    rows = which.fixtures[:6]
    if name.endswith("jsonl"):
        text = "\n".join(map(json.dumps, rows))
    elif name.endswith("json"):
        text = json.dumps(rows)
    else:
        cells = ["\t".join('"' + str(value).replace('"', '""') + '"' for value in row.values()) for row in rows]
        text = "\n".join(["\t".join(rows[0]), *cells])
    (tmp_path / name).write_text(text)
    fields = {"row", "id"}
    found = [item.model_dump(exclude=fields) for item in which.items(tmp_path)]
    assert found == [which.item(row).model_dump(exclude=fields) for row in rows]


def test_v2p_of_another_list(tmp_path: Path) -> None:
    rows = benchmark("v2p_bench").fixtures
    written(tmp_path / "dataset_info_1148.json", rows[:2])
    (tmp_path / "dataset_info.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert len(benchmark("v2p_bench").items(tmp_path)) == 36
    assert len(benchmark("v2p_bench:file=dataset_info_1148.json").items(tmp_path)) == 2
    with pytest.raises(SeekerError, match=r"no none\.json there"):
        benchmark("v2p_bench:file=none.json").items(tmp_path)


@pytest.mark.parametrize("text", ["", "version https://git-lfs.github.com/spec/v1", "[1, 2]", '[{"question": "q"}]'])
def test_a_file_that_is_none_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset_info_1148.json").write_text(text)
    with pytest.raises(SeekerError, match=r"dataset_info_1148\.json: ") as caught:
        benchmark("v2p_bench").items(tmp_path)
    assert "\n" not in str(caught.value)


# -- Video-MME -------------------------------------------------------------------------------------
def test_videomme_from_parquet_with_and_without_subtitles(tmp_path: Path) -> None:
    rows = [{**row, "options": ["A. one", "B. two", "C. three", "D. four"]} for row in benchmark("videomme").fixtures]
    (tmp_path / "videomme").mkdir()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "videomme/test-00000-of-00001.parquet")
    (tmp_path / "subtitle").mkdir()
    (tmp_path / "subtitle/made_1.srt").write_text("")
    off, on = (benchmark(f"videomme:subtitles={mode}").items(tmp_path) for mode in ("off", "on"))
    assert off[0].options == ("one", "two", "three", "four") and off[0].video == "data/made_0.mp4"
    assert {item.subtitles for item in off} == {""}
    assert {item.subtitles for item in on if item.cluster == "made_1"} == {"subtitle/made_1.srt"}
    assert {item.subtitles for item in on if item.cluster != "made_1"} == {""}
    assert [item.id for item in off] == [item.id for item in on] == [row["question_id"] for row in rows]


def test_videomme_of_another_tools_layout(tmp_path: Path) -> None:
    (tmp_path / "video").mkdir()
    row = {**benchmark("videomme").fixtures[0], "video": "abc"}
    row = {("candidates" if key == "options" else key): value for key, value in row.items() if key != "videoID"}
    item = benchmark("videomme").item(row, tmp_path)
    assert item.video == "video/abc.mp4" and len(item.options) == 4


# -- LongVideoBench --------------------------------------------------------------------------------
def test_longvideobench_evidence_is_in_seconds_where_the_video_is_there(tmp_path: Path) -> None:
    which = benchmark("longvideobench:subtitles=interleaved")
    rows = which.fixtures[:2]
    written(tmp_path / "lvb_val.json", rows)
    make_clip(tmp_path / "videos/made_0.mp4", seconds=4, fps=10)
    first, second = which.items(tmp_path)
    assert first.evidence_s == ((1.0, 1.0), (2.0, 2.0)) and second.evidence_s == ()
    assert first.subtitles == "subtitles/made_0_en.json" and first.groups["level"] == "L1"
    assert (len(first.options), len(second.options)) == (4, 5)
    assert benchmark("longvideobench").items(tmp_path)[0].subtitles == ""


def test_longvideobench_parquet_and_the_test_splits_at_sign() -> None:
    which = benchmark("longvideobench")
    row = {key: value for key, value in which.fixtures[0].items() if key != "candidates"}
    options = {f"option{n}": text for n, text in enumerate(["one", "two", "three", "four", "N/A"])}
    item = which.item({**row, **options, "correct_choice": "@"})
    assert item.options == ("one", "two", "three", "four") and item.answer == "" and item.defects == ("no_gold",)
    assert all(grade(item, letter).score == 0 for letter in "ABCD")


def test_longvideobench_test_split_is_read_and_is_neither_right_nor_wrong(tmp_path: Path) -> None:
    which = benchmark("longvideobench:split=test")
    rows = which.fixtures
    rows[0]["correct_choice"] = "@"
    written(tmp_path / "lvb_test_wo_gt.json", rows)
    items = which.items(tmp_path)
    assert len(items) == 51 and not any("correct_choice" in row for row in rows[1:])
    assert {(item.answer, item.scoring, item.defects) for item in items} == {("", "elsewhere", ())}
    graded = [grade(item, reply) for item, reply in zip(items, ["(C)", "I cannot say.", "!" * 64], strict=False)]
    assert (graded[0].state, graded[0].answer) == (State.ANSWERED, "C")
    assert [row.state for row in graded[1:]] == [State.REFUSED, State.MISSING]
    facts = summary(graded, which.groups, which.compat).facts()
    assert (facts["n"], facts["states"]["answered"]) == (3, 1)
    for claim in ("headline", "ci95", "at_most", "answered_only", "defect_free"):
        assert facts[claim] is None, claim
    assert facts["tools"]["accuracy_without"] is None and set(facts["compat"].values()) == {None}
    assert not any(facts["groups"].values())
    with pytest.raises(SeekerError, match="seekereval data longvideobench:split=test"):
        which.items(tmp_path / "none")


# -- MLVU ------------------------------------------------------------------------------------------
def mlvu_row(**changes: Any) -> dict[str, Any]:
    return {**benchmark("mlvu").fixtures[0], **changes}


@pytest.mark.parametrize(
    ("changes", "answer", "defects"),
    [
        ({"answer": "Purple"}, "", ("no_gold",)),
        ({"candidates": ["Red", "Blue", "Red", "Grey"], "answer": "Red"}, "C", ("repeated_option", "repeated_gold")),
        ({"candidates": ["Red", "", "", "Grey"], "answer": "Red"}, "A", ("empty_option", "repeated_option")),
        ({"question": "", "candidates": [], "answer": ""}, "", ("no_question", "no_options", "no_gold")),
    ],
)
def test_mlvu_known_bad_rows_are_items_with_defects(
    changes: dict[str, Any], answer: str, defects: tuple[str, ...]
) -> None:
    item = benchmark("mlvu").item(mlvu_row(**changes))
    assert (item.answer, item.defects) == (answer, defects)
    graded = [grade(item, letter).score for letter in "ABCD"]
    assert graded == [1.0, 0, 1.0, 0] if answer == "C" else graded == [float(bool(answer)), 0, 0, 0]


def test_mlvu_test_has_six_options_and_e_and_f_count() -> None:
    which = benchmark("mlvu:split=test")
    items = [which.item(row) for row in which.fixtures if row["question_id"].partition("_")[0] not in FREE]
    assert {len(item.options) for item in items} == {6}
    assert {"E", "F"} <= {item.answer for item in items}
    assert all(grade(item, f"({item.answer})").score == 1.0 for item in items)


def test_mlvu_folders(tmp_path: Path) -> None:
    which = benchmark("mlvu")
    by_task: dict[str, list[dict[str, Any]]] = {}
    for row in which.fixtures:
        by_task.setdefault(which.item(row).groups["task"], []).append(row)
    from seekereval.benchmarks.mlvu import FOLDERS

    for task, rows in by_task.items():
        written(tmp_path / f"MLVU/json/{FOLDERS[task]}.json", rows)
    items = which.items(tmp_path)
    assert len(items) == 27 and items[0].video == "MLVU/video/1_plotQA/made_0.mp4"
    assert Counter(item.scoring for item in items) == {"choice": 21, "mlvu_sub_scene": 3, "mlvu_summary": 3}
    assert [item.points for item in items if item.scoring == "mlvu_sub_scene"] == [("A boat leaves", "It rains")] * 3
    assert len(benchmark("mlvu:generation=false").items(tmp_path)) == 21

    other = benchmark("mlvu:split=test")
    multiple = [row for row in other.fixtures if "candidates" in row]
    written(tmp_path / "test-ground-truth/test_mcq_gt.json", multiple)
    written(tmp_path / "test-ground-truth/test_ssc_gt.json", by_task["SSC"])
    written(tmp_path / "test-ground-truth/test_vs_gt.json", by_task["VS"])
    items = other.items(tmp_path)
    assert len(items) == 27 + 6 and items[0].video == "MLVU_Test/video/made_0.mp4"


def graded(task: str, right: int, of: int) -> list[Graded]:
    which = benchmark("mlvu")
    row = next(row for row in which.fixtures if which.item(row).groups["task"] == task)
    item = which.item(row)
    return [Graded(item=item, state=State.ANSWERED, score=float(n < right)) for n in range(of)]


def rated(task: str, total: float, state: State = State.ANSWERED) -> Graded:
    which = benchmark("mlvu")
    row = next(row for row in which.fixtures if which.item(row).groups["task"] == task)
    scores = {"one": total / 2, "other": total / 2, "total": total} if state is State.ANSWERED else {}
    return Graded(item=which.item(row), state=state, score=0.5, scores=scores)


def test_mlvu_averages_are_over_tasks_and_the_micro_stands_beside() -> None:
    rows = graded("TR", 1, 1) + graded("PQA", 0, 3)
    assert benchmark("mlvu").extras(rows) == {"M-Avg": 50.0, "M micro": 25.0}
    free = [rated("SSC", 7.67), rated("SSC", 8.33), rated("SSC", 8.0), rated("VS", 4.0)]
    found = benchmark("mlvu").extras(rows + free)
    assert found["G-Avg"] == pytest.approx(6.0) and found["G micro"] == pytest.approx(7.0)
    assert "G-Avg at least" not in found


def test_mlvu_no_answer_is_the_lowest_total_and_a_failed_judge_gives_bounds() -> None:
    free = [rated("SSC", 10), rated("SSC", 0, State.MISSING), rated("VS", 6), rated("VS", 0, State.JUDGE_FAILED)]
    found = benchmark("mlvu").extras(free)
    assert found == {"G-Avg": 6.0, "G micro": 6.0, "G-Avg at least": 5.0, "G-Avg at most": 7.0}
    assert "G-Avg" not in benchmark("mlvu").extras([rated("VS", 0, State.JUDGE_FAILED)])


# -- VideoSIAH -------------------------------------------------------------------------------------
def test_videosiah_is_judged_and_its_videos_lie_in_one_folder(tmp_path: Path) -> None:
    which = benchmark("videosiah")
    written(tmp_path / "data/test-00000-of-00001.json", which.fixtures)
    first, *_ = which.items(tmp_path)
    assert (first.video, first.scoring, first.options) == ("videos/0.mp4", "judge", ())
    make_clip(tmp_path / "made/0.mp4", seconds=1)
    assert which.items(tmp_path)[0].video == "made/0.mp4"


# -- playing ---------------------------------------------------------------------------------------
@pytest.fixture
def v2p(tmp_path: Path) -> tuple[Path, Item]:
    """A data folder with one video, and an item with two marked frames."""
    which = benchmark("v2p_bench")
    item = which.item(which.fixtures[2])
    make_clip(tmp_path / item.video, seconds=4)
    for n, frame in enumerate(item.marked_frames):
        (tmp_path / frame).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(np.full((48, 64, 3), 40 + n, np.uint8)).save(tmp_path / frame)
    return tmp_path, item


def test_an_item_is_played(v2p: tuple[Path, Item]) -> None:
    data, item = v2p
    sample, prompts = sample_of(item, data), prompts_of(item, data)
    assert (sample.id, sample.question, sample.options, sample.answer) == (
        item.id, item.question, item.options, item.answer,
    )  # fmt: skip
    assert sample.video.duration_s == pytest.approx(4, abs=0.2) and len(sample.video.sha256) == 64
    assert [prompt.time_s for prompt in prompts] == [None, None] and prompts_of(item, data, marked=False) == []
    played = asyncio.run(rollout(make("policies", "random"), sample, video_of(item, data), prompts, RolloutSettings()))
    assert played.answer in ("A", "B")


@pytest.mark.parametrize(
    ("path", "code"),
    [("/etc/passwd", "bad_path"), ("videos/../../x.mp4", "bad_path"), ("videos/none.mp4", "missing")],
)
def test_a_video_outside_the_folder_or_missing_is_the_items_error(v2p: tuple[Path, Item], path: str, code: str) -> None:
    data, item = v2p
    with pytest.raises(ItemError) as caught:
        sample_of(item.model_copy(update={"video": path}), data)
    assert caught.value.code == code


def test_a_video_that_cannot_be_decoded_is_the_items_error(v2p: tuple[Path, Item]) -> None:
    data, item = v2p
    (data / "videos/bad.mp4").write_bytes(b"<html>not found</html>")
    with pytest.raises(ItemError, match="an HTML page"):
        sample_of(item.model_copy(update={"video": "videos/bad.mp4"}), data)


@pytest.mark.parametrize(
    ("path", "code"), [("../a.jpg", "bad_path"), ("frames/none.jpg", "missing"), ("dataset.jpg", "bad_picture")]
)
def test_a_marked_frame_that_cannot_be_shown_is_the_items_error(v2p: tuple[Path, Item], path: str, code: str) -> None:
    data, item = v2p
    (data / "dataset.jpg").write_bytes(b"half a file")
    with pytest.raises(ItemError) as caught:
        prompts_of(item.model_copy(update={"marked_frames": (path,)}), data)
    assert caught.value.code == code


# -- subtitles -------------------------------------------------------------------------------------
SRT = "1\n00:00:01,500 --> 00:00:02,500\n<i>Hello</i>\nthere\n\n2\n00:01:00,000 --> 00:01:00,400\nBye\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", SRT),
        ("a.json", '[{"timestamp": [60, 60.4], "text": "Bye"}, {"timestamp": [1.5, 2.5], "text": "Hello there"}]'),
        ("a.json", '[{"start": "0:0:1.5", "end": "0:0:2.5", "line": "Hello there"},'
                   ' {"start": "00:01:00", "end": "00:01:00.400", "line": "Bye"}]'),
    ],
)  # fmt: skip
def test_subtitles_of_every_shape(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    item = Item(id="x", video="v", question="q", answer="a", cluster="v", subtitles=name)
    assert read_subtitles(item, tmp_path) == [Subtitle(1.5, 2.5, "Hello there"), Subtitle(60.0, 60.4, "Bye")]
    cut = item.model_copy(update={"row": {"starting_timestamp_for_subtitles": 1.0}})
    assert read_subtitles(cut, tmp_path)[0] == Subtitle(0.5, 1.5, "Hello there")


def test_subtitles_that_cannot_be_read_are_the_items_error(tmp_path: Path) -> None:
    item = Item(id="x", video="v", question="q", answer="a", cluster="v", subtitles="a.json")
    with pytest.raises(ItemError, match=r"a\.json"):
        read_subtitles(item, tmp_path)
    (tmp_path / "a.json").write_text('[{"text": "no time"}]')
    with pytest.raises(ItemError) as caught:
        read_subtitles(item, tmp_path)
    assert caught.value.code == "bad_subtitles"


def test_what_is_said_stands_behind_the_frames_up_to_its_middle() -> None:
    spoken = [Subtitle(1.5, 2.5, "two"), Subtitle(5.6, 6.2, "six"), Subtitle(8.2, 9.9, "unseen")]
    assert spoken_at(spoken, [0.0, 2.0, 4.0, 6.6, 8.0]) == [(2, "two"), (3, "six")]
    assert spoken_at(spoken, [0.0, 8.0]) == []


@pytest.mark.parametrize("stamps", ["true", "none"])
def test_a_play_with_subtitles_shows_them_between_its_frames(tmp_path: Path, stamps: str) -> None:
    make_clip(tmp_path / "videos/made_0.mp4", seconds=4)
    written(tmp_path / "lvb_val.json", benchmark("longvideobench").fixtures[:1])
    said = [{"timestamp": [1.0, 2.2], "text": "A </think> door"}, {"timestamp": [3.4, 3.5], "text": "Rain"}]
    written(tmp_path / "subtitles/made_0_en.json", said)
    played = {}
    for mode in ("off", "interleaved"):
        (item,) = benchmark(f"longvideobench:subtitles={mode}").items(tmp_path)
        preset = preset_of("default", timestamps=stamps, mode="direct", fps=1)
        played[mode] = asyncio.run(play(item, tmp_path, preset, "", make("policies", "random"))).turns[1]
    lines = as_text(played["interleaved"]).split("\n")
    spoken = ['Spoken: "A &lt;/think> door"', 'Spoken: "Rain"']
    assert [line for line in lines if line.startswith("Spoken")] == spoken
    assert lines[lines.index(spoken[0]) - 1].startswith("[frame 1") and "[frame 2" in "".join(
        lines[lines.index(spoken[0]) :]
    )
    assert [line for line in lines if line not in spoken] == as_text(played["off"]).split("\n")
    (tmp_path / "subtitles/made_0_en.json").unlink()
    with pytest.raises(ItemError, match="made_0_en"):
        asyncio.run(play(item, tmp_path, preset, "", make("policies", "random")))


# -- the made world --------------------------------------------------------------------------------
def test_world_is_made_once_played_by_the_expert_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    which = benchmark("world:clips=2,level=2")
    items = which.items(tmp_path)
    assert len(items) == 8 and {len(item.options) for item in items} == {4}
    samples = [sample_of(item, tmp_path) for item in items]
    asked = Counter((sample.video.path, sample.text_question) for sample in samples)
    assert set(asked.values()) == {2}, "every question is asked of a thing and of its look-alike"
    answers = {(sample.video.path, sample.text_question, sample.answer_text) for sample in samples}
    assert len(answers) == 8, "their answers differ"
    for item in items:
        assert item.evidence_s and len(item.marked_frames) == 1 and (tmp_path / item.marked_frames[0]).is_file()
        sample, (marked,), (raw,) = (
            sample_of(item, tmp_path),
            prompts_of(item, tmp_path),
            prompts_of(item, tmp_path, False),
        )
        assert marked.time_s == raw.time_s == sample.visual_prompts[0].time_s is not None
        assert np.asarray(marked.picture).shape == np.asarray(raw.picture).shape
        assert (np.asarray(marked.picture) != np.asarray(raw.picture)).any()
        video = video_of(item, tmp_path)
        played = asyncio.run(rollout(make("policies", "expert"), sample, video, [marked], RolloutSettings()))
        assert grade(item, played.answer).score == 1.0
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    gone = next(path for path in stamps if path.parent.name == "items")
    gone.unlink()
    assert which.items(tmp_path) == items
    assert {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp} == {gone}


def test_world_is_the_same_everywhere_and_another_by_its_seed(tmp_path: Path) -> None:
    one, again = (benchmark("world:clips=1,level=1").items(tmp_path / name) for name in "ab")
    assert one == again
    assert (tmp_path / "a" / one[0].video).read_bytes() == (tmp_path / "b" / again[0].video).read_bytes()
    other = benchmark("world:clips=1,level=1,seed=5").items(tmp_path / "a")
    assert {item.id for item in other}.isdisjoint({item.id for item in one})


def test_world_with_turned_options_keeps_its_truth(tmp_path: Path) -> None:
    item = benchmark("world:clips=1,level=1").items(tmp_path)[0]
    turned = item.model_copy(update={"options": item.options[::-1], "answer": "DCBA"["ABCD".index(item.answer)]})
    sample = sample_of(turned, tmp_path)
    assert sample.answer_text == item.options["ABCD".index(item.answer)] and sample.target.window_s
