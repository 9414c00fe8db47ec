"""Video: every hard file is read rightly or refused with its cause, and every frame has its true time."""

import bisect
import contextlib
import gc
import hashlib
import io
import itertools
import math
import multiprocessing
import os
import pickle
import random
import struct
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from seekerdata.errors import ItemError
from seekerdata.pixels import Orientation, to_rgb
from seekerdata.video import (
    Clip,
    Frame,
    FrameCache,
    Frames,
    Video,
    VideoError,
    at,
    fit_size,
    fps_capped,
    uniform,
)
from tests.hard_videos import (
    AV1,
    FPS,
    REFUSED,
    USABLE,
    VFR_TIMES_S,
    VP9,
    X264,
    X265,
    Encoding,
    HardVideo,
    encode,
    number_in,
    picture,
    remux,
    set_matrix,
    steady,
)

INSIDE_S = 1e-3
"""Ask a little after a frame starts: Matroska rounds times to milliseconds."""
ZOO = Path(__file__).parents[3] / "shared" / "codec-zoo"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


def made(folder: Path, name: str, times_s: list[float], how: Encoding | None = None) -> Path:
    """The file of this name, made on first use."""
    path = folder / name
    if not path.exists():
        encode(path, times_s, how)
    return path


@pytest.fixture(scope="session")
def plain(folder: Path) -> Path:
    return made(folder, "plain_3_s.mp4", steady(3))


# Hard files: 28 read, 9 refused


def hard_file(hard: HardVideo, folder: Path) -> Path:
    path = folder / hard.file_name
    if not path.exists():
        hard.make(path)
    return path


WHOLE = [hard for hard in USABLE if hard.times_s is not None]
DAMAGED = [hard for hard in USABLE if hard.times_s is None]


def test_the_table_has_37_rows() -> None:
    assert (len(USABLE), len(REFUSED)) == (28, 9)
    assert len({hard.file_name for hard in USABLE + REFUSED}) == 37


@pytest.mark.parametrize("hard", WHOLE, ids=lambda hard: hard.file_name)
def test_a_hard_file_shows_the_right_picture_at_every_time(hard: HardVideo, folder: Path) -> None:
    assert hard.times_s is not None
    asked = [*(time_s + INSIDE_S for time_s in hard.times_s), -1.0, 99.0, 0.0]
    random.Random(0).shuffle(asked)
    frames = Video(hard_file(hard, folder)).frames(asked)
    for asked_s, frame in zip(asked, frames, strict=True):
        k = max(0, bisect.bisect_right(hard.times_s, asked_s) - 1)
        assert number_in(frame.rgb) == hard.first_number + k
        assert frame.time_s == pytest.approx(hard.times_s[k], abs=0.011 if hard.file_name.endswith("gif") else 1e-3)
    assert frames.packet_errors == frames.corrupt_frames == 0
    assert len({frame.rgb.shape for frame in frames}) == 1


@pytest.mark.parametrize("hard", WHOLE, ids=lambda hard: hard.file_name)
def test_a_frame_has_its_number_in_the_order_shown(hard: HardVideo, folder: Path) -> None:
    assert hard.times_s is not None
    asked = [*(time_s + INSIDE_S for time_s in hard.times_s), -1.0, 99.0]
    count = len(hard.times_s)
    assert Video(hard_file(hard, folder)).numbers(asked) == [*range(count), 0, count - 1]


@pytest.mark.parametrize("hard", WHOLE, ids=lambda hard: hard.file_name)
def test_a_hard_file_lasts_as_long_as_it_does(hard: HardVideo, folder: Path) -> None:
    assert hard.times_s is not None
    info = Video(hard_file(hard, folder)).info
    if len(hard.times_s) == 1:
        assert 0 < info.duration_s < 0.2
    else:
        # With B-frames and a variable rate FFmpeg takes the end in decode order, up to three frames early.
        step_s = hard.times_s[-1] - hard.times_s[-2]
        slack_s = 3 * step_s if hard.times_s == VFR_TIMES_S else 0.05
        assert info.duration_s == pytest.approx(hard.times_s[-1] + step_s, abs=slack_s)
        assert info.fps == pytest.approx(len(hard.times_s) / info.duration_s, rel=0.05)


