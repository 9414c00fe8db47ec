"""Film: a scene as an H.264 file. The same scene gives the same bytes on the same libraries."""

import io
from fractions import Fraction

from seekerdata.world.paint import frame_rgb
from seekerdata.world.scene import Scene


def encode(scene: Scene, preset: str = "veryfast", crf: int = 20) -> bytes:
    """The bytes of an MP4: constant frame rate, no B-frames (frame i is at exactly i / fps), a key frame every four
    seconds; one thread and no creation time, because both would change the bytes."""
    import av
    import cv2

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=scene.fps)
        stream.width, stream.height = scene.size_wh
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, scene.fps)
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {
            "preset": preset,
            "crf": str(crf),
            "bf": "0",
            "g": str(4 * scene.fps),
            "colorspace": "smpte170m",
            "color_range": "tv",
        }
        for index in range(scene.frames):
            planes = cv2.cvtColor(frame_rgb(scene, index), cv2.COLOR_RGB2YUV_I420)  # 7x swscale's speed
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()
