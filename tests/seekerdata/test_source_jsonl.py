"""jsonl: every kind of line becomes a whole sample, or says in one line what is wrong with it and where."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import make_clip
from material import shared

from seekerdata.errors import ItemError, SeekerError
from seekerdata.instance import encode_mask
from seekerdata.row import find_letter, without_letters
from seekerdata.sample import Sample
from seekerdata.sources.jsonl import Jsonl
from seekerdata.stage import Entry
from seekerdata.workspace import Workspace

ROW = {"id": "q", "video": "clip.mp4", "question": "What does the man lift?", "answer": "A cup."}
CHOICE = {**ROW, "options": ["A cup", "A ball", "A hat"], "answer": "B"}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip of 2 s, 64x48, and a text file that calls itself a video."""
    folder = tmp_path_factory.mktemp("videos")
    make_clip(folder / "clip.mp4")
    make_clip(folder / "ümlaut und レ.mp4")
    (folder / "text.mp4").write_text("no video")
    return folder


def write(folder: Path, *lines: Any) -> Path:
    """A questions' file; what is no text or bytes is written as JSON."""
    data = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    path = folder / "raw_qa.jsonl"
    path.write_bytes(b"\n".join(data) + b"\n")
    return path


def listed(path: Path, videos: Path, *lines: Any, **settings: Any) -> tuple[Jsonl, list[Entry]]:
    source = Jsonl(path=write(path, *lines), videos=str(videos), **settings)
    return source, list(source.entries())


def read(path: Path, videos: Path, row: Any, **settings: Any) -> Sample:
    source, (entry,) = listed(path, videos, row, **settings)
    return source.read(entry, Workspace(root=path, video_root=source.video_root(path)))


def rle(mask: np.ndarray | None = None) -> dict[str, Any]:
    if mask is None:
        mask = np.zeros((48, 64), bool)
        mask[10:20, 30:40] = True
    return encode_mask(mask)


def test_a_whole_row(tmp_path: Path, videos: Path) -> None:
    marks = {
        "tag": " man  in a red hat",
        "description": "the man",
        "unique_target": True,
        "reason": "only one",
        "window": [0.5, 1.5],
        "boxes": [{"time": 1.0, "xyxy": [30, 10, 40, 20]}, {"time": 0.5, "xyxy": [28, 9, 38, 21]}],
        "mask": {"time": 1.0, "mask": rle()},
        "text_filter": False,
    }
    options = ["A. A cup", "B. A ball", "C. A hat"]
    row = {**CHOICE, "question": "  What does the man lift? ", "options": options, "human": marks, "dimension": "HA"}
    sample = read(tmp_path, videos, row, annotations="human", origin="home", licence="CC0")
    assert (sample.id, sample.question, sample.answer) == ("q", "What does the man lift?", "B")
    assert sample.options == ("A cup", "A ball", "A hat") and sample.answer_text == "A ball"
    ref = sample.video
    assert (ref.path, ref.size_wh, ref.fps, ref.origin, ref.licence) == ("clip.mp4", (64, 48), 10.0, "home", "CC0")
    assert ref.duration_s == pytest.approx(2.0, abs=0.1) and len(ref.sha256) == 64
    target = sample.target
    assert (target.tag, target.description, target.unique) == ("man in a red hat", "the man", True)
    assert (target.reason, target.window_s, sample.dimension) == ("only one", (0.5, 1.5), "HA")
    assert sample.instance is not None and sample.instance.tag == "man in a red hat"
    first, second = sample.instance.sightings
    assert (first.time_s, first.mask) == (0.5, None)
    assert (second.time_s, second.box_xyxy) == (1.0, (30, 10, 40, 20)) and second.mask == rle()
    assert sample.provenance == {"source": {"use": "jsonl"}}
    assert "text_filter" not in sample.model_dump_json()


def test_a_bare_row(tmp_path: Path, videos: Path) -> None:
    row = {**ROW, "source": "mine", "licence": "MIT", "options": None, "answer": 3}
    sample = read(tmp_path, videos, row, origin="home", licence="CC0")
    assert (sample.options, sample.answer, sample.instance) == ((), "3", None)
    assert (sample.video.origin, sample.video.licence) == ("mine", "MIT")
    assert sample.target.unique is None and sample.target.window_s is None


