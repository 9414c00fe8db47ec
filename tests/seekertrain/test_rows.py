"""Rows: what is trained on, in what order, and what becomes of a row that cannot be shown."""

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seekerdata.dataset import pictures
from seekerdata.errors import SeekerError
from seekerdata.player import play_all
from seekerdata.plugin import make
from seekerdata.rights import withhold
from seekerdata.rollout import RolloutSettings
from seekerdata.shards import read
from seekertrain.batch import Collator, Encoder
from seekertrain.feed import Feed
from seekertrain.processor import load_processor
from seekertrain.progress import walked
from seekertrain.questions import load as load_questions
from seekertrain.questions import playable
from seekertrain.rows import ByLength, Data, Rows, load, measured, parted, questions, spread
from seekertrain.showing import Showing


@pytest.fixture(scope="session")
def referred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose frames are kept by reference: four videos, a row each."""
    from seekerdata.build import BuildRecipe, build

    recipe = {
        "name": "referred",
        "out": tmp_path_factory.mktemp("run") / "referred",
        "source": {"use": "world", "level": 1, "videos": 4, "questions_per_video": 1},
        "filter": {"by": "rules", "allow": ["counting"]},
        "engine": {"workers": 1},
    }
    return build(BuildRecipe.model_validate(recipe)).out / "dataset"


@pytest.fixture
def moved(referred: Path, tmp_path: Path) -> Data:
    """The same with videos that a test may take away."""
    shutil.copytree(referred.parent / "videos", tmp_path / "videos")
    return Data(path=str(referred), video_root=tmp_path / "videos")


@pytest.fixture(scope="session")
def encoder(tiny: Path) -> Encoder:
    return Encoder(load_processor(str(tiny)))


def test_a_row_without_its_video_is_left_out_with_a_reason(moved: Data, encoder: Encoder) -> None:
    data = load(moved)
    gone = moved.videos() / data[1]["video_path"]
    gone.unlink()
    rows = measured(data, encoder, moved.videos())
    (left,) = rows.left_out
    assert (left.id, left.code) == (data[1]["id"], "missing") and gone.name in left.reason
    assert list(rows.data["id"]) == [name for name in data["id"] if name != left.id]
    assert rows.facts()["left_out"] == {"missing": 1} and rows.facts()["tokens"]["sum"] == sum(rows.lengths)


def test_rows_published_without_pictures_are_trained_on_where_their_videos_are(
    run: Path, encoder: Encoder, tmp_path: Path
) -> None:
    """Marks are drawn again: for `sft`, for the rollouts of `rl`, for held-out plays."""
    import pyarrow
    import pyarrow.parquet

    for config in ("qa", "sft", "rl"):
        table = pyarrow.parquet.read_table(next((run / "dataset" / config).glob("*.parquet")))
        closed = pyarrow.array(["all rights reserved"] * len(table))
        table = table.set_column(table.schema.get_field_index("video_licence"), "video_licence", closed)
        (tmp_path / "open" / config).mkdir(parents=True)
        file = tmp_path / "open" / config / "train-00000-of-00001.parquet"
        pyarrow.parquet.write_table(table, file)
        (tmp_path / "dataset" / config).mkdir(parents=True)
        withhold(file, tmp_path / "dataset" / config / file.name)
    videos = run / "videos"
    data = Data(path=str(tmp_path / "dataset"), video_root=videos)
    rows = measured(load(data), encoder, videos)
    assert set(rows.data["media"]) == {"withheld"} and not rows.left_out
    row = next(row for row in rows.data if any(b["source"] != "video" for b in images_of(row)))
    place = next(n for n, block in enumerate(images_of(row)) if block["source"] != "video")
    (known,) = (one for one in read(run / "dataset", "qa") if one["id"] == row["id"])
    assert np.array_equal(pictures(row, videos)[place], known["image"])
    for left, name in (({"withheld": 10}, "drawn"), ({"missing": 10}, "video_path")):
        blank = rows.data.map(lambda row, name=name: {name: None if name == "drawn" else "gone.mp4"})
        assert measured(blank, encoder, videos).facts()["left_out"] == left
    asked = playable(load_questions(data), data, "tool")
    opened = Showing(videos, RolloutSettings()).opened(dict(asked.data[0]))
    assert asked.data[0]["marked"] is None and opened.marks[0].picture.size == known["image"].size
    assert len(play_all(make("policies", "expert"), questions(data, rows.data["id"], 2), videos)) == 2


def images_of(row: dict) -> list[dict]:
    return [block for turn in row["messages"] for block in turn["content"] if block["type"] == "image"]


def test_a_row_that_is_too_long_loses_its_last_turns_or_is_left_out(run: Path, tiny: Path, encoder: Encoder) -> None:
    data = load(Data(path=str(run / "dataset")))
    whole = measured(data, encoder, run)
    limit = sorted(whole.lengths)[len(whole) // 2]
    rows = measured(data, Encoder(encoder.processor, limit), run)
    assert max(rows.lengths) <= limit and len(rows) == len(data)
    assert len(rows.shortened) == sum(length > limit for length in whole.lengths) > 0
    none = measured(data, Encoder(encoder.processor, 100), run)
    assert len(none) == 0 and none.facts()["left_out"] == {"too_long": len(data)}


def test_a_row_that_went_away_is_replaced_and_the_replacement_noted(
    moved: Data, encoder: Encoder, tmp_path: Path
) -> None:
    rows = measured(load(moved), encoder, moved.videos())
    feed = Feed(Collator(encoder), [rows], tmp_path / "replaced.jsonl")
    first, second = rows.data[0], rows.data[1]
    whole = feed([second, second])
    assert not (tmp_path / "replaced.jsonl").exists()
    (moved.videos() / first["video_path"]).unlink()
    mended = feed([first, second])
    assert mended.keys() == whole.keys() and all(bool((mended[key] == whole[key]).all()) for key in whole)
    (note,) = [json.loads(line) for line in (tmp_path / "replaced.jsonl").read_text().splitlines()]
    assert (note["id"], note["replaced_by"], note["code"]) == (first["id"], second["id"], "missing")
    for path in moved.videos().iterdir():
        path.unlink()
    with pytest.raises(SeekerError, match=f"row {first['id']} and 3 after it cannot be shown: .*no such"):
        feed([first, second])


def test_a_video_is_held_out_with_all_its_rows(run: Path) -> None:
    data = load(Data(path=str(run / "dataset")))
    train, held = parted(data, 0.3)
    assert not set(train["video_sha256"]) & set(held["video_sha256"])
    assert len(train) + len(held) == len(data)
    with pytest.raises(SeekerError, match="held_out_share"):
        parted(data, 1e-9)


def test_held_out_questions_are_those_of_the_rows_whose_video_is_there(run: Path, moved: Data) -> None:
    data = Data(path=str(run / "dataset"))
    ids = load(data)["id"]
    assert [row["id"] for row in questions(data, ids[3:], 4)] == list(ids[3:7])
    for path in moved.videos().iterdir():
        path.unlink()
    with pytest.raises(SeekerError, match="no video of a held-out row is in"):
        questions(moved, load(moved)["id"], 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "no dataset there"),
        (lambda folder: shutil.rmtree(folder / "sft"), "no 'sft' rows there"),
        (lambda folder: _rewrite(folder, lambda rows: rows.remove_columns("messages")), "have no column messages"),
        (lambda folder: _rewrite(folder, lambda rows: rows.add_column("x", ["a"] * len(rows))), ""),
        (lambda folder: _rewrite(folder, lambda rows: _as_text(rows)), "another kind of messages"),
        (lambda folder: _rewrite(folder, lambda rows: rows.select([0, 0])), "one id"),
    ],
)
def test_what_is_no_dataset_is_said_in_one_line(
    run: Path, tmp_path: Path, change: Callable[[Path], None], said: str
) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(run / "dataset", folder)
    change(folder)
    if not said:
        assert len(load(Data(path=str(folder)))) == 10
        return
    with pytest.raises(SeekerError, match=said) as caught:
        load(Data(path=str(folder)))
    assert "\n" not in str(caught.value) and str(folder) in str(caught.value)


def _rewrite(folder: Path, change: Callable) -> None:
    import datasets

    (file,) = (folder / "sft").iterdir()
    change(datasets.Dataset.from_parquet(str(file))).to_parquet(str(file))


def _as_text(rows: object) -> object:
    return rows.remove_columns("messages").add_column("messages", ["USER: hello"] * len(rows))  # type: ignore


@pytest.mark.parametrize("count", [0, 1, 7, 64, 333])
def test_every_row_comes_once_an_epoch_those_of_like_length_together(count: int) -> None:
    draw = random.Random(0)
    lengths = [draw.randrange(100, 2000) for _ in range(count)]
    order = ByLength(lengths, step_rows=8, seed=0)
    first = list(order)
    assert sorted(first) == list(range(count)) and list(order) == first
    order.set_epoch(1)
    assert count < 8 or list(order) != first
    again = ByLength(lengths, step_rows=8, seed=0)
    again.set_epoch(1)
    assert list(again) == list(order), "a run that goes on meets the same rows"
    if count >= 64:
        assert lengths[first[0]] == max(lengths), "a device that is too small says so at once"
        assert waste(lengths, first) < 0.1 < waste(lengths, list(range(count)))


def waste(lengths: list[int], order: list[int]) -> float:
    """Share of padding in batches of eight."""
    batches = [[lengths[n] for n in order[i : i + 8]] for i in range(0, len(order), 8)]
    return 1 - sum(map(sum, batches)) / sum(max(batch) * len(batch) for batch in batches)


def test_spread() -> None:
    assert spread(range(1, 101)) == {"p50": 51, "p95": 96, "max": 100, "sum": 5050}
    assert spread([]) == {"p50": 0, "p95": 0, "max": 0, "sum": 0}


def test_a_trial_takes_the_first_rows_only(run: Path) -> None:
    every = load(Data(path=str(run / "dataset")))
    few = load(Data(path=str(run / "dataset"), samples=3))
    assert list(few["id"]) == list(every["id"])[:3]
    assert len(Rows(few, run, [3, 4, 5], {})) == 3


def test_whoever_waits_at_a_terminal_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {}
    for terminal in (True, False):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda terminal=terminal: terminal, raising=False)
        monkeypatch.setattr("sys.stderr", stream)
        assert list(walked([1, 2, 3], "rows measured")) == [1, 2, 3]
        shown[terminal] = stream.getvalue()
    assert "rows measured" in shown[True] and "3/3" in shown[True] and shown[False] == ""
