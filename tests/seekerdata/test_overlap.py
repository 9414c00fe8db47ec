"""Overlap with benchmarks: by file, by name, by picture; changed copies are found, other videos are not."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import _write, copy_of, make_clip, make_scene

from seekerdata.build import BuildRecipe, build
from seekerdata.errors import SeekerError
from seekerdata.overlap import Overlap, overlaps, read_benchmarks
from seekerdata.sample import VideoRef
from seekerdata.video import Video
from seekerdata.video_print import LEAST_PAIRS, SAME, distance, frame_bits, may_be_same, print_of
from seekerdata.workspace import Workspace


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scenes")
    return [make_scene(folder / f"scene_number_{n}.mp4", seed=n) for n in range(26)]


COPIES: dict[str, Callable[[Path, Path], Path]] = {
    "quality": lambda source, path: copy_of(source, path, crf=40),
    "half": lambda source, path: copy_of(source, path, scale=0.5, crf=30),
    "larger": lambda source, path: copy_of(source, path, scale=2.5, crf=30),
    "rate": lambda source, path: copy_of(source, path, fps=7),
    "front": lambda source, path: copy_of(source, path, cut_s=(0, 3.5)),
    "middle": lambda source, path: copy_of(source, path, scale=0.5, crf=33, cut_s=(1.3, 4.9)),
    "end": lambda source, path: copy_of(source, path, fps=15, cut_s=(2.2, 9.0)),
}


@pytest.mark.parametrize("change", COPIES)
def test_a_changed_copy_is_like_its_original(change: str, scenes: list[Path], tmp_path: Path) -> None:
    for n, scene in enumerate(scenes[:4]):
        copy, original = print_of(str(COPIES[change](scene, tmp_path / f"{n}.mp4"))), print_of(str(scene))
        assert distance(copy, original) == distance(original, copy) <= SAME
        assert may_be_same(copy, original.bits).any()


def test_other_videos_are_not(scenes: list[Path], run: Path) -> None:
    worlds = sorted((run / "videos").rglob("*.mp4"))
    prints = [print_of(str(path)) for path in (*scenes, *worlds)]
    assert len(prints) >= 34
    nearest = min(distance(one, other) for one, other in itertools.combinations(prints, 2))
    assert nearest > SAME + 0.03, "room to spare"


def test_black_frames_say_nothing(tmp_path: Path) -> None:
    assert frame_bits(np.zeros((64, 96, 3), np.uint8)) is None
    assert frame_bits(np.full((64, 96, 3), 255, np.uint8)) is None

    def mostly_black(seed: int) -> Path:
        scene = Video(make_scene(tmp_path / f"{seed}.mp4", seed, seconds=2)).frames(np.arange(0, 2, 0.1))
        pictures = [np.zeros((96, 128, 3), np.uint8)] * 60 + [frame.rgb for frame in scene]
        return _write(tmp_path / f"black_{seed}.mp4", pictures, 10, (128, 96))

    one, other = (print_of(str(mostly_black(seed))) for seed in (100, 101))
    assert len(one.bits) == LEAST_PAIRS and one.times_s.min() >= 5.9
    assert distance(one, other) > SAME
    assert distance(one, one) == 0.0
    black = print_of(str(_write(tmp_path / "b.mp4", [np.zeros((96, 128, 3), np.uint8)] * 40, 10, (128, 96))))
    assert len(black.bits) == 0 and distance(black, black) == 1.0 and not may_be_same(black, one.bits).any()


def ref(path: Path, **changes: Any) -> VideoRef:
    facts: dict[str, Any] = {"duration_s": 6, "size_wh": (9, 9), "fps": 9, **changes}
    return VideoRef(path=path.name, sha256=Video(path).sha256, **facts)


def hits(paths: list[Path], refs: list[VideoRef], folder: Path, root: Path) -> dict[str, list[Overlap]]:
    workspace = Workspace(root=root, video_root=folder)
    return overlaps(read_benchmarks(paths, workspace), refs, workspace)


def test_a_folder_is_compared_by_file_name_and_picture(scenes: list[Path], tmp_path: Path) -> None:
    bench = tmp_path / "V2P"
    bench.mkdir()
    (bench / "other.mp4").write_bytes(scenes[0].read_bytes())
    make_scene(bench / "deep" / scenes[1].name, seed=500)
    copy_of(scenes[2], bench / "copied.mp4", scale=0.5, crf=35)
    make_scene(bench / "its_own_video.mp4", seed=501)
    (bench / "broken.mp4").write_text("no video")
    refs = [ref(path) for path in scenes[:6]]
    found = hits([bench], refs, scenes[0].parent, tmp_path / "out")
    assert [found.get(r.sha256) for r in refs] == [
        [Overlap("V2P", "file", "other.mp4")],
        [Overlap("V2P", "name", f"deep/{scenes[1].name}")],
        [Overlap("V2P", "picture", "copied.mp4")],
        None,
        None,
        None,
    ]
    (read,) = read_benchmarks([bench], Workspace(root=tmp_path / "out", video_root=bench))
    assert read.unreadable == ("broken.mp4",)


def test_two_benchmarks_may_keep_their_videos_in_folders_of_one_name(scenes: list[Path], tmp_path: Path) -> None:
    benches = [tmp_path / "One" / "videos", tmp_path / "Two" / "videos"]
    for bench, scene in zip(benches, scenes, strict=False):
        copy_of(scene, bench / "copied.mp4", crf=30)
    found = hits(benches, [ref(path) for path in scenes[:3]], scenes[0].parent, tmp_path / "out")
    assert [hit.benchmark for hits in found.values() for hit in hits] == ["One", "Two"]


def test_every_video_is_read_once(scenes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr("seekerdata.overlap.print_of", lambda path: read.append(path) or print_of(path))
    bench = tmp_path / "bench"
    bench.mkdir()
    (bench / "a.mp4").write_bytes(scenes[0].read_bytes())
    first, again = (hits([bench], [ref(scenes[0])], scenes[0].parent, tmp_path / "out") for _ in range(2))
    assert first == again and len(read) == 2
    make_scene(bench / "a.mp4", seed=7)
    assert not hits([bench], [ref(scenes[0])], scenes[0].parent, tmp_path / "out") and len(read) == 3


LISTS = {
    "ids.txt": "7nRmsEw7nsE\nscene_number_4\n001\n",
    "urls.txt": "https://www.youtube.com/watch?v=7nRmsEw7nsE&t=3\nhttps://youtu.be/qvuZDWGvlRk\n",
    "table.csv": "question,video_id,answer\nwhat does scene_number_1 show?,7nRmsEw7nsE,scene_number_1\n",
    "rows.jsonl": '{"video": "a/v_7nRmsEw7nsE.mp4", "question": "scene_number_1"}\n\n{"video": "001.mp4"}\n',
    "hashes.jsonl": '{"sha256": "%s"}\n',
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_names_videos(name: str, scenes: list[Path], tmp_path: Path) -> None:
    sha256 = Video(scenes[4]).sha256
    path = tmp_path / name
    path.write_text(LISTS[name].replace("%s", sha256))
    youtube = scenes[3].with_name("ytb_7nRmsEw7nsE.mp4")
    youtube.write_bytes(scenes[3].read_bytes())
    short = scenes[5].with_name("001.mp4")
    short.write_bytes(scenes[5].read_bytes())
    refs = [ref(scenes[1]), ref(scenes[4]), ref(youtube), ref(short)]
    found = hits([path], refs, scenes[0].parent, tmp_path / "out")
    by = [[hit.by for hit in found.get(r.sha256, [])] for r in refs]
    only_hash, named = [[], ["file"], [], []], [[], ["name"] * (name == "ids.txt"), ["name"], []]
    assert by == (only_hash if "hash" in name else named)
    origin = ref(scenes[5], origin="https://www.youtube.com/watch?v=7nRmsEw7nsE")
    assert bool(hits([path], [origin], scenes[0].parent, tmp_path / "out")) is ("hash" not in name)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none", None, "no such folder or list"),
        ("short.txt", "1\n2\n", "no name of 8 letters"),
        ("rows.jsonl", "{\n", "not a list of videos"),
        ("empty", "", "no videos in this folder"),
    ],
)
def test_what_is_no_benchmark_is_said_in_one_line(name: str, text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    elif text is not None:
        path.write_text(text)
    with pytest.raises(SeekerError, match=words) as caught:
        read_benchmarks([path], Workspace(root=tmp_path, video_root=tmp_path))
    assert "\n" not in str(caught.value)


def recipe(out: Path, **select: Any) -> BuildRecipe:
    source = {"use": "world", "level": 1, "videos": 4, "questions_per_video": 2}
    values = {"name": "t", "out": out, "filter": {"by": "rules", "allow": ["counting"]}, "engine": {"workers": 1}}
    return BuildRecipe.model_validate({**values, "source": source, "select": {"rl_share": 1.0, **select}})


def test_overlapping_rows_are_reported_or_dropped(tmp_path: Path) -> None:
    whole = build(recipe(tmp_path / "out"))
    videos = sorted((tmp_path / "out" / "videos").rglob("*.mp4"))
    copy_of(videos[0], tmp_path / "Bench" / "copied.mp4", crf=30)
    make_clip(tmp_path / "Bench" / "unlike.mp4")
    (tmp_path / "Bench" / "broken.mp4").write_text("no video")
    paths = [str(tmp_path / "Bench")]
    assert build(recipe(tmp_path / "out", benchmarks=paths)).rows == whole.rows
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["overlap"]["rows"] == {"Bench, by picture": 2}
    facts = {"name": "Bench", "files": 3, "names": 0, "unreadable": ["broken.mp4"]}
    assert [{**b, "names": 0} for b in manifest["overlap"]["benchmarks"]] == [facts]
    card = (tmp_path / "out" / "dataset" / "README.md").read_text()
    assert "| Bench, by picture | 2 |" in card and str(tmp_path) not in card
    dropped = build(recipe(tmp_path / "out", benchmarks=paths, overlap="drop"))
    assert dropped.rows["sft"] == whole.rows["sft"] - 2
    assert dropped.stages[-1]["reasons"] == {"overlap with Bench by picture": 2}