@pytest.mark.parametrize(
    ("marks", "found"),
    [
        ({"window": {"start": 0, "end": 2.4}}, "window"),
        ({"box": {"time": 2.3, "xyxy": [-2, 0, 66, 48]}}, "box"),
    ],
)
def test_small_overshoot_is_clipped_and_noted(tmp_path: Path, videos: Path, marks: dict, found: str) -> None:
    sample = read(tmp_path, videos, {**ROW, "annotations": marks})
    assert found in " ".join(sample.provenance["source"]["adjusted"])
    whole_s = sample.video.duration_s
    if found == "window":
        assert sample.target.window_s == (0, whole_s)
    else:
        assert sample.instance is not None
        (sighting,) = sample.instance.sightings
        assert (sighting.time_s, sighting.box_xyxy) == (whole_s, (0, 0, 64, 48))


BAD_ROWS = [
    ({"question": " "}, "bad_question", "question is ' ', must be text"),
    ({"question": None}, "bad_question", "question is missing"),
    ({"question": 5}, "bad_question", "question is 5"),
    ({"options": "A"}, "bad_options", "must be a list"),
    ({"options": ["a", True]}, "bad_options", "must be a list of texts"),
    ({"options": ["a", " ", "b"], "answer": "A"}, "bad_options", "option 2 of 3 is empty"),
    ({"options": ["Red", "blue", "red "], "answer": "B"}, "bad_options", "option 3 repeats option 1 ('red')"),
    ({"options": ["A. x", "B. X"], "answer": "A"}, "bad_options", "option 2 repeats option 1"),
    ({"options": ["x"], "answer": "A"}, "bad_options", "holds one entry"),
    ({"options": [f"o{n}" for n in range(27)], "answer": "A"}, "bad_options", "27 entries, at most 26"),
    ({"options": ["x", "y"], "answer": "C"}, "bad_answer", "answer 'C' is beyond the 2 options (A-B)"),
    ({"options": ["x", "y"], "answer": "zed"}, "bad_answer", "answer 'zed' is not among the 2 options"),
    ({"options": ["x", "y"], "answer": "A. y"}, "bad_answer", "is not among"),
    ({"options": ["B", "y"], "answer": "B"}, "bad_answer", "also the text of option A"),
    ({"options": ["x", "y"], "answer": ["A"]}, "bad_answer", "answer is ['A'], must be text"),
    ({"answer": ""}, "bad_answer", "answer is ''"),
    ({"answer": None}, "bad_answer", "answer is missing"),
    ({"options": ["x", "y"], "answer": 10**400}, "bad_answer", "is not among"),
    ({"annotations": {"window": [0, 10**400]}}, "bad_window", "must be {start, end}"),
    ({"answer": float("nan")}, "bad_answer", "answer is nan"),
    ({"dimension": 2}, "bad_field", "dimension is 2, must be text"),
    ({"licence": ["x"]}, "bad_field", "licence is ['x']"),
    ({"video": None}, "bad_path", "video is None"),
    ({"video": ["clip.mp4"]}, "bad_path", "must be a path"),
    ({"video": "/etc/passwd"}, "bad_path", "inside the video folder"),
    ({"video": "C:\\clip.mp4"}, "bad_path", "inside the video folder"),
    ({"video": "../clip.mp4"}, "bad_path", "inside the video folder"),
    ({"video": "a\0b.mp4"}, "bad_path", "inside the video folder"),
    ({"video": "none.mp4"}, "missing", "none.mp4: no such file"),
    ({"video": "x" * 5000}, "unreadable", "name too long"),
    ({"video": "text.mp4"}, "unreadable", "text.mp4: not a video"),
    ({"video": "."}, "unreadable", "directory"),
    ({"annotations": "good"}, "bad_annotation", "annotations is 'good', must be an object"),
    ({"annotations": {"tag": 1}}, "bad_annotation", "annotations.tag is 1"),
    ({"annotations": {"unique": "yes"}}, "bad_annotation", "annotations.unique is 'yes'"),
    ({"annotations": {"window": [0, 3]}}, "bad_window", "annotations.window is 0-3 s, outside the video of 2 s"),
    ({"annotations": {"window": [5, 6]}}, "bad_window", "outside the video"),
    ({"annotations": {"window": [-1, 1]}}, "bad_window", "-1-1 s, outside the video"),
    ({"annotations": {"window": {"start": 1.5, "end": 1}}}, "bad_window", "ends at 1 s, must be after"),
    ({"annotations": {"window": [1, 1]}}, "bad_window", "must be after its start"),
    ({"annotations": {"window": [0, float("nan")]}}, "bad_window", "[0, nan]"),
    ({"annotations": {"window": {"start": 0}}}, "bad_window", "must be {start, end}"),
    ({"annotations": {"window": "0-1"}}, "bad_window", "'0-1'"),
    ({"annotations": {"box": {"time": 1, "xyxy": [0, 0, 80, 40]}}}, "bad_box", "outside the frame of 64x48"),
    ({"annotations": {"box": {"time": 1, "xyxy": [70, 50, 80, 60]}}}, "bad_box", "outside the frame"),
    ({"annotations": {"box": {"time": 1, "xyxy": [40, 0, 20, 40]}}}, "bad_box", "inverted or empty"),
    ({"annotations": {"box": {"time": 1, "xyxy": [0, 0, float("nan"), 40]}}}, "bad_box", "must be 4 numbers"),
    ({"annotations": {"box": {"time": 1, "xyxy": [0, 0, 40]}}}, "bad_box", "must be 4 numbers"),
    ({"annotations": {"box": {"time": 1, "xyxy": [0.1, 0.1, 0.5, 0.5]}}}, "bad_box", "not shares of the frame"),
    ({"annotations": {"box": [1, 2, 3, 4]}}, "bad_box", "annotations.box[0] is 1, must be {time, xyxy}"),
    ({"annotations": {"box": {"time": 9, "xyxy": [0, 0, 9, 9]}}}, "bad_time", "box.time is 9 s, outside the video"),
    ({"annotations": {"box": {"xyxy": [0, 0, 9, 9]}}}, "bad_time", "box.time is None, must be a number"),
    (
        {"annotations": {"boxes": [{"time": 1, "xyxy": [0, 0, 9, 9]}, {"time": 1, "xyxy": [9, 9, 18, 18]}]}},
        "bad_box",
        "annotations.boxes[1] is a second box at 1 s",
    ),
    ({"annotations": {"mask": {"time": 1, "mask": "x"}}}, "bad_mask", "must be a COCO RLE"),
    (
        {"annotations": {"mask": {"time": 1, "mask": {"size": [9, 9], "counts": [81]}}}},
        "bad_mask",
        "has size [9, 9], must be the frame's [48, 64]",
    ),
    ({"annotations": {"mask": {"time": 1, "mask": {"size": [48, 64], "counts": ""}}}}, "bad_mask", "do not fill"),
    ({"annotations": {"mask": {"time": 1, "mask": {"size": [48, 64], "counts": "z!é"}}}}, "bad_mask", "not a COCO RLE"),
    ({"annotations": {"mask": {"time": 1, "mask": {"size": [48, 64], "counts": [-1, 3073]}}}}, "bad_mask", "fill"),
    ({"annotations": {"masks": [{"time": 1, "mask": {"size": [48, 64], "counts": [3072]}}]}}, "bad_mask", "empty"),
]


