"""Segmenters with open weights: choosing among tracks and the checks offline, the real models (tiny, random) as `slow`.

The slow ones need the `segment` extra: pip install -c constraints.txt -e '.[dev,segment]'; without it they are skipped.
"""

import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from clips import make_clip

from seekerdata.errors import ItemError, SeekerError
from seekerdata.follower import Follower
from seekerdata.instance import Instance, decode_mask, mask_box
from seekerdata.mask_track import MaskTrack, box_iou, the_one
from seekerdata.plugin import make
from seekerdata.sample import Sample, Target, VideoRef
from seekerdata.stage import Drop, Item
from seekerdata.stages.segment import Segment
from seekerdata.video import Video
from seekerdata.window_frames import WindowFrames
from seekerdata.workspace import Workspace

SIZE = (96, 64)
LEFT, RIGHT = (10, 20, 30, 40), (60, 20, 80, 40)
Boxes = dict[float, tuple[int, int, int, int]]


def square(box: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def track(boxes: Boxes, score: float = 0.9) -> MaskTrack:
    made = MaskTrack()
    for time_s, box in boxes.items():
        made.add(time_s, square(box), score, "test")
    return made


def question(window_s: tuple[float, float] | None = (3.0, 12.0), tag: str = "white square") -> Sample:
    return Sample(
        id="q",
        video=VideoRef(path="clip.mp4", sha256="0" * 64, duration_s=20.0, size_wh=SIZE, fps=10.0),
        question="Where does it go?",
        answer="right",
        target=Target(tag=tag, window_s=window_s),
    )


# Which of several tracks counts


def test_one_track_is_taken_as_it_is() -> None:
    found = the_one([track({2.0: LEFT, 1.0: LEFT}), MaskTrack()], "dog", "reject", 0.6).instance("dog")
    assert [s.time_s for s in found.sightings] == [1.0, 2.0] and found.tag == "dog"
    assert found.sightings[0].box_xyxy == LEFT and found.sightings[0].mask_from == "test"


@pytest.mark.parametrize("several", ["reject", "best"])
def test_a_thing_found_twice_is_one(several: Any) -> None:
    twin = track({2.0: (10, 20, 30, 41), 3.0: LEFT}, 0.5)
    found = the_one([twin, track({1.0: LEFT, 2.0: LEFT})], "dog", several, 0.6).instance("dog")
    assert [s.time_s for s in found.sightings] == [1.0, 2.0, 3.0]
    assert found.sightings[1].box_xyxy == LEFT, "the surer track's own masks stay"


def test_a_thing_that_went_and_came_back_is_one() -> None:
    found = the_one([track({1.0: LEFT}), track({4.0: RIGHT})], "dog", "reject", 0.6).instance("dog")
    assert [s.time_s for s in found.sightings] == [1.0, 4.0]


def test_different_things_at_one_time_are_several() -> None:
    two = [track({1.0: LEFT, 2.0: LEFT}), track({2.0: RIGHT}, 0.95)]
    with pytest.raises(ItemError, match=r"2 things fit 'dog' at 2\.0 s") as error:
        the_one(two, "dog", "reject", 0.6)
    assert error.value.code == "several_found"
    assert set(the_one(two, "dog", "best", 0.6).sightings) == {1.0, 2.0}


def test_nothing_found_says_what_was_looked_for() -> None:
    with pytest.raises(ItemError, match="nothing in the window fits 'dog'") as error:
        the_one([track({}), MaskTrack()], "dog", "reject", 0.6)
    assert error.value.code == "nothing_found"


def test_box_iou() -> None:
    assert box_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0


# The frames of a window


@pytest.mark.parametrize(
    ("window_s", "max_frames", "times"),
    [
        ((3.0, 6.0), 256, [3.0, 4.0, 5.0]),
        ((4.05, 5.5), 256, [4.0, 5.0]),
        ((18.5, 40.0), 256, [18.5, 19.5]),
        ((5.0, 5.0), 256, [5.0]),
        (None, 4, [0.0, 5.0, 10.0, 15.0]),
    ],
)
def test_window_frames_carry_true_times(
    clip_path: Path, window_s: tuple[float, float] | None, max_frames: int, times: list[float]
) -> None:
    frames = WindowFrames(question(window_s), Video(clip_path), fps=1.0, max_frames=max_frames)
    read = list(frames.read(range(len(frames))))
    assert [frame.time_s for _, frame in read] == pytest.approx(times)
    assert [n for n, _ in read] == list(range(len(times)))
    backwards = [frame.time_s for _, frame in frames.read(range(len(frames) - 1, -1, -1))]
    assert backwards == [frame.time_s for _, frame in reversed(read)]


# The checks of the segment stage on masks that a model followed


class Fixed(Follower):
    """Gives one fixed track."""

    boxes: Boxes

    def follow(self, frames: WindowFrames, tag: str) -> list[MaskTrack]:
        return [track(self.boxes)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("segmenters")
    make_clip(root / "clip.mp4", seconds=20, size=SIZE)
    return Workspace(root=root, video_root=root)


HUGE, FAR = (5, 5, 90, 60), (70, 45, 90, 60)


@pytest.mark.parametrize(
    ("boxes", "kept"),
    [
        ({3.0: LEFT, 4.0: LEFT, 5.0: LEFT}, [3.0, 4.0, 5.0]),
        ({3.0: LEFT, 4.0: HUGE, 5.0: LEFT, 6.0: LEFT}, [3.0, 5.0, 6.0]),
        ({3.0: LEFT, 4.0: LEFT, 5.0: HUGE}, [3.0, 4.0]),
        ({3.0: LEFT, 4.0: LEFT, 5.0: HUGE, 6.0: HUGE}, [3.0, 4.0, 5.0, 6.0]),
        ({3.0: LEFT, 4.0: LEFT, 5.0: FAR}, [3.0, 4.0]),
        ({3.0: LEFT, 9.0: HUGE}, [3.0, 9.0]),
    ],
    ids=["steady", "outlier", "last", "cut", "leap", "far apart"],
)
def test_a_mask_that_fits_no_neighbour_is_rejected(boxes: Boxes, kept: list[float], workspace: Workspace) -> None:
    result = Segment(by=Fixed(boxes=boxes)).process(Item(sample=question()), workspace)
    assert isinstance(result, Item), result
    assert result.sample.instance is not None
    assert [s.time_s for s in result.sample.instance.sightings] == kept
    assert result.sample.provenance["segment"]["rejected"] == len(boxes) - len(kept)


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ({3.0: LEFT, 4.0: HUGE}, "mask_unstable: its area changes 11.7 times between 4.0 and 3.0 s, at most 4"),
        ({3.0: LEFT, 4.0: FAR}, "mask_unstable: it leaps 0.56 of the frame's diagonal between 4.0 and 3.0 s"),
    ],
)
def test_unstable_masks_alone_drop_the_question(boxes: Boxes, reason: str, workspace: Workspace) -> None:
    result = Segment(by=Fixed(boxes=boxes)).process(Item(sample=question()), workspace)
    assert isinstance(result, Drop) and result.reason.startswith(reason), result
    relaxed = Segment(by=Fixed(boxes=boxes), max_area_jump=20, max_leap=1)
    assert isinstance(relaxed.process(Item(sample=question()), workspace), Item)