@pytest.mark.parametrize("hard", DAMAGED, ids=lambda hard: hard.file_name)
def test_a_damaged_file_gives_what_it_has_and_says_what_is_broken(hard: HardVideo, folder: Path) -> None:
    asked = [k / FPS + INSIDE_S for k in range(4 * FPS)]
    frames = Video(hard_file(hard, folder)).frames(asked)
    assert frames.requested == len(frames) == len(asked)
    first_number = number_in(frames[0].rgb) - round(frames[0].time_s * FPS)
    sound = [frame for frame in frames if not frame.corrupt]
    right = [frame for frame in sound if number_in(frame.rgb) - first_number == round(frame.time_s * FPS)]
    assert len(right) >= 0.95 * len(sound)
    fresh = [frame for frame, asked_s in zip(frames, asked, strict=True) if asked_s - frame.time_s < 1 / FPS]
    assert len(fresh) >= hard.at_least * len(asked)
    assert frames.packet_errors or frames.corrupt_frames or frames.max_lag_s > 1


@pytest.mark.parametrize("hard", REFUSED, ids=lambda hard: hard.file_name)
def test_what_is_no_video_is_refused_with_its_cause(hard: HardVideo, folder: Path) -> None:
    path = hard_file(hard, folder)
    for read in (lambda video: video.info, lambda video: video.frames([0.0])):
        with pytest.raises(VideoError) as caught:
            read(Video(path))
        assert caught.value.code in hard.refused
        assert str(caught.value).startswith(f"{path}: ")


def gif_of(width: int, height: int) -> bytes:
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff" * 3
    return b"GIF89a" + screen + b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00\x3b"