@pytest.mark.parametrize(("change", "code", "words"), BAD_ROWS, ids=[f"{c}-{w}" for _, c, w in BAD_ROWS])
def test_a_bad_row_says_what_and_where(tmp_path: Path, videos: Path, change: dict, code: str, words: str) -> None:
    with pytest.raises(ItemError) as caught:
        read(tmp_path, videos, {**ROW, **change})
    text = caught.value.message
    assert caught.value.code == code and words.lower() in text.lower()
    assert "\n" not in text and not caught.value.retryable
    assert code in ("missing", "unreadable") or text.startswith("raw_qa.jsonl:1: ")


def test_all_mistakes_of_a_row_are_told_at_once(tmp_path: Path, videos: Path) -> None:
    marks = {"window": [3, 2], "box": {"time": 7, "xyxy": [9, 9, 1, 1]}}
    with pytest.raises(ItemError) as caught:
        read(tmp_path, videos, {**CHOICE, "question": "", "answer": "Z", "annotations": marks})
    assert caught.value.code == "bad_question"
    for words in ("question is ''", "answer 'Z'", "window ends", "box.time is 7", "box.xyxy"):
        assert words in caught.value.message
    with pytest.raises(ItemError, match=r"raw_qa.jsonl:1: question is '', must be text; .*none.mp4: no such file"):
        read(tmp_path, videos, {**ROW, "question": "", "video": "none.mp4"})


