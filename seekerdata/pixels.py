"""Pixels: one decoded picture becomes upright RGB of the wanted size, in the colours the stream means.

Colour conversion and scaling are one deterministic pass of FFmpeg's swscale: same picture, same bytes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_MATRIX_NAMES = {
    0: "rgb", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m",
    8: "ycgco", 9: "bt2020nc", 10: "bt2020c",
}  # fmt: skip
_SWS_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""AVColorSpace of the stream -> SWS_CS_* of swscale."""
_UNTAGGED = (0, 2, 3)  # RGB cannot be meant of YUV
_SWS_BT709, _SWS_BT601 = 1, 5
_PAL_HEIGHT, _HD_WIDTH = 576, 1280
_RANGE_NAMES = {0: "unspecified", 1: "limited", 2: "full"}
_TRANSFER_NAMES = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 8: "linear", 13: "srgb",
    14: "bt2020-10", 15: "bt2020-12", 16: "pq", 18: "hlg",
}  # fmt: skip
HDR_TRANSFERS = ("pq", "hlg")
_LIMITED, _FULL = 1, 2
_SWS_BILINEAR, _SWS_BICUBIC = 2, 4
_SWS_EXACT = 0x2000 | 0x40000 | 0x80000
"""Full chroma, accurate rounding, bit exact: without them white comes out as 253 and machines differ."""


def fit_size(size_wh: tuple[int, int], max_pixels: int | None) -> tuple[int, int]:
    """The largest size with the same aspect and at most `max_pixels` pixels; never larger than `size_wh`.

    Sides are rounded down, so that w * h <= max_pixels holds exactly; no side falls below 1.

    Args:
        size_wh: width and height in pixels.
        max_pixels: pixels allowed, or None for no limit.

    Raises:
        ValueError: `max_pixels` is below 1.
    """
    width, height = size_wh
    if max_pixels is None or width * height <= max_pixels:
        return width, height
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be at least 1, got {max_pixels}")
    new_width = max(1, math.isqrt(max_pixels * width // height))
    new_height = max(1, math.isqrt(max_pixels * height // width))
    # A side held up at 1 may leave too much for the other one.
    return min(new_width, max_pixels), min(new_height, max_pixels)


class Orientation(NamedTuple):
    """How a stored picture becomes upright: mirrored left to right if so marked, then turned counter-clockwise."""

    quarter_turns: int
    mirrored: bool

    def size(self, size_wh: tuple[int, int]) -> tuple[int, int]:
        """The size a picture has after it is turned (or had before)."""
        return (size_wh[1], size_wh[0]) if self.quarter_turns % 2 else size_wh

    def upright(self, pixels: np.ndarray) -> np.ndarray:
        """The picture turned upright, (H, W, ...)."""
        return np.rot90(pixels[:, ::-1] if self.mirrored else pixels, self.quarter_turns)


_ORIENTATIONS = {  # axes swapped, then flipped left-right, then top-down
    (False, False, False): Orientation(0, False),
    (True, False, True): Orientation(1, False),
    (False, True, True): Orientation(2, False),
    (True, True, False): Orientation(3, False),
    (False, True, False): Orientation(0, True),
    (True, False, False): Orientation(1, True),
    (False, False, True): Orientation(2, True),
    (True, True, True): Orientation(3, True),
}


def orientation_of(frame: VideoFrame) -> Orientation:
    """Orientation from the display matrix that the container attaches; upright if there is none.

    The matrix (a b u; c d v; x y w) sends (x, y) to (ax + cy, bx + dy); other angles go to the nearest quarter turn.
    PyAV ties a frame whose side data is looked at into a cycle that waits for the garbage collector, so a tiny copy of
    the frame is asked.
    """
    matrix: dict[str, Any] = {} if frame.format.is_rgb else {"src_colorspace": _SWS_BT601, "dst_colorspace": _SWS_BT601}
    tiny = frame.reformat(width=2, height=2, format="gray", **matrix)
    data: Any = tiny.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation(0, False)
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    swapped = abs(b) > abs(a)
    to_x, to_y = (c, b) if swapped else (a, d)
    return _ORIENTATIONS[swapped, to_x < 0, to_y < 0]


def color_of(frame: VideoFrame, stream: VideoStream) -> tuple[str, str, str]:
    """Matrix, range and transfer of a frame as tagged in the stream, by name (`unspecified` when not tagged)."""
    source = frame if hasattr(frame, "color_trc") else stream.codec_context  # av 16 has it here only
    return (
        _MATRIX_NAMES.get(int(frame.colorspace), "unspecified"),
        _RANGE_NAMES.get(int(frame.color_range), "unspecified"),
        _TRANSFER_NAMES.get(int(source.color_trc), "unspecified"),
    )


def to_rgb(frame: VideoFrame, size_wh: tuple[int, int], orientation: Orientation) -> np.ndarray:
    """Convert a decoded frame to upright RGB, uint8 (H, W, 3), read-only.

    The YUV matrix and range are the stream's; without a matrix, pictures above 576 lines or from 1280 columns on are
    read as BT.709 and others as BT.601 (the rule of mpv); without a range, as limited. PQ and HLG video gets the right
    matrix but keeps its transfer curve (no tone mapping): it looks flat, and `VideoInfo.hdr` tells so.

    Args:
        frame: as decoded, not yet turned upright.
        size_wh: size of the result, after turning it upright.
        orientation: how to turn it.

    Raises:
        ValueError: a matrix that swscale does not know (YCgCo, ICtCp).
    """
    import av

    width, height = orientation.size(size_wh)
    options: dict[str, Any] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}
    if not frame.format.is_rgb:
        high = frame.height > _PAL_HEIGHT or frame.width >= _HD_WIDTH
        guess = _SWS_BT709 if high else _SWS_BT601
        matrix = guess if int(frame.colorspace) in _UNTAGGED else _SWS_MATRIX.get(int(frame.colorspace))
        if matrix is None:
            raise ValueError(f"colour matrix {int(frame.colorspace)}")
        # RGB has no matrix, but av 16 looks at the source's only if the two differ.
        options["src_colorspace"] = matrix
        options["dst_colorspace"] = _SWS_BT601 if matrix == _SWS_BT709 else _SWS_BT709
        full = int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")
        options["src_color_range"] = _FULL if full else _LIMITED
        options["dst_color_range"] = _FULL
    # At the same size only chroma is interpolated, where bilinear is what the samples mean.
    scaled = (width, height) != (frame.width, frame.height)
    options["interpolation"] = _SWS_EXACT | (_SWS_BICUBIC if scaled else _SWS_BILINEAR)
    converted = frame.reformat(width=width, height=height, format="rgb24", **options)
    rgb = np.array(orientation.upright(converted.to_ndarray()), order="C", copy=True)
    rgb.flags.writeable = False
    return rgb


def shrunk(rgb: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """An RGB picture, uint8 (H, W, 3), in this size (antialiased bicubic); read-only."""
    import PIL.Image

    same = (rgb.shape[1], rgb.shape[0]) == size_wh
    made = rgb if same else np.asarray(PIL.Image.fromarray(rgb).resize(size_wh, PIL.Image.Resampling.BICUBIC))
    made = np.array(made, order="C", copy=True)
    made.flags.writeable = False
    return made
