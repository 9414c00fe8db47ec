"""Rows that VideoZoomer and LongVT publish become trajectories of ours; what cannot is left out with its reason."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest
from published_rows import CROP, LAST, LOOKS, SAYS_B, SHOWN, ZOOM, labelled, longvt, zoomer
from typer.testing import CliRunner

from seekerdata.check import check
from seekerdata.cli import app
from seekerdata.dataset import pictures
from seekerdata.export import export
from seekerdata.importing import EARLY, import_rows
from seekerdata.shards import read
from seekerdata.show import show
from seekerdata.tools import VideoTools
from seekerdata.video import Video


def silent(line: str) -> None:
    pass


def left_out(folder: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in (folder / "left_out.jsonl").read_text().splitlines()]
    return {line["code"]: line["reason"] for line in lines}


def words(row: dict[str, Any], number: int) -> str:
    return "\n".join(block["text"] for block in row["messages"][number]["content"] if block["type"] == "text")


# LongVT


@pytest.fixture(scope="module")
def theirs(clip_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of LongVT's videos, unpacked, and its rows."""
    folder = tmp_path_factory.mktemp("longvt")
    (folder / "videos/selfqa").mkdir(parents=True)
    (folder / "videos/selfqa/clip.mp4").write_bytes(clip_path.read_bytes())
    rows = [
        longvt(*LOOKS, id="good"),
        longvt("<think>Plain.</think><answer>Right</answer>", id="direct", question="Where to? <image> is a word."),
        longvt(LOOKS[0].replace("I look.", "At 17.3 s it turns."), LOOKS[1], id="early"),
        longvt(*LOOKS, id="again"),
        longvt(*LOOKS, id="good", question="Where else does it go?"),
        longvt(f"<think>a</think>{CROP % ('v', 40, 50)}", LOOKS[1], id="beyond"),
        longvt(LOOKS[0].replace("crop_video", "get_caption"), LOOKS[1], id="tool"),
        longvt(LOOKS[0], "<think>I cannot tell.</think>", id="nothing"),
        longvt(*LOOKS, id="gone", video="/mnt/theirs/selfqa/none.mp4"),
        longvt("No thought. <answer>A</answer>", id="form"),
        {"id": "odd", "messages": [{"role": "user", "content": [{"type": "audio", "text": "x"}]}]},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "rows.parquet")
    return folder


@pytest.fixture(scope="module")
def replayed(theirs: Path) -> Path:
    import_rows(theirs / "rows.parquet", "longvt", theirs / "videos", theirs / "out", silent)
    return theirs / "out"