def test_bad_lines_become_entries_and_their_siblings_go_on(tmp_path: Path, videos: Path) -> None:
    deep = b'{"id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    lines = [
        {**ROW, "id": "x"},
        "",
        "not json",
        {**ROW, "id": "x", "question": "Another?"},
        [1, 2],
        b'{"id": "\xff\xfe"}',
        '{"id": "y", "question": "\\ud800"}',
        {**ROW, "id": 1.5},
        deep,
        {**ROW, "id": "x#2"},
        {**ROW, "id": "x"},
        {**ROW, "id": 7},
    ]
    source, entries = listed(tmp_path, videos, *lines)
    assert len({entry.id for entry in entries}) == len(entries) == 11
    assert [e.where.split(":")[1] for e in entries] == ["1", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]
    problems = {entry.where.split(":")[1]: entry.problem for entry in entries if entry.problem}
    assert set(problems) == {"3", "4", "5", "6", "7", "8", "9", "11"}
    for line, words in {
        "3": "not JSON",
        "4": "duplicate id 'x', first at raw_qa.jsonl:1",
        "5": "is [1, 2], must be a JSON object",
        "6": "not UTF-8 at byte 9",
        "7": "surrogate",
        "8": "id is 1.5",
        "9": "nested too deeply",
    }.items():
        assert words in problems[line] and problems[line].startswith(f"raw_qa.jsonl:{line}: ")
    assert [e.id for e in entries if not e.problem] == ["x", "x#2", "7"]
    assert [e.id for e in entries if e.where.endswith((":4", ":11"))] == ["x#3", "x#4"]
    assert list(source.entries()) == entries
    with pytest.raises(ItemError, match="not JSON"):
        source.read(entries[1], Workspace(root=tmp_path, video_root=videos))


def test_ids_are_text_and_kept(tmp_path: Path, videos: Path) -> None:
    ids = ["ü/レ..\\ x\n", "../../etc", "x" * 5000, " spaces ", 0, -3]
    _, entries = listed(tmp_path, videos, *({**ROW, "id": own} for own in ids))
    assert [entry.id for entry in entries] == [str(own) for own in ids]


def test_rows_without_id_are_named_by_content(tmp_path: Path, videos: Path) -> None:
    first = {k: v for k, v in ROW.items() if k != "id"}
    second = {**first, "question": "What else?", "id": ""}
    _, entries = listed(tmp_path, videos, first, second, first)
    _, turned = listed(tmp_path, videos, second, first)
    assert [entry.id for entry in turned] == [entries[1].id, entries[0].id]
    assert entries[2].problem == "raw_qa.jsonl:3: the same row as raw_qa.jsonl:1"


def test_a_changed_video_changes_the_entry(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"one")
    source = Jsonl(path=write(tmp_path, ROW, {**ROW, "id": "r", "video": "none.mp4"}))
    before, without = source.entries()
    assert before.data["_file"][0] == 3 and "_file" not in without.data
    (tmp_path / "clip.mp4").write_bytes(b"other")
    assert next(source.entries()).data != before.data