# What a user can get wrong


def test_a_tag_is_needed(workspace: Workspace) -> None:
    with pytest.raises(ItemError, match="this row has no tag") as error:
        make("segmenters", "sam3").segment(question(tag=" "), workspace.video("clip.mp4"))
    assert error.value.code == "no_tag"


@pytest.mark.parametrize("name", ["sam3", "groundingdino_sam2"])
@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_without_the_extra_one_line_says_what_to_install(
    name: str, package: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, module, None if module == package else sys)
    with pytest.raises(SeekerError, match=rf"need {package}: pip install 'videoseeker-toolkit\[weights\]'"):
        make("segmenters", name).segment(question(), workspace.video("clip.mp4"))


class Full(Follower):
    """Asks for more memory than there is."""

    def follow(self, frames: WindowFrames, tag: str) -> list[MaskTrack]:
        return [MaskTrack() for _ in np.zeros(2**46)]


def test_no_memory_left_is_a_row_to_be_tried_again(workspace: Workspace) -> None:
    with pytest.raises(ItemError, match="no memory left for a window of 9 frames of 96x64: choose a smaller") as error:
        Full().segment(question(), workspace.video("clip.mp4"))
    assert error.value.code == "out_of_memory" and error.value.retryable


def test_what_saves_memory_redoes_nothing() -> None:
    whole = make("segmenters", "groundingdino_sam2")
    assert make("segmenters", {"use": "groundingdino_sam2", "batch_frames": 1, "device": "cpu"}) != whole
    assert make("segmenters", {"use": "groundingdino_sam2", "batch_frames": 1}).fingerprint() == whole.fingerprint()
    assert make("segmenters", {"use": "groundingdino_sam2", "device": "cpu"}).fingerprint() == whole.fingerprint()
    assert make("segmenters", {"use": "groundingdino_sam2", "dtype": "float32"}).fingerprint() != whole.fingerprint()
    one, other = (Segment(by={"use": "groundingdino_sam2", "batch_frames": n}) for n in (1, 2))
    assert one.fingerprint() == other.fingerprint(), "also inside its stage"


# The real models


Tiny = Callable[[str], Path]


def sam3(tiny: Tiny, **settings: Any) -> Any:
    low = {"found_score": 0.01, "new_score": 0.01, "several": "best", "device": "cpu"}
    return make("segmenters", {"use": "sam3", "model": str(tiny("sam3")), **low, **settings})


