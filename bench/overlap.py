"""How far apart copies of a video and different videos are, and what looking for overlap costs.

    python bench/overlap.py [FOLDER of videos]

Prints the share of differing bits over videos of the procedural world (and of the folder, if one is given), their
changed copies, and all pairs of different videos; then the time that a video and a comparison take.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from clips import copy_of  # noqa: E402

from seekerdata.plugin import make  # noqa: E402
from seekerdata.video import Video  # noqa: E402
from seekerdata.video_print import SAME, distance, may_be_same, print_of  # noqa: E402
from seekerdata.workspace import Workspace  # noqa: E402

WORLDS = 14
"""Videos of each of the three levels."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [path for level in (1, 2, 3) for path in worlds(level, Path(folder) / f"{level}")]
        paths += sorted(Path(sys.argv[1]).glob("*.mp4")) if len(sys.argv) > 1 else []
        started = time.perf_counter()
        prints = [print_of(str(path)) for path in paths]
        each_s = (time.perf_counter() - started) / len(paths)
        seconds = sum(Video(path).info.duration_s for path in paths) / len(paths)
        copies = {name: [] for name in ("crf 40", "half size", "8 fps", "middle half")}
        for path, original in zip(paths, prints, strict=True):
            for name in copies:
                copies[name].append(distance(print_of(str(changed(path, name, Path(folder)))), original))
    for name, found in copies.items():
        print(f"{name:12} at most {max(found):.3f}, 95 % below {np.percentile(found, 95):.3f}, {len(found)} copies")
    print(f"missed above {SAME}: {sum(each > SAME for found in copies.values() for each in found)}")
    started = time.perf_counter()
    apart = [distance(one, other) for one, other in itertools.combinations(prints, 2)]
    pair_s = (time.perf_counter() - started) / len(apart)
    print(f"different    at least {min(apart):.3f}, 99 % above {np.percentile(apart, 1):.3f}, {len(apart)} pairs")
    frames = np.random.default_rng(0).integers(0, 2**63, 500_000, dtype=np.uint64)
    started = time.perf_counter()
    may_be_same(prints[0], frames)
    scan_s = time.perf_counter() - started
    print(f"{each_s / seconds:.4f} s for a second of video, {1000 * pair_s:.1f} ms for a pair of videos,")
    print(f"{1000 * scan_s:.0f} ms to scan {len(frames)} frames of a benchmark for one video")


def worlds(level: int, folder: Path) -> list[Path]:
    source = make("sources", {"use": "world", "level": level, "videos": WORLDS, "questions_per_video": 1})
    workspace = Workspace(root=folder, video_root=source.video_root(folder))
    return [workspace.video_root / source.read(entry, workspace).video.path for entry in source.entries()]


def changed(path: Path, name: str, folder: Path) -> Path:
    length_s, copy = Video(path).info.duration_s, folder / "copy.mp4"
    if name == "crf 40":
        return copy_of(path, copy, crf=40, fps=15)
    if name == "half size":
        return copy_of(path, copy, scale=0.5, crf=33, fps=15)
    if name == "8 fps":
        return copy_of(path, copy, crf=33, fps=8)
    return copy_of(path, copy, crf=30, fps=15, cut_s=(0.23 * length_s, 0.77 * length_s))


if __name__ == "__main__":
    main()
