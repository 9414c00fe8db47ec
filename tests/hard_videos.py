"""Hard videos: short files that readers get wrong, each with the truth of what it shows and when, or why it is refused.

Every picture carries its number as 4 x 4 light and dark blocks, so that a test can read back which picture it got.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

GRID, FPS, SIZE_WH = 4, 30, (128, 96)
CLOCK = 90_000
"""Ticks per second that the maker counts in."""
X264 = {"preset": "veryfast", "g": "30", "bf": "3", "crf": "23", "x264-params": "scenecut=0"}
X265 = {
    "preset": "ultrafast",
    "g": "30",
    "x265-params": "log-level=none:bframes=3:b-adapt=0:scenecut=0:pools=1",
}
VP9 = {"deadline": "good", "cpu-used": "5", "g": "30", "lag-in-frames": "12", "auto-alt-ref": "1"}
AV1 = {"preset": "11", "g": "30"}
os.environ.setdefault("SVT_LOG", "0")


def picture(number: int, size_wh: tuple[int, int]) -> np.ndarray:
    """Gray noise over the bits of `number`: uint8 (H, W, 3)."""
    width, height = size_wh
    noise = np.random.default_rng(number).integers(0, 48, (height, width), dtype=np.uint8)
    rows = np.arange(height) * GRID // height
    columns = np.arange(width) * GRID // width
    bits = (number >> (rows[:, None] * GRID + columns[None, :])) & 1
    return np.repeat((noise + bits * 190).astype(np.uint8)[..., None], 3, axis=2)


def number_in(rgb: np.ndarray) -> int:
    """Read the number back from the picture at any size: is the middle of each block light or dark?"""
    height, width = rgb.shape[:2]
    rows = [slice(int(height * (k + 0.25) / GRID), int(height * (k + 0.75) / GRID)) for k in range(GRID)]
    columns = [slice(int(width * (k + 0.25) / GRID), int(width * (k + 0.75) / GRID)) for k in range(GRID)]
    blocks = [rgb[row, column].mean() for row in rows for column in columns]
    return sum(int(mean > 118) << bit for bit, mean in enumerate(blocks))


def steady(seconds: float, fps: float = FPS) -> list[float]:
    """Times of a constant frame rate."""
    return [k / fps for k in range(round(seconds * fps))]


@dataclass(frozen=True)
class Encoding:
    """How `encode` writes. `turns`: the stored picture is the upright one turned clockwise this often by 90 degrees."""

    codec: str = "libx264"
    size_wh: tuple[int, int] = SIZE_WH
    pix_fmt: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: dict(X264))
    container: str | None = None
    container_options: dict[str, str] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    start_s: float = 0.0
    first_number: int = 0
    turns: int = 0
    rate: int = FPS
    clock: int = CLOCK


def encode(target: Path | io.RawIOBase, times_s: Sequence[float], how: Encoding | None = None) -> None:
    """Write pictures first_number, first_number + 1, ... shown at these times."""
    import av

    how = how or Encoding()
    av.logging.set_level(av.logging.PANIC)
    where: Any = str(target) if isinstance(target, Path) else target
    with av.open(where, "w", format=how.container, options=how.container_options) as container:
        stream = container.add_stream(how.codec, rate=how.rate, options=how.options)
        stream.width, stream.height = how.size_wh
        stream.pix_fmt = how.pix_fmt
        context = stream.codec_context
        context.time_base, context.thread_count = Fraction(1, how.clock), 1
        for name, value in how.context.items():
            setattr(context, name, value)
        upright_wh = how.size_wh[::-1] if how.turns % 2 else how.size_wh
        ticks = [round((how.start_s + time_s) * how.clock) for time_s in times_s]
        lasting = {tick: after - tick for tick, after in itertools.pairwise(ticks)}

        def mux(frame: Any) -> None:
            for packet in stream.encode(frame):
                packet.duration = lasting.get(packet.pts, how.clock // how.rate)
                container.mux(packet)

        for k, tick in enumerate(ticks):
            pixels = np.rot90(picture(how.first_number + k, upright_wh), -how.turns)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(format=how.pix_fmt)
            frame.pts, frame.time_base = tick, context.time_base
            mux(frame)
        if not times_s:
            container.start_encoding()
        mux(None)


def remux(source: Path, target: Path, *, cut_s: float = 0.0, key_s: float = 0.0) -> None:
    """Copy the packets from the key frame at `key_s` on, `cut_s` becoming zero: MP4 hides the rest by an edit list."""
    import av

    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        offset = round(cut_s / stream.time_base)
        for packet in old.demux(stream):
            if packet.dts is not None and packet.pts * stream.time_base >= key_s - 1e-6:
                packet.pts, packet.dts, packet.stream = packet.pts - offset, packet.dts - offset, copy
                new.mux(packet)


def write_audio(target: Path, *, container: str | None = None, cover: bool = False) -> None:
    """One second of silence, with a cover picture on request."""
    import av

    with av.open(str(target), "w", format=container) as out:
        audio = out.add_stream("aac", rate=16_000)
        audio.layout = "mono"
        image = out.add_stream("mjpeg", rate=1) if cover else None
        if image is not None:
            image.width, image.height, image.pix_fmt = 64, 64, "yuvj420p"
            image.disposition = 0x400  # attached picture
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.pts = 16_000, 0
        if image is not None:
            frame = av.VideoFrame.from_ndarray(picture(7, (64, 64)), format="rgb24")
            out.mux(image.encode(frame.reformat(format="yuvj420p")) + image.encode(None))
        out.mux(audio.encode(silence) + audio.encode(None))


class Pipe(io.RawIOBase):
    """A place to write that cannot seek, so that the muxer never comes back to fill in the duration."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Write the display matrix into an MP4 with one track."""
    data = path.read_bytes()
    matrix = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(patched(data, data.index(b"tkhd") + 44, matrix))