def test_odd_files_are_read(tmp_path: Path, videos: Path) -> None:
    name = "ümlaut und レ.mp4"
    rows = [{**ROW, "id": n, "video": f"./{name}", "junk": "y" * 300_000} for n in "ab"]
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\r\n\r\n"
    (tmp_path / "raw_qa.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    source = Jsonl(path=tmp_path, videos=str(videos))
    samples = [source.read(e, Workspace(root=tmp_path, video_root=videos)) for e in source.entries()]
    assert [(s.id, s.video.path) for s in samples] == [("a", name), ("b", name)]


def test_where_the_files_are(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "clips").mkdir()
    path = write(tmp_path, ROW)
    assert Jsonl(path=path).video_root(tmp_path) == Jsonl(path=tmp_path).video_root(tmp_path) == tmp_path / "videos"
    assert Jsonl(path=path, videos="clips").video_root(tmp_path) == tmp_path / "clips"
    (tmp_path / "videos").rmdir()
    assert Jsonl(path=path).video_root(tmp_path) == tmp_path
    (tmp_path / "more.jsonl").write_text(json.dumps({**ROW, "id": "more"}))
    assert [e.id for e in Jsonl(path=tmp_path, questions="more.jsonl").entries()] == ["more"]


@pytest.mark.parametrize(
    ("files", "settings", "words"),
    [
        (None, {}, "no such folder or file"),
        ({}, {}, "holds no .jsonl file"),
        ({"a.jsonl": b"{}", "b.jsonl": b"{}"}, {}, "say which by source.questions: a.jsonl, b.jsonl"),
        ({"a.jsonl": b"{}"}, {"questions": "c.jsonl"}, "c.jsonl: no such file"),
        ({"a.jsonl": b"{}"}, {"videos": "gone"}, "gone: no such folder of videos"),
        ({"a.jsonl": b""}, {}, "a.jsonl: is empty"),
        ({"a.jsonl": b"\n \r\n"}, {}, "a.jsonl: is empty"),
        ({"a.jsonl": b"\xff\xfe{\x00}\x00"}, {}, "UTF-16"),
        ({"a.jsonl": b"\x89PNG\r\n\xff\xff\n\xfe"}, {}, "not UTF-8 text"),
        ({"a.jsonl": b'[{"id": 1}, {"id": 2}]'}, {}, "is one JSON list"),
        ({"a.jsonl": b'[\n{"id": 1},\n{"id": 2}\n]'}, {}, "is one JSON list"),
    ],
)
def test_an_unusable_source_is_the_users_mistake(
    tmp_path: Path, files: dict[str, bytes] | None, settings: dict, words: str
) -> None:
    folder = tmp_path / "set"
    if files is not None:
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
    with pytest.raises(SeekerError) as caught:
        list(Jsonl(path=folder, **settings).entries())
    assert words in str(caught.value) and str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("A", "A"),
        ("b", "B"),
        ("(C)", "C"),
        ("C.", "C"),
        ("B. A ball", "B"),
        ("b) a ball.", "B"),
        (" a  HAT ", "C"),
        ("A cup.", "A"),
    ],
)
def test_letters_of_answers(answer: str, letter: str) -> None:
    assert find_letter(answer.strip(), ("A cup", "A ball", "A hat")) == letter


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["A. x", "B. y"], ("x", "y")),
        (["(A) x", "(B) y"], ("x", "y")),
        (["a) x", "b) y"], ("x", "y")),
        (["A: x", "B: y"], ("x", "y")),
        (["A. x", "C. y"], ("A. x", "C. y")),
        (["A. x", "y"], ("A. x", "y")),
        (["A dog", "B flat"], ("A dog", "B flat")),
    ],
)
def test_letters_in_front_of_options(options: list[str], texts: tuple[str, ...]) -> None:
    assert without_letters(options) == texts


def test_real_mini() -> None:
    folder = shared("real-mini")
    source = Jsonl(path=folder, annotations="human")
    workspace = Workspace(root=folder, video_root=source.video_root(folder))
    samples = [source.read(entry, workspace) for entry in source.entries()]
    assert len(samples) == 20 and {s.video.size_wh for s in samples} == {(1280, 720)}
    marked = [s for s in samples if s.target.unique]
    assert len(marked) == 11 and all(s.instance and s.target.window_s for s in marked)
    assert not any("adjusted" in s.provenance["source"] for s in samples if s.id != "cups-2")