def test_longvt_looks_again_with_our_tools(replayed: Path, theirs: Path) -> None:
    rows = {row["id"]: row for row in read(replayed, "sft")}
    good = rows["good"]
    assert [turn["role"] for turn in good["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert words(good, 1).endswith(
        "Question: Where does the square go?\nA. Left\nB. Right\nAnswer with the letter of the best option."
    )
    arguments = {"video_path": "video", "start_time": 4, "end_time": 8.5}
    assert good["messages"][2]["tool_calls"][0]["function"] == {"name": "crop_video", "arguments": arguments}
    assert words(good, 2) == "<think>I look.</think>" and words(good, 4) == words(good, 4).strip() == LOOKS[1]
    tools = VideoTools()
    tools.reset(Video(theirs / "videos/selfqa/clip.mp4"))
    seen = [block["image"] for block in tools.crop_video(**arguments) if block["type"] == "image"]
    found = pictures(good, theirs / "videos")[-len(seen) :]
    assert all(np.array_equal(a, b) for a, b in zip(seen, found, strict=True)) and len(seen) == 5
    assert (good["answer"], good["kind"], good["policy"], good["calls"]) == ("B", "look", "longvt", 1)
    assert rows["direct"]["kind"] == "direct" and "Where to? &lt;image> is a word." in words(rows["direct"], 1)
    assert [name for name in rows if name.startswith("good-")], "another question by the same id gets an id of its own"


def test_longvt_says_what_it_left_out_and_what_it_kept_with_a_fault(replayed: Path) -> None:
    codes = left_out(replayed)
    assert set(codes) == {"duplicate", "look_refused", "other_tool", "no_answer", "missing", "bad_format", "bad_block"}
    assert "past the end of the video (20.0 s)" in codes["look_refused"] and "get_caption" in codes["other_tool"]
    (early,) = (row for row in read(replayed, "sft") if row["id"] == "early")
    assert "17.3 s" in early["provenance"]["import"]["early_time"]
    assert f"1 rows: {EARLY}." in (replayed / "README.md").read_text()


def test_an_import_is_a_dataset_like_any_other(replayed: Path, theirs: Path, tmp_path: Path) -> None:
    from datasets import load_dataset

    assert len(load_dataset(str(replayed), "sft", split="train")) == 4
    verdicts = {verdict.name: verdict for verdict in check(replayed, theirs / "videos")}
    assert verdicts.pop("sft: no thought before its evidence").failed == 1, "the row that is told of"
    assert "sft: looks replay to the same pixels" in verdicts
    assert not [verdict for verdict in verdicts.values() if verdict.failed]
    page = show(replayed, tmp_path / "page.html", 200, theirs / "videos").read_text()
    assert "Where does the square go?" in page
    assert export(replayed, "llamafactory", "sft", tmp_path / "out", theirs / "videos").rows == 4
    refused = CliRunner().invoke(app, ["push", str(replayed), "me/theirs", "--dry-run"])
    assert refused.exit_code == 2 and "no licence is named" in refused.output


# VideoZoomer


@pytest.fixture(scope="module")
def zoomed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videozoomer")
    (folder / "media/row").mkdir(parents=True)
    for n in range(6):
        picture = PIL.Image.fromarray(np.full((48, 64, 3), 30 * n, np.uint8))
        picture.save(folder / f"media/row/{n}.png")
    picture.save(folder / "media/row/last.jpg", quality=40)
    rows = [
        zoomer(ZOOM % ("At 2 s", 2, 4), SHOWN % labelled(2.5), SAYS_B),
        zoomer(
            ZOOM % ("Far.", 2, 90),
            "\nERROR occurs during the function tool call. Error Information: too many "
            "frames (176).\nPlease analyze the error information.",
            ZOOM % ("Less.", 2, 4),
            SHOWN % labelled(3) + LAST,
            SAYS_B,
        ),
        zoomer(
            ZOOM % ("Here.", 0, 2),
            SHOWN % labelled(1),
            ZOOM % ("The previous tool call was incorrect because it ended.", 2, 4),
            SHOWN % labelled(3),
            SAYS_B,
            pictures=5,
        ),
        zoomer(ZOOM % ("It says <image>.", 2, 4), SHOWN % labelled(2.5), SAYS_B),
        zoomer(SAYS_B, pictures=3, question="Which way? Answer openly."),
        zoomer(ZOOM % ("a", 2, 4), SHOWN % labelled(2.5), SAYS_B, pictures=3),
        zoomer(ZOOM % ("a", 2, 4), SHOWN % labelled(2.5), SAYS_B, pictures=6),
        zoomer(ZOOM % ("a", 2, 4), SHOWN % labelled(2.5), ZOOM % ("b", 2, 4)),
        zoomer(SAYS_B, pictures=3) | {"images": ["row/0.png", "row/1.png", "row/nothing.png"]},
        {"messages": "none"},
        [],
    ]
    (folder / "rows.json").write_text(json.dumps(rows))
    import_rows(folder / "rows.json", "videozoomer", folder / "media", folder / "out", silent)
    return folder


def test_videozoomer_keeps_its_frames_and_times(zoomed: Path) -> None:
    first, failed, mended, literal, direct = read(zoomed / "out", "sft")
    assert words(first, 1).startswith("<0.0 seconds>\n<2.0 seconds>\n<4.0 seconds>\nThe video is video (4.0 s).")
    call = first["messages"][2]["tool_calls"][0]["function"]
    assert call == {"name": "crop_video", "arguments": {"video_path": "video", "start_time": 2.0, "end_time": 4.0}}
    assert words(first, 3) == "<2.5 seconds>" and words(first, 4) == "<think>It goes right.</think>\n<answer>B</answer>"
    assert [np.asarray(picture)[0, 0, 0] for picture in first["images"]][:3] == [0, 30, 60]
    (raw, *_) = read(zoomed / "out", "sft", pictures=False)
    assert raw["images"][3]["bytes"] == (zoomed / "media/row/last.jpg").read_bytes(), "a JPEG stays as it was"
    assert literal["messages"][2]["content"][0]["text"] == "<think>It says &lt;image>.</think>"
    assert (direct["kind"], direct["answer"]) == ("direct", "B") and (first["kind"], first["answer"]) == ("look", "B")
    assert words(failed, 3) == "Error: too many frames (176)." and words(failed, 5).endswith(
        "That was the last look. Answer now."
    )
    for row in (failed, mended):
        assert row["kind"] == "recovery"
        assert [turn["loss"] for turn in row["messages"] if turn["role"] == "assistant"] == [False, True, True]


def test_videozoomer_says_what_it_left_out(zoomed: Path) -> None:
    codes = left_out(zoomed / "out")
    assert set(codes) == {"placeholders", "bad_turns", "missing", "bad_row"}
    assert "nothing.png" in codes["missing"]
    verdicts = check(zoomed / "out", zoomed / "media")
    assert not [verdict for verdict in verdicts if verdict.failed and "no thought before" not in verdict.name]


def test_mistakes_of_the_one_who_types_are_one_line(zoomed: Path, tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["import", *arguments])
        assert done.exit_code == 2 and done.output.count("\n") == 1, done.output
        return done.output

    rows, media = str(zoomed / "rows.json"), ("--media", str(zoomed / "media"))
    new = ("--out", str(tmp_path / "new"))
    assert "did you mean 'videozoomer'" in said(rows, "--from", "videozoomr", *media, *new)
    assert "is there already" in said(rows, "--from", "videozoomer", *media, "--out", str(zoomed / "out"))
    assert "no such folder of media" in said(rows, "--from", "videozoomer", "--media", str(tmp_path / "no"), *new)
    assert "no such file of rows" in said(str(tmp_path / "no.json"), "--from", "videozoomer", *media, *new)
    pointer = tmp_path / "rows.json"
    pointer.write_text("version https://git-lfs.github.com/spec/v1")
    assert "Git LFS pointer" in said(str(pointer), "--from", "videozoomer", *media, *new)
    assert "none of its rows could be read as longvt" in said(rows, "--from", "longvt", *media, *new)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.json"], "nothing half made is left"


def test_lines_and_pictures_inside_rows(zoomed: Path, tmp_path: Path) -> None:
    """Parquet on the hub often holds pictures as bytes; a torn line fails alone."""
    data = io.BytesIO()
    PIL.Image.new("RGB", (32, 32), "red").save(data, "PNG")
    row = zoomer(SAYS_B, pictures=3)
    inside = row | {"images": [{"bytes": data.getvalue(), "path": None}] * 3}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([inside]), tmp_path / "rows.parquet")
    done = import_rows(tmp_path / "rows.parquet", "videozoomer", tmp_path, tmp_path / "inside", silent)
    assert done.rows == 1
    (tmp_path / "rows.jsonl").write_text(
        json.dumps(row)[:-9] + "\n" + json.dumps(zoomer(SAYS_B, pictures=3)).replace("last.jpg", "2.png") + "\n"
    )
    done = import_rows(tmp_path / "rows.jsonl", "videozoomer", zoomed / "media", tmp_path / "lines", silent)
    assert (done.rows, done.left_out) == (1, {"bad_row": 1})


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"images": 0.5}, "bad_block"),
        ({"images": [{"url": {"url": {"url": {"url": "0.png"}}}}] * 3}, "bad_block"),
        ({"images": [{}] * 3}, "bad_block"),
        ({"images": ["9" * 400] * 3}, "missing"),
        ({"images": ["row/0\0.png"] * 3}, "missing"),
        ({"images": ["../../../etc/passwd"] * 3}, "missing"),
        ({"images": ["data:image/png;base64,AAAA"] * 3}, "bad_picture"),
        ({"messages": [{"role": "user", "content": [{"type": "audio"}]}] * 2}, "bad_block"),
        ({"messages": [None]}, "bad_turns"),
        ({"id": "\ud800"}, "bad_text"),
        (zoomer(2 * (ZOOM % ("a", 2, 4)), SHOWN % labelled(2.5), SAYS_B), "bad_turns"),
    ],
)
def test_a_hostile_row_is_a_row_with_a_reason(zoomed: Path, tmp_path: Path, changed: dict, code: str) -> None:
    rows = [zoomer(SAYS_B, pictures=3), zoomer(SAYS_B, pictures=3, question="Another?") | changed]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    done = import_rows(tmp_path / "rows.json", "videozoomer", zoomed / "media", tmp_path / "out", silent)
    assert (done.rows, done.left_out) == (1, {code: 1})