def _faststart(path: Path, seconds: float = 4.0) -> bytes:
    encode(path, steady(seconds), Encoding(container_options={"movflags": "faststart"}))
    return path.read_bytes()


def _truncated(path: Path) -> None:
    data = _faststart(path)
    path.write_bytes(data[: len(data) * 46 // 100])


def _zero_block(path: Path) -> None:
    data = _faststart(path)
    third = len(data) // 3
    path.write_bytes(patched(data, third, bytes(third)))


def _bit_rot(path: Path) -> None:
    data = bytearray(_faststart(path))
    draw = random.Random(3)
    first = bytes(data).index(b"mdat") + 3000
    for _ in range(40):
        data[draw.randrange(first, len(data))] = draw.randrange(256)
    path.write_bytes(data)


def _damaged_moov(path: Path) -> None:
    """The list of key frames is gone, so that every packet claims to be one; the header's duration is wrong."""
    data = _faststart(path)
    data = patched(data, data.index(b"stss"), b"xxxx")
    path.write_bytes(patched(data, data.index(b"mvhd") + 20, b"\xff\xff\xff\xff"))


def _no_moov(path: Path) -> None:
    encode(path, steady(2))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])


def _no_duration(path: Path) -> None:
    pipe = Pipe()
    encode(pipe, steady(3), Encoding(container="matroska"))
    path.write_bytes(pipe.data)


def _edit_list(path: Path) -> None:
    whole = path.with_name("whole_" + path.name)
    encode(whole, steady(4))
    remux(whole, path, cut_s=1.3, key_s=1.0)


