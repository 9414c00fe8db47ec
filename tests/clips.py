"""Small real clips for tests: H.264, a grey level that tells the second, so that a frame's time can be read back."""

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