def png() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 64)).save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "code", "cause"),
    [
        ("picture.mp4", png(), "unreadable", "a still image"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n", "unreadable", "a playlist"),
        ("join.mp4", b"ffconcat version 1.0\nfile '/etc/hostname'\n", "unreadable", "format"),
        ("words.txt", b"words\n" * 99, "unreadable", "format"),
        ("two\nlines.mp4", b"words", "unreadable", r"two\nlines.mp4"),
        ("bomb.gif", gif_of(20_000, 20_000), "too_corrupt", "no frame"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes, code: str, cause: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=cause.replace("\\", "\\\\")) as caught:
        _ = Video(tmp_path / name).info
    assert caught.value.code == code
    assert len(str(caught.value).splitlines()) == 1


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, code in (("none.mp4", "missing"), ("", "unreadable"), ("pipe.mp4", "unreadable")):
        with pytest.raises(VideoError, match=str(tmp_path)) as caught:
            Video(tmp_path / name).frames([0.0])
        assert caught.value.code == code
    with pytest.raises(VideoError, match="no such file"):
        _ = Video(tmp_path / "none.mp4").sha256


def test_a_picture_too_large_to_decode_is_refused(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seekerdata.media_file.MAX_FRAME_PIXELS", 128 * 96 - 1)
    with pytest.raises(VideoError, match="128x96") as caught:
        _ = Video(plain).info
    assert caught.value.code == "unsupported"


def test_an_error_survives_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(VideoError("missing", "a.mp4: no such file")))
    assert isinstance(error, ItemError)
    assert (error.code, str(error)) == ("missing", "a.mp4: no such file")


def test_nothing_is_written_to_the_terminal(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paths = [hard_file(hard, folder) for hard in DAMAGED + REFUSED]
    capfd.readouterr()
    for path in paths:
        with contextlib.suppress(VideoError):
            Video(path).frames([0.0, 2.0])
    assert capfd.readouterr() == ("", "")


# Any order of reading gives the same pixels as reading from the first frame to the last

OPEN_GOP = {**X264, "bf": "5", "x264-params": "scenecut=0:open-gop=1:b-pyramid=normal:b-adapt=0"}
LAYERS = {**X265, "x265-params": X265["x265-params"] + ":temporal-layers=3:b-pyramid=1"}
CODED = {
    "h264.mp4": Encoding(),
    "h264.mkv": Encoding(),
    "h264.ts": Encoding(),
    "h264.flv": Encoding(),
    "h264_open_gop.mp4": Encoding(options=OPEN_GOP),
    "h264_open_gop.ts": Encoding(options=OPEN_GOP),
    "h264_intra_refresh.mp4": Encoding(options={**X264, "x264-params": "intra-refresh=1"}),
    "h264_interlaced.mp4": Encoding(options={**X264, "x264-params": "tff=1"}),
    "h264_no_b.avi": Encoding(options={**X264, "bf": "0"}, clock=FPS),
    "hevc.mp4": Encoding(codec="libx265", options=X265),
    "hevc.ts": Encoding(codec="libx265", options=X265),
    "hevc_layers.mp4": Encoding(codec="libx265", options=LAYERS),
    "vp9.webm": Encoding(codec="libvpx-vp9", options=VP9),
    "av1.mkv": Encoding(codec="libsvtav1", options=AV1),
    "mpeg2.mpg": Encoding(codec="mpeg2video", options={"g": "15", "bf": "2"}, clock=FPS),
    "mpeg4.mp4": Encoding(codec="mpeg4", options={"g": "15", "bf": "2"}, clock=FPS),
    "prores.mov": Encoding(codec="prores_ks", pix_fmt="yuv422p10le", options={}, clock=FPS),
    "mjpeg.mov": Encoding(codec="mjpeg", pix_fmt="yuvj420p", options={}, clock=FPS),
}


def plain_decode(path: Path) -> list[tuple[int, bytes]]:
    """Tick and pixel hash of every frame, by the plainest PyAV loop."""
    import av

    shown = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            shown.append((frame.pts, hash_of(to_rgb(frame, (frame.width, frame.height), Orientation(0, False)))))
    return shown


def hash_of(rgb: np.ndarray) -> bytes:
    return hashlib.md5(rgb.tobytes(), usedforsecurity=False).digest()


def tick_and_start(path: Path) -> tuple[Fraction, int]:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        return Fraction(base.numerator, base.denominator), stream.start_time


THREADED = ("h264_open_gop.mp4", "hevc.mp4", "av1.mkv")


@pytest.mark.parametrize("batches", [9, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "threads"), [*((name, 1) for name in CODED), *((name, 2) for name in THREADED)])
def test_random_reads_equal_a_plain_decode(name: str, threads: int, batches: int, folder: Path) -> None:
    """Ten reads a batch."""
    path = made(folder, "coded_" + name, steady(4), CODED[name])
    shown = plain_decode(path)
    tick_s, start = tick_and_start(path)
    ticks = [tick for tick, _ in shown]
    assert len(ticks) == 4 * FPS
    draw = random.Random(name)
    for batch in range(batches):
        if batch % 3 == 0:
            wanted = [draw.randint(ticks[0] - 9, ticks[-1] + 9) for _ in range(10)]
        elif batch % 3 == 1:  # neighbours
            first = draw.randrange(len(ticks) - 10)
            wanted = ticks[first : first + 10]
        else:
            wanted = [draw.choice(ticks) for _ in range(10)]
        frames = Video(path, threads=threads).frames([float((tick - start) * tick_s) for tick in wanted])
        for tick, frame in zip(wanted, frames, strict=True):
            true_tick, pixels = shown[max(0, bisect.bisect_right(ticks, tick) - 1)]
            assert frame.time_s == float((true_tick - start) * tick_s)
            assert hash_of(frame.rgb) == pixels


@pytest.mark.parametrize("name", ["raw.h264", "b_frames.avi"])
def test_streams_without_times_are_numbered_in_the_order_shown(name: str, folder: Path) -> None:
    how = Encoding(clock=25, rate=25, container="h264" if name.endswith("h264") else None)
    if name.endswith("avi"):
        how = replace(how, codec="mpeg4", options={"g": "15", "bf": "2"})
    path = made(folder, "numbered_" + name, steady(4, 25), how)
    draw = random.Random(1)
    for _ in range(10):
        asked = [draw.uniform(0, 4) for _ in range(5)]
        for asked_s, frame in zip(asked, Video(path).frames(asked), strict=True):
            assert number_in(frame.rgb) == math.floor(asked_s * 25)
            assert frame.time_s == pytest.approx(math.floor(asked_s * 25) / 25)


def test_a_joined_stream_whose_clock_starts_over_reads_the_same_from_anywhere(folder: Path) -> None:
    parts = [folder / f"part_{k}.ts" for k in range(2)]
    for k, part in enumerate(parts):
        encode(part, steady(10, 5), Encoding(rate=5, options={**X264, "g": "10"}, first_number=50 * k))
    whole = folder / "clock_starts_over.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    video = Video(whole)
    assert video.info.duration_s == pytest.approx(20, abs=0.5)
    draw = random.Random(3)
    for count in (1, 1, 2, 5, 20):
        numbers = [draw.randrange(100) for _ in range(count)]
        frames = video.frames([number / 5 + 0.1 for number in numbers])
        assert [number_in(frame.rgb) for frame in frames] == numbers
        assert [frame.time_s for frame in frames] == pytest.approx([number / 5 for number in numbers], abs=0.01)


def test_long_jumps_without_an_index_land_right(folder: Path) -> None:
    path = made(folder, "slow.ts", steady(60, 5), Encoding(rate=5, options={**X264, "g": "37"}))
    draw = random.Random(2)
    for _ in range(20):
        numbers = [draw.randrange(300) for _ in range(3)]
        frames = Video(path).frames([number / 5 + 0.1 for number in numbers])
        assert [number_in(frame.rgb) for frame in frames] == numbers


@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4"])
def test_time_starts_with_the_video(folder: Path, suffix: str) -> None:
    path = made(folder, f"starts_late.{suffix}", steady(2), Encoding(start_s=7.5))
    frames = Video(path).frames([0.0, 1 + INSIDE_S])
    assert [number_in(frame.rgb) for frame in frames] == [0, FPS]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 1], abs=1e-3)


def test_the_order_of_the_times_and_doubles_are_kept(plain: Path) -> None:
    asked = [2.0, 0.5, 2.0, 1.0, 0.5]
    frames = Video(plain).frames(asked)
    assert [number_in(frame.rgb) for frame in frames] == [60, 15, 60, 30, 15]
    assert frames[1:3] == frames.frames[1:3]
    assert frames.times_s == asked


def test_the_time_of_a_frame_gives_that_frame(plain: Path) -> None:
    video = Video(plain)
    first = video.frames([k / 7 for k in range(21)])
    again = video.frames([frame.time_s for frame in first])
    assert [frame.time_s for frame in again] == [frame.time_s for frame in first]
    assert all(frame.time_s <= asked for asked, frame in zip(first.times_s, first, strict=True))


def test_two_reads_give_the_same_bytes(plain: Path) -> None:
    reads = [Video(plain).frames([0.3, 1.7], max_pixels=5000) for _ in range(2)]
    for one, other in zip(*reads, strict=True):
        assert one.rgb.tobytes() == other.rgb.tobytes()


def test_no_times_give_no_frames_and_wild_times_are_a_bug(plain: Path) -> None:
    assert list(Video(plain).frames([])) == []
    for wild in (math.nan, math.inf):
        with pytest.raises(ValueError, match="finite"):
            Video(plain).frames([0.0, wild])


# Size, orientation, colour


def test_pictures_shrink_but_never_grow(plain: Path) -> None:
    small, same = (Video(plain).frames([1.0], max_pixels=limit)[0] for limit in (3000, 10**9))
    assert small.rgb.shape == (47, 63, 3)
    assert same.rgb.shape == (96, 128, 3)
    assert number_in(small.rgb) == number_in(same.rgb) == 30


@pytest.mark.parametrize(
    ("size_wh", "max_pixels", "expected"),
    [
        ((1280, 720), 112_896, (448, 252)),
        ((720, 1280), 112_896, (252, 448)),
        ((1920, 1080), None, (1920, 1080)),
        ((100, 100), 10_000, (100, 100)),
        ((641, 361), 100_000, (421, 237)),
        ((10_000, 2), 100, (100, 1)),
        ((5, 4), 1, (1, 1)),
    ],
)
def test_fit_size(size_wh: tuple[int, int], max_pixels: int | None, expected: tuple[int, int]) -> None:
    assert fit_size(size_wh, max_pixels) == expected


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 10**7))
def test_a_fitted_size_is_within_the_limit_and_keeps_the_aspect(width: int, height: int, max_pixels: int) -> None:
    new_width, new_height = fit_size((width, height), max_pixels)
    assert 1 <= new_width <= width and 1 <= new_height <= height
    assert new_width * new_height <= max_pixels
    if min(new_width, new_height) > 1 and (new_width, new_height) != (width, height):
        scale = math.sqrt(max_pixels / (width * height))
        assert abs(new_width - width * scale) <= 1 and abs(new_height - height * scale) <= 1