def _ts_cut_at_front(path: Path) -> None:
    encode(path, steady(4))
    data = path.read_bytes()
    path.write_bytes(data[len(data) * 2 // 5 + 77 :])


def _joined_ts(path: Path, *, second: Encoding) -> None:
    encode(path, steady(2))
    tail = path.with_name("tail_" + path.name)
    encode(tail, steady(2), second)
    path.write_bytes(path.read_bytes() + tail.read_bytes())


def _rotated(path: Path) -> None:
    encode(path, steady(2), Encoding(turns=3))
    set_matrix(path, 0, 1, -1, 0)  # as phones write it: turn clockwise to see it upright


def _renamed(path: Path, make: Callable[[Path], None], suffix: str) -> None:
    other = path.with_suffix(suffix)
    make(other)
    other.rename(path)


@dataclass(frozen=True)
class HardVideo:
    """One hard file.

    Attributes:
        file_name: how it is called on disk.
        make: writes it to a path.
        times_s: when pictures first_number, first_number + 1, ... come on screen; None where damage decides.
        refused: the codes an honest reader may refuse it with; empty if it must be read.
        at_least: share of the requests of a damaged file that must give a picture with its own true time.
    """

    file_name: str
    make: Callable[[Path], object]
    times_s: list[float] | None = None
    first_number: int = 0
    refused: tuple[str, ...] = ()
    at_least: float = 1.0


def _plain(file_name: str, times_s: list[float], how: Encoding | None = None) -> HardVideo:
    return HardVideo(file_name, lambda path: encode(path, times_s, how), times_s)


LATER_PORTRAIT = Encoding(size_wh=(96, 128), start_s=2 + 2 / FPS, first_number=60)
"""Two frames on, because the muxer moves a stream that starts at zero by its B-frame delay."""
VFR_TIMES_S = [*steady(1), *(1 + k / 3 for k in range(9))]
HDR10 = {"colorspace": 9, "color_trc": 16, "color_primaries": 9, "color_range": 1}
ONE_GOP = {**X264, "g": "100000"}

USABLE = [
    _plain("plain.mp4", steady(3)),
    _plain("hevc.mp4", steady(3), Encoding(codec="libx265", options=X265)),
    _plain("vp9.webm", steady(3), Encoding(codec="libvpx-vp9", options=VP9)),
    _plain("av1.mp4", steady(3), Encoding(codec="libsvtav1", options=AV1)),
    _plain("hdr10.mp4", steady(2), Encoding(codec="libx265", pix_fmt="yuv420p10le", options=X265, context=HDR10)),
    _plain("yuv444_641x361.mp4", steady(0.5), Encoding(size_wh=(641, 361), pix_fmt="yuv444p")),
    _plain("vfr.mp4", VFR_TIMES_S),
    _plain("fps_240.mp4", steady(0.5, 240), Encoding(rate=240)),
    _plain("uhd_4k.mp4", steady(0.1), Encoding(size_wh=(3840, 2160), options={"preset": "ultrafast"})),
    _plain('naïve 视频 🎬 it\'s "100%" #1?.mp4', steady(1)),
    HardVideo("truncated.mp4", _truncated, at_least=0.4),
    HardVideo("zero_block.mp4", _zero_block, at_least=0.5),
    HardVideo("bit_rot.mp4", _bit_rot, at_least=0.6),
    HardVideo("damaged_moov.mp4", _damaged_moov, steady(4)),
    HardVideo("no_duration.mkv", _no_duration, steady(3)),
    HardVideo("edit_list.mp4", _edit_list, steady(2.7), first_number=39),
    _plain("transport.ts", steady(3)),
    HardVideo("ts_cut_at_front.ts", _ts_cut_at_front, at_least=0.6),
    HardVideo(
        "size_changes.ts",
        lambda path: _joined_ts(path, second=LATER_PORTRAIT),
        steady(4),
    ),
    HardVideo(
        "clock_falls_back.ts",
        lambda path: _joined_ts(path, second=Encoding(first_number=60)),
        steady(4),
    ),
    HardVideo("rotated.mp4", _rotated, steady(2)),
    _plain("tiny_16x16.mp4", steady(2), Encoding(size_wh=(16, 16))),
    _plain("raw.h264", steady(2, 25), Encoding(container="h264", rate=25, clock=25)),
    _plain("animated.gif", steady(1, 25), Encoding(codec="gif", pix_fmt="gray", options={}, rate=25, clock=25)),
    _plain("fragmented.mp4", steady(3), Encoding(container_options={"movflags": "frag_keyframe+empty_moov"})),
    _plain("one_frame.mp4", [0.0]),
    _plain("wide_pixels.mp4", steady(1), Encoding(context={"sample_aspect_ratio": Fraction(2, 1)})),
    _plain("one_gop.mp4", steady(4), Encoding(options=ONE_GOP)),
]
"""28 that an honest reader reads, whole or in part."""

REFUSED = [
    HardVideo("no_moov.mp4", _no_moov, refused=("unreadable",)),
    HardVideo("empty.mp4", lambda path: path.write_bytes(b""), refused=("unreadable",)),
    HardVideo("text.mp4", lambda path: path.write_text("no video, only words\n" * 99), refused=("unreadable",)),
    HardVideo(
        "page.mp4",
        lambda path: path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>"),
        refused=("unreadable",),
    ),
    HardVideo(
        "random_bytes.mp4",
        lambda path: path.write_bytes(random.Random(1).randbytes(100_000)),
        refused=("unreadable", "no_video_stream"),
    ),
    HardVideo("audio_only.m4a", write_audio, refused=("no_video_stream",)),
    HardVideo(
        "audio_renamed.mp4",
        lambda path: _renamed(path, write_audio, ".m4a"),
        refused=("no_video_stream",),
    ),
    HardVideo(
        "zero_duration.mp4",
        lambda path: encode(path, []),
        refused=("no_frames", "no_video_stream", "unreadable"),
    ),
    HardVideo(
        "cover_only.m4a", lambda path: write_audio(path, container="mp4", cover=True), refused=("no_video_stream",)
    ),
]
"""9 that it refuses."""
