"""Small real clips for tests: H.264, a grey level that tells the second, so that a frame's time can be read back."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np


def make_clip(path: Path, seconds: float = 2, fps: int = 10, size: tuple[int, int] = (64, 48)) -> Path:
    """Write an mp4 of `size` (width, height). The picture is a grey of 8 x (second) + 20 with a white square moving."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "16", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for n in range(round(seconds * fps)):
            picture = np.full((height, width, 3), 20 + 8 * (n // fps) % 200, np.uint8)
            left = (n * 2) % max(1, width - 12)
            picture[height // 2 - 6 : height // 2 + 6, left : left + 12] = 255
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def make_scene(path: Path, seed: int, seconds: float = 6, fps: int = 10, size: tuple[int, int] = (128, 96)) -> Path:
    """Write an mp4 of a scene of its own for each seed: a sky, a ground and discs that drift."""
    rng = np.random.default_rng(seed)
    sky, ground, horizon = _colour(rng), _colour(rng), rng.uniform(0.2, 0.8)
    discs = [(rng.uniform(0, 1, 2), rng.uniform(-0.08, 0.08, 2), rng.uniform(0.05, 0.3)) for _ in range(5)]
    colours = _colour(rng, (5, 3))
    width, height = size
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]

    def picture(time_s: float) -> np.ndarray:
        rgb = np.where((y < horizon)[..., None], sky, ground)
        for (middle, speed, radius), colour in zip(discs, colours, strict=True):
            at = middle + speed * time_s
            rgb = np.where(((x - at[0]) ** 2 + (y - at[1]) ** 2 < radius**2)[..., None], colour, rgb)
        return rgb

    return _write(path, (picture(n / fps) for n in range(round(seconds * fps))), fps, size)


def make_target(path: Path, box: Sequence[float], size: tuple[int, int], seconds: float = 6, fps: int = 2) -> Path:
    """Write an mp4 of a brown disc that fills a box (x0, y0, x1, y1) and drifts a little, on a green ground."""
    y, x = np.mgrid[: size[1], : size[0]]
    x0, y0, x1, y1 = box

    def picture(n: int) -> np.ndarray:
        inside = ((2 * x - x0 - x1 - n) / (x1 - x0)) ** 2 + ((2 * y - y0 - y1) / (y1 - y0)) ** 2 < 0.9
        return np.where(inside[..., None], (120, 70, 30), (60, 140, 70)).astype(np.uint8)

    return _write(path, (picture(n) for n in range(round(seconds * fps))), fps, size)


def _colour(rng: np.random.Generator, shape: int | tuple[int, int] = 3) -> np.ndarray:
    return rng.integers(0, 256, shape).astype(np.uint8)


def copy_of(
    source: Path, path: Path, scale: float = 1.0, crf: int = 23, fps: int = 10, cut_s: tuple[float, float] = (0, 1e9)
) -> Path:
    """Write a video again: another size, quality, frame rate, or a stretch of it."""
    from seekerdata.video import Video

    video = Video(source)
    width, height = (int(side * scale) // 2 * 2 for side in video.info.size_wh)
    times = np.arange(cut_s[0], min(cut_s[1], video.info.duration_s), 1 / fps)
    pictures = [frame.image.resize((width, height)) for frame in video.frames(times)]
    return _write(path, map(np.asarray, pictures), fps, (width, height), crf)


def _write(path: Path, pictures: Iterable[np.ndarray], fps: int, size: tuple[int, int], crf: int = 20) -> Path:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": f"{crf}", "preset": "veryfast"})
        (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
    return path