MATRICES = {  # a, b, c, d of (x, y) -> (ax + cy, bx + dy), and what that does to an array
    (1, 0, 0, 1): lambda upright: upright,
    (0, 1, -1, 0): lambda upright: np.rot90(upright, -1),
    (-1, 0, 0, -1): lambda upright: np.rot90(upright, 2),
    (0, -1, 1, 0): np.rot90,
    (-1, 0, 0, 1): lambda upright: upright[:, ::-1],
    (1, 0, 0, -1): lambda upright: upright[::-1],
    (0, 1, 1, 0): lambda upright: upright.swapaxes(0, 1),
    (0, -1, -1, 0): lambda upright: upright.swapaxes(0, 1)[::-1, ::-1],
}


@pytest.mark.parametrize("matrix", MATRICES, ids=str)
def test_a_display_matrix_is_applied(matrix: tuple[int, int, int, int], tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    encode(path, steady(0.2), Encoding(first_number=0x1234))
    as_stored = Video(path).frames([0.1])[0].rgb
    set_matrix(path, *matrix)
    video = Video(path)
    expected = MATRICES[matrix](as_stored)
    assert np.array_equal(video.frames([0.1])[0].rgb, expected)
    assert video.info.size_wh == (expected.shape[1], expected.shape[0])
    wanted = np.rot90(as_stored[:, ::-1] if video.info.mirrored else as_stored, video.info.rotation_deg // 90)
    assert np.array_equal(wanted, expected)


COLOURS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
PATCHES = np.array([(16, 128, 128), (235, 128, 128), (81, 90, 240), (145, 54, 34), (41, 240, 110), (200, 100, 150)])
"""Y, U, V of flat patches in 8-bit studio range: black, white, near the primaries, one pastel."""


def rgb_by_hand(yuv: np.ndarray, matrix: str, full: bool, bits: int) -> np.ndarray:
    """ITU-R formula: (..., 3) samples to 0..255 floats."""
    red, blue = COLOURS[matrix]
    one = 2 ** (bits - 8)
    luma, chroma = (2**bits - 1, 2**bits - 1) if full else (219 * one, 224 * one)
    y = (yuv[..., 0] - (0 if full else 16 * one)) / luma
    u, v = ((yuv[..., k] - 128 * one) / chroma for k in (1, 2))
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([r, g, b], -1) * 255, 0, 255)


@pytest.mark.parametrize(
    ("tag", "full", "bits", "size_wh", "matrix"),
    [
        (1, False, 8, (192, 64), "bt709"),
        (1, True, 8, (192, 64), "bt709"),
        (5, False, 8, (192, 64), "bt601"),
        (6, True, 8, (192, 64), "bt601"),
        (9, False, 10, (192, 64), "bt2020"),
        (1, False, 10, (192, 64), "bt709"),
        (None, False, 8, (192, 64), "bt601"),
        (None, False, 8, (192, 720), "bt709"),
        (None, False, 10, (192, 64), "bt601"),
    ],
)
def test_colours_are_those_of_the_formula(
    tmp_path: Path, tag: int | None, full: bool, bits: int, size_wh: tuple[int, int], matrix: str
) -> None:
    import av

    path, one = tmp_path / "patches.mp4", 2 ** (bits - 8)
    width, height = size_wh
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"qp": "0", "preset": "ultrafast"})
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p" if bits == 8 else "yuv420p10le"
        if tag is not None:
            stream.codec_context.colorspace = tag
            stream.codec_context.color_range = 2 if full else 1
        frame = av.VideoFrame(width, height, stream.pix_fmt)
        for plane, values in zip(frame.planes, PATCHES.T * one, strict=True):
            row = np.repeat(values, plane.width // len(PATCHES))
            samples = np.zeros((plane.height, plane.line_size // (1 if bits == 8 else 2)), "u1" if bits == 8 else "<u2")
            samples[:, : len(row)] = row
            plane.update(samples.tobytes())
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    rgb = Video(path).frames([0.0])[0].rgb
    middles = rgb[height // 2, width // 12 :: width // 6].astype(float)
    assert np.abs(middles - rgb_by_hand(PATCHES * one, matrix, full, bits)).max() <= 1
    shrunk = Video(path).frames([0.0], max_pixels=width * height // 4)[0].rgb
    assert np.abs(shrunk[len(shrunk) // 2, width // 24 :: width // 12].astype(float) - middles).max() <= 1


def test_a_colour_matrix_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    ycgco = Encoding(context={"colorspace": 8})
    encode(tmp_path / "ycgco.mp4", steady(0.1), ycgco)
    with pytest.raises(VideoError, match="colour matrix 8") as caught:
        Video(tmp_path / "ycgco.mp4").frames([0.0])
    assert caught.value.code == "unsupported"


@pytest.mark.parametrize(
    ("name", "matrix", "full", "bits"),
    [
        ("bt709_full_range.mp4", "bt709", True, 8),
        ("h264_10bits.mp4", "bt601", False, 10),
        ("h265_10bits.mp4", "bt601", False, 10),
        ("h265_video.mp4", "bt601", False, 8),
    ],
)
def test_real_files_have_the_colours_of_their_planes(name: str, matrix: str, full: bool, bits: int) -> None:
    """All pixels, with chroma between the samples where H.264 puts it: left in the row, midway between the lines."""
    import av

    if not (ZOO / name).exists():
        pytest.skip("no folder ../shared/codec-zoo beside the repository")
    if int(av.__version__.split(".")[0]) < 17:
        pytest.skip("av 16 takes chroma as midway between the columns")
    with av.open(str(ZOO / name)) as container:
        frame = next(container.decode(video=0))
    y, u, v = (
        np.frombuffer(bytes(plane), "u1" if bits == 8 else "<u2").reshape(plane.height, -1)[:, : plane.width]
        for plane in frame.planes
    )

    def grown(chroma: np.ndarray) -> np.ndarray:
        rows = np.clip((np.arange(y.shape[0]) - 0.5) / 2, 0, len(chroma) - 1)
        columns = np.clip(np.arange(y.shape[1]) / 2, 0, chroma.shape[1] - 1)
        above, left = rows.astype(int), columns.astype(int)
        below, right = np.minimum(above + 1, len(chroma) - 1), np.minimum(left + 1, chroma.shape[1] - 1)
        down, across = (rows - above)[:, None], columns - left
        upper = chroma[above][:, left] * (1 - across) + chroma[above][:, right] * across
        lower = chroma[below][:, left] * (1 - across) + chroma[below][:, right] * across
        return upper * (1 - down) + lower * down

    yuv = np.stack([y.astype(float), grown(u), grown(v)], -1)
    rgb = Video(ZOO / name).frames([0.0])[0].rgb
    assert np.abs(rgb - rgb_by_hand(yuv, matrix, full, bits)).max() <= 2


def test_a_video_is_described(folder: Path) -> None:
    by_name = {hard.file_name: hard for hard in USABLE}

    def info(name: str):  # type: ignore[no-untyped-def]
        return Video(hard_file(by_name[name], folder)).info

    hdr = info("hdr10.mp4")
    assert (hdr.codec, hdr.pixel_format, hdr.bit_depth, hdr.hdr) == ("hevc", "yuv420p10le", 10, True)
    assert (hdr.color_matrix, hdr.color_range, hdr.color_transfer) == ("bt2020nc", "limited", "pq")
    assert (info("plain.mp4").hdr, info("plain.mp4").color_matrix) == (False, "unspecified")
    assert (info("wide_pixels.mp4").sar, info("wide_pixels.mp4").size_wh) == (2.0, (128, 96))
    assert (info("rotated.mp4").rotation_deg, info("rotated.mp4").size_wh) == (270, (96, 128))
    assert (info("av1.mp4").codec, info("vp9.webm").codec, info("animated.gif").codec) == ("av1", "vp9", "gif")
    assert info("yuv444_641x361.mp4").size_wh == (641, 361)
    changing = Video(hard_file(by_name["size_changes.ts"], folder)).frames([0.5, 3.5])
    assert changing.sizes_wh == {(128, 96), (96, 128)}


def test_the_hash_is_that_of_the_bytes(plain: Path) -> None:
    assert Video(plain).sha256 == hashlib.sha256(plain.read_bytes()).hexdigest()


def test_a_cover_picture_is_not_the_video(folder: Path, tmp_path: Path) -> None:
    import av

    path = tmp_path / "with_cover.mp4"
    with av.open(str(made(folder, "plain_3_s.mp4", steady(3)))) as old, av.open(str(path), "w") as new:
        cover = new.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = 0x400  # attached picture
        copy = new.add_stream_from_template(old.streams.video[0])
        frame = av.VideoFrame.from_ndarray(picture(7, (64, 64)), format="rgb24").reformat(format="yuvj420p")
        new.mux(cover.encode(frame) + cover.encode(None))
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                new.mux(packet)
    assert [number_in(frame.rgb) for frame in Video(path).frames([0.0, 2.0])] == [0, 60]


# Sampling


@pytest.mark.parametrize(
    ("preset", "start_s", "end_s", "expected"),
    [
        (uniform(3), 0, 10, [0, 5, 10]),
        (uniform(1), 2, 10, [2]),
        (uniform(2), 4, 4, [4, 4]),
        (fps_capped(1, 256), 0, 4, [0, 1, 2, 3]),
        (fps_capped(1, 256), 0, 3.5, [0, 1, 2, 3]),
        (fps_capped(1, 4), 0, 8, [0, 2, 4, 6]),
        (fps_capped(2, 100), 10, 12, [10, 10.5, 11, 11.5]),
        (fps_capped(1, 64, 4), 5, 7, [5, 5.5, 6, 6.5]),
        (fps_capped(1, 64, 4), 5, 5, [5, 5, 5, 5]),
        (fps_capped(10, 100), 0, 0.3, [0, 0.1, 0.2]),
        (at([3, 1.5, 3]), 0, 1, [3, 1.5, 3]),
    ],
)
def test_sampling(preset, start_s: float, end_s: float, expected: list[float]) -> None:
    assert preset.times(start_s, end_s) == pytest.approx(expected)


@given(
    st.floats(0, 10_000),
    st.floats(0, 10_000),
    st.floats(0.01, 60),
    st.integers(1, 64),
    st.integers(0, 300),
)
def test_capped_sampling_stays_within_its_counts_and_its_span(
    start_s: float, span_s: float, fps: float, min_frames: int, more: int
) -> None:
    times = fps_capped(fps, min_frames + more, min_frames).times(start_s, start_s + span_s)
    assert min_frames <= len(times) <= min_frames + more
    assert times[0] == start_s
    assert times == sorted(times)
    assert times[-1] < start_s + span_s or span_s < 1e-6


@pytest.mark.parametrize(
    "make",
    [
        lambda: uniform(0),
        lambda: fps_capped(0, 10),
        lambda: fps_capped(math.nan, 10),
        lambda: fps_capped(1, 3, 4),
        lambda: fps_capped(1, 3, 0),
        lambda: uniform(3).times(2, 1),
        lambda: fps_capped(1, 3).times(0, math.inf),
        lambda: fit_size((4, 4), 0),
        lambda: FrameCache(-1),
    ],
)
def test_impossible_settings_are_told(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="got"):
        make()


def test_a_clip_keeps_the_time_of_the_video(plain: Path) -> None:
    video = Video(plain)
    clip = Clip(video, 1.0, 2.0)
    frames = clip.frames(fps_capped(2, 64), 5000)
    assert [number_in(frame.rgb) for frame in frames] == [30, 45]
    assert [frame.time_s for frame in frames] == pytest.approx([1.0, 1.5])
    whole = video.clip()
    assert (whole.start_s, whole.end_s) == (0.0, video.info.duration_s)


# Sharing, processes, limits


def grey(side: int) -> Frame:
    return Frame(0.0, np.zeros((side, side, 3), np.uint8))


def test_a_cache_drops_what_was_used_least_recently() -> None:
    cache = FrameCache(3 * 10 * 10 * 3)
    for key in "abc":
        cache.put(key, grey(10))
    assert cache.get("a") is not None
    cache.put("d", grey(10))
    assert cache.get("b") is None
    assert all(cache.get(key) is not None for key in "acd")
    cache.put("large", grey(100))
    assert cache.get("large") is None
    cache.put("a", grey(5))
    assert (len(cache), cache.held_bytes) == (3, 2 * 300 + 75)


def test_a_group_of_readers_decodes_once(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = itertools.count()
    decoder_of = Video._decoder
    monkeypatch.setattr(Video, "_decoder", lambda video: (next(opened), decoder_of(video))[1])
    cache, reads = FrameCache(), {}

    def read(k: int) -> None:
        reads[k] = Video(plain, cache=cache).frames([0.5, 1.0, 0.5], max_pixels=5000)

    readers = [threading.Thread(target=read, args=(k,)) for k in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert next(opened) == 1
    assert all(reads[k][0] is reads[0][0] for k in range(8))
    assert len(cache) == 2
    other = Video(plain, cache=cache).frames([0.5])
    assert other[0].rgb.shape != reads[0][0].rgb.shape


def test_readers_of_other_frames_do_not_wait_and_one_that_fails_fails_alone() -> None:
    cache, meet, found = FrameCache(), threading.Barrier(2), dict[str, object]()

    def decode(keys: list[str]) -> dict[str, Frame]:
        if meet.wait(timeout=60) >= 0 and "b" in keys:
            raise VideoError("unreadable", "b")
        return dict.fromkeys(keys, grey(10))

    def read(name: str) -> None:
        try:
            found[name] = cache.share(name, decode)
        except VideoError as error:
            found[name] = error

    readers = [threading.Thread(target=read, args=(name,)) for name in ("a", "b")]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert list(found["a"]) == ["a"] and isinstance(found["b"], VideoError)
    assert list(cache.share("bc", lambda keys: dict.fromkeys(keys, grey(10)))) == ["b", "c"]
    assert (cache.misses, cache.hits, len(cache)) == (4, 0, 3)


def test_a_changed_file_is_another_video_to_a_cache(tmp_path: Path) -> None:
    path, cache = tmp_path / "changing.mp4", FrameCache()
    for first_number in (5, 9):
        encode(path, steady(0.1), Encoding(first_number=first_number))
        os.utime(path, (first_number, first_number))
        assert number_in(Video(path, cache=cache).frames([0.0])[0].rgb) == first_number


def test_pixels_are_read_only(plain: Path) -> None:
    frame = Video(plain).frames([0.0])[0]
    with pytest.raises(ValueError, match="read-only"):
        frame.rgb[0, 0, 0] = 1
    assert frame.image.size == (128, 96)
    assert np.array_equal(np.asarray(frame.image), frame.rgb)


def read_elsewhere(video: Video) -> str:
    return hashlib.sha256(video.frames([0.5, 2.5])[1].rgb.tobytes()).hexdigest()


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_video_goes_to_another_process(method: str, plain: Path) -> None:
    video = Video(plain, cache=FrameCache(), threads=2)
    here = read_elsewhere(video)
    context = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        assert pool.apply_async(read_elsewhere, (video,)).get(timeout=60) == here


def test_the_budget_is_kept(plain: Path) -> None:
    with pytest.raises(VideoError, match="time budget") as caught:
        Video(plain, budget_s=0.0).frames([2.9])
    assert caught.value.code == "decode_timeout"


@pytest.fixture(scope="session")
def large(folder: Path) -> Path:
    return made(folder, "large.mp4", steady(1), Encoding(size_wh=(640, 360)))


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth_mb(path: Path, warm_up: int, opens: int) -> float:
    """Growth of the process, without the garbage collector: nothing may wait for it, a picture is large."""
    gc.disable()
    try:
        for k in range(warm_up + opens):
            if k == warm_up:
                before = rss_mb()
            Video(path).frames([0.1, 0.2], max_pixels=5000)
        return rss_mb() - before
    finally:
        gc.enable()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
def test_memory_and_file_handles_stay_flat(large: Path, folder: Path) -> None:
    broken = hard_file(REFUSED[0], folder)
    handles = len(list(Path("/proc/self/fd").iterdir()))
    assert growth_mb(large, 15, 25) < 10  # a leaked container would be 2 MB, a leaked picture 0.4
    for _ in range(20):
        with pytest.raises(VideoError):
            Video(broken).frames([0.0])
    assert len(list(Path("/proc/self/fd").iterdir())) == handles


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory from /proc")
def test_memory_stays_flat_over_1000_opens(plain: Path) -> None:
    assert growth_mb(plain, 200, 1000) < 15


def test_an_edit_list_may_cut_between_key_frames(folder: Path, tmp_path: Path) -> None:
    whole = made(folder, "plain_3_s.mp4", steady(3))
    remux(whole, tmp_path / "cut.mp4", cut_s=1.9, key_s=1.0)
    frames = Video(tmp_path / "cut.mp4").frames([0.0, 0.5, 99.0])
    assert [number_in(frame.rgb) for frame in frames] == [57, 72, 89]
    assert isinstance(frames, Frames)
