"""Decoders: what decord and torchcodec show where seekerdata shows a frame: colours on made clips, then hard files.

Run `python bench/decoders.py`. A library that is not installed is said so.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from reading import MAX_PIXELS, ffmpeg_path

sys.path.insert(0, str(Path(__file__).parent.parent))

from seekerdata.errors import SeekerError
from seekerdata.peer_decoder import DecoderName, decoder_version
from seekerdata.video import Video, VideoError
from tests.hard_videos import USABLE, HardVideo, number_in

PEERS: tuple[DecoderName, ...] = ("decord", "torchcodec")
BT709 = ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709"]
CLIPS = {"480p untagged": ("854x480", []), "720p untagged": ("1280x720", []), "720p BT.709": ("1280x720", BT709)}


def colours(folder: Path, peer: DecoderName) -> None:
    """Mean and largest difference of a colour value (0 to 255) over 20 frames."""
    for name, (size, tags) in CLIPS.items():
        path = folder / f"{name}.mp4"
        source = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=30:d=10", *tags, "-c:v", "libx264", "-pix_fmt", "yuv420p"]
        subprocess.run([ffmpeg_path(), "-v", "error", "-y", *source, str(path)], check=True)
        times = [k / 2 for k in range(20)]
        pairs = zip(Video(path).frames(times, max_pixels=MAX_PIXELS), shown(path, peer, times), strict=True)
        apart = [np.abs(ours.rgb.astype(int) - theirs) for ours, theirs in pairs]
        print(f"  {name:14s} mean {np.mean(apart):4.1f}  largest {np.max(apart):3d}")


def shown(path: Path, peer: DecoderName, times: list[float]) -> list[np.ndarray]:
    return [frame.rgb for frame in Video(path, decoder=peer).frames(times, max_pixels=MAX_PIXELS)]


def hard_files(folder: Path, peer: DecoderName) -> None:
    """Which hard files it refuses, and of which it shows other pictures than those that were written there."""
    refused, other = [], []
    for hard in (each for each in USABLE if each.times_s is not None):
        try:
            (other if differs(folder / hard.file_name, peer, hard) else []).append(hard.file_name)
        except VideoError:
            refused.append(hard.file_name)
    print(f"  of {sum(each.times_s is not None for each in USABLE)} whole hard files")
    for what, names in (("refused", refused), ("other pictures", other)):
        print(f"  {what} {len(names)}{': ' * bool(names)}{', '.join(names)}")


def differs(path: Path, peer: DecoderName, hard: HardVideo) -> bool:
    assert hard.times_s is not None
    some = range(0, len(hard.times_s), 5)
    frames = Video(path, decoder=peer).frames([hard.times_s[k] + 1e-3 for k in some])
    return [number_in(frame.rgb) for frame in frames] != [hard.first_number + k for k in some]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for each in USABLE:  # before decord is loaded: its libvpx would meet PyAV's VP9 encoder
            each.make(Path(made) / each.file_name)
        for one in PEERS:
            try:
                print(decoder_version(one))
            except SeekerError as error:
                print(error)
                continue
            colours(Path(made), one)
            hard_files(Path(made), one)