def dino(tiny: Tiny, **settings: Any) -> Any:
    folders = {"detector": str(tiny("grounding_dino")), "tracker": str(tiny("sam2"))}
    low = {"box_score": 0.01, "several": "best", "short_side_px": 64, "long_side_px": 128, "device": "cpu"}
    return make("segmenters", {"use": "groundingdino_sam2", **folders, **low, **settings})


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("segmenter", [sam3, dino])
def test_masks_at_true_times_of_the_window(segmenter: Any, dtype: str, tiny: Tiny, workspace: Workspace) -> None:
    video = workspace.video("clip.mp4")
    by = segmenter(tiny, dtype=dtype)
    found: Instance = by.segment(question(), video)
    assert found.tag == "white square" and found.sightings
    times = [s.time_s for s in found.sightings]
    assert set(times) <= {float(n) for n in range(3, 12)} and times == sorted(times)
    for sighting in found.sightings:
        assert sighting.mask is not None and sighting.mask["size"] == [SIZE[1], SIZE[0]]
        assert mask_box(decode_mask(sighting.mask)) == sighting.box_xyxy
        assert sighting.mask_from == by.plugin_name()
    assert by.segment(question(), video) == found, "the same bytes again"


@pytest.mark.slow
@pytest.mark.parametrize("segmenter", [sam3, dino])
def test_a_typed_reason_when_the_words_fit_nothing_or_much(segmenter: Any, tiny: Tiny, workspace: Workspace) -> None:
    video = workspace.video("clip.mp4")
    sure = {"found_score": 0.999, "new_score": 0.999} if segmenter is sam3 else {"box_score": 1.1}
    with pytest.raises(ItemError) as error:
        segmenter(tiny, **sure).segment(question(), video)
    assert error.value.code == "nothing_found"
    with pytest.raises(ItemError) as error:
        segmenter(tiny, several="reject", same_iou=1.0).segment(question(), video)
    assert error.value.code == "several_found"


@pytest.mark.slow
@pytest.mark.parametrize("segmenter", [sam3, dino])
def test_the_stage_ends_with_a_mark_or_a_reason(segmenter: Any, tiny: Tiny, workspace: Workspace) -> None:
    result = Segment(by=segmenter(tiny), max_area=1.0).process(Item(sample=question()), workspace)
    if isinstance(result, Drop):
        assert result.reason.split(":")[0] in {"mask_small", "mask_large", "mask_unstable", "outside_window"}
    else:
        assert result.sample.provenance["segment"]["by"] == segmenter(tiny).plugin_name()
        assert result.sample.target.mark_s is not None


def test_a_folder_that_is_not_there_is_known_before_any_item(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, module, sys)
    for name, setting in (("sam3", "model"), ("groundingdino_sam2", "detector"), ("groundingdino_sam2", "tracker")):
        with pytest.raises(SeekerError, match=r"no weights in .*/none: there is no such folder"):
            Segment(by={"use": name, setting: str(tmp_path / "none")}).check_ready()
        Segment(by={"use": name, setting: str(tmp_path)}).check_ready()
        Segment(by=name).check_ready()


@pytest.mark.slow
def test_weights_that_are_not_there_or_of_another_kind(tiny: Tiny, workspace: Workspace, tmp_path: Path) -> None:
    video = workspace.video("clip.mp4")
    with pytest.raises(SeekerError, match=r"no weights in .*/none: there is no such folder"):
        sam3(tiny, model=str(tmp_path / "none")).segment(question(), video)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SeekerError, match=r"the folder must hold config\.json"):
        sam3(tiny, model=str(tmp_path / "empty")).segment(question(), video)
    with pytest.raises(SeekerError, match="Sam2VideoModel"):
        dino(tiny, tracker=str(tiny("sam3"))).segment(question(), video)
    with pytest.raises(SeekerError, match="sees no GPU"):
        sam3(tiny, device="cuda:99x").segment(question(), video)


@pytest.mark.slow
def test_a_picture_too_large_for_the_memory_is_a_row_to_be_tried_again(tiny: Tiny, workspace: Workspace) -> None:
    with pytest.raises(
        ItemError, match=r"no memory left for a window of 9 frames of 96x64: lower batch_frames"
    ) as error:
        dino(tiny, short_side_px=10**8, long_side_px=10**8).segment(question(), workspace.video("clip.mp4"))
    assert error.value.code == "out_of_memory" and error.value.retryable and "\n" not in error.value.message


class Hub(BaseHTTPRequestHandler):
    """A hub that has nothing."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None: ...


@pytest.mark.slow
@pytest.mark.parametrize("place", ["closed", "offline", "empty"])
def test_weights_that_the_hub_cannot_give_fail_at_once(
    place: str, tmp_path: Path, tiny: Tiny, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    server = HTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    if place == "closed":
        server.shutdown()
        server.server_close()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", place == "offline")
    words = {
        "closed": rf"owner/none is not downloaded, or not whole, and {address} cannot be reached \(.*refused\); `hf ",
        "offline": r"owner/none is not downloaded, or not whole, and .* cannot be reached \(HF_HUB_OFFLINE is set\)",
        "empty": r"Sam3VideoModel cannot be loaded from owner/none: ",
    }
    started = time.monotonic()
    with pytest.raises(SeekerError, match=words[place]) as error:
        sam3(tiny, model="owner/none").segment(question(), workspace.video("clip.mp4"))
    assert time.monotonic() - started < 20 and "\n" not in str(error.value)
    if place != "closed":
        server.shutdown()
        server.server_close()
