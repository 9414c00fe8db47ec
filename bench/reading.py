"""Reading speed: one video, three ways of looking at it, every reader on the same frames; ratios from one run.

Run `python bench/reading.py`. Each measurement is a fresh process, readers take turns, medians are shown. CPU seconds
are the ones to trust on a busy machine. A reader that cannot be imported is listed as not installed.
"""

import argparse
import json
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

SIZE_WH, FPS, MINUTE_S = (1280, 720), 30, 60
MAX_PIXELS, SMALL_WH = 112_896, (448, 252)
OVERVIEW_FRAMES, UNIFORM_FRAMES, CROPS, CROP_S, CROP_FPS = 256, 32, 20, 4.0, 2.0
Batches = list[list[float]]
"""Times in seconds; the file is opened anew for each batch."""


def ffmpeg_path() -> str:
    """The system's FFmpeg, or the one that imageio-ffmpeg carries."""
    found = shutil.which("ffmpeg")
    if found is None:
        import imageio_ffmpeg

        found = imageio_ffmpeg.get_ffmpeg_exe()
    return found


def make_video(folder: Path, minutes: int) -> Path:
    """A noisy 720p30 H.264 file (1.1 Mb/s asked, GOP at most 150): one minute encoded once, then joined by copy."""
    minute, joined = folder / "minute.mp4", folder / f"minutes_{minutes}.mp4"
    quiet = [ffmpeg_path(), "-v", "error", "-y"]
    if not minute.exists():
        source = f"testsrc2=s={SIZE_WH[0]}x{SIZE_WH[1]}:r={FPS}:d={MINUTE_S},noise=alls=12:allf=t"
        codec = ["-c:v", "libx264", "-g", "150", "-b:v", "1100k", "-pix_fmt", "yuv420p"]
        subprocess.run([*quiet, "-f", "lavfi", "-i", source, *codec, str(minute)], check=True)
    if not joined.exists():
        listing = folder / "parts.txt"
        listing.write_text("file 'minute.mp4'\n" * minutes)
        join = ["-f", "concat", "-i", str(listing), "-c", "copy", str(joined)]
        subprocess.run([*quiet, *join], check=True)
    return joined


def batches_of(task: str, duration_s: float) -> Batches:
    """The times that a task looks at."""
    if task == "overview":
        return [[k * duration_s / OVERVIEW_FRAMES for k in range(OVERVIEW_FRAMES)]]
    if task == "uniform":
        last_s = duration_s - 1 / FPS
        return [[k * last_s / (UNIFORM_FRAMES - 1) for k in range(UNIFORM_FRAMES)]]
    draw = random.Random(7)
    starts = [draw.uniform(0, duration_s - CROP_S) for _ in range(CROPS)]
    return [[start + k / CROP_FPS for k in range(round(CROP_S * CROP_FPS))] for start in starts]


def read_ours(path: str, times_s: list[float], threads: int) -> Iterator[np.ndarray]:
    from seekerdata.video import Video

    for frame in Video(path, budget_s=3600, threads=threads).frames(times_s, max_pixels=MAX_PIXELS):
        yield frame.rgb


def _small(frame) -> np.ndarray:  # type: ignore[no-untyped-def]
    width, height = SMALL_WH
    return frame.to_ndarray(width=width, height=height, format="rgb24", interpolation="BICUBIC")


def _open_pyav(path: str, threads: int):  # type: ignore[no-untyped-def]
    import av

    container = av.open(path)
    stream = container.streams.video[0]
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = "AUTO" if threads > 1 else "SLICE"
    return container, stream


def read_pyav_in_order(path: str, times_s: list[float], threads: int) -> Iterator[np.ndarray]:
    container, stream = _open_pyav(path, threads)
    wanted, shown = iter(sorted(times_s)), None
    target = next(wanted)
    with container:
        for frame in container.decode(stream):
            while shown is not None and frame.time > target + 1e-6:
                yield _small(shown)
                target = next(wanted, None)
                if target is None:
                    return
            shown = frame
        for _ in (target, *wanted):
            yield _small(shown)


def read_pyav_seeking(path: str, times_s: list[float], threads: int) -> Iterator[np.ndarray]:
    container, stream = _open_pyav(path, threads)
    with container:
        for time_s in times_s:
            container.seek(int(time_s / stream.time_base), stream=stream)
            shown = None
            for frame in container.decode(stream):
                if shown is not None and frame.time > time_s + 1e-6:
                    break
                shown = frame
            yield _small(shown)


def read_opencv(path: str, times_s: list[float], threads: int) -> Iterator[np.ndarray]:
    import cv2

    cv2.setNumThreads(threads)
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
    at = -1
    for time_s in times_s:
        index = int(time_s * FPS + 1e-6)
        if not 0 <= index - at < 60:  # its seek decodes from a key frame: for short steps grabbing on is faster
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            at = index - 1
        while at < index and capture.grab():
            at += 1
        _, picture = capture.retrieve()
        small = cv2.resize(picture, SMALL_WH, interpolation=cv2.INTER_AREA)
        yield cv2.cvtColor(small, cv2.COLOR_BGR2RGB)
    capture.release()


def read_torchcodec(path: str, times_s: list[float], threads: int) -> Iterator[np.ndarray]:
    import cv2
    from torchcodec.decoders import VideoDecoder

    cv2.setNumThreads(threads)
    decoder = VideoDecoder(path, num_ffmpeg_threads=threads, seek_mode="approximate", dimension_order="NHWC")
    for start in range(0, len(times_s), 32):  # in parts: its batch holds every frame at full size
        for picture in decoder.get_frames_played_at(times_s[start : start + 32]).data.numpy():
            yield cv2.resize(picture, SMALL_WH, interpolation=cv2.INTER_AREA)


def read_decord(path: str, times_s: list[float], threads: int) -> Iterator[np.ndarray]:
    import decord

    width, height = SMALL_WH
    reader = decord.VideoReader(path, width=width, height=height, num_threads=threads)
    yield from reader.get_batch([int(time_s * FPS + 1e-6) for time_s in times_s]).asnumpy()


LIMIT, IN_ORDER = "ffmpeg -f null", "PyAV in order"
READERS: dict[str, Callable[[str, list[float], int], Iterator[np.ndarray]]] = {
    "seekerdata": read_ours,
    IN_ORDER: read_pyav_in_order,
    "PyAV seeking": read_pyav_seeking,
    "OpenCV": read_opencv,
    "torchcodec": read_torchcodec,
    "decord": read_decord,
}
"""Readers by name; a crop read in order would start over 20 times, so that one has only the overview."""
_NEEDS = {"OpenCV": "cv2", "torchcodec": "torchcodec", "decord": "decord"}


def run_limit(path: str, threads: int) -> dict[str, float]:
    """FFmpeg decoding the whole file and keeping nothing."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [ffmpeg_path(), "-v", "error", "-threads", str(threads), "-i", path, "-an"]
    subprocess.run([*command, "-f", "null", "-"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_s": cpu_s, "wall_s": time.perf_counter() - wall, "peak_mb": float("nan")}


def run_one(reader: str, task: str, path: str, duration_s: float, threads: int) -> None:
    """Measure in this process and print one line of JSON."""
    read, batches = READERS[reader], batches_of(task, duration_s)
    list(read(path, [0.0], threads))  # imports and first-call costs are not the subject
    cpu, wall, count = time.process_time(), time.perf_counter(), 0
    for times_s in batches:
        count += sum(1 for _ in read(path, times_s, threads))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert count == sum(map(len, batches)), f"{reader} returned {count} frames"
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_s": cpu, "wall_s": wall, "peak_mb": peak_mb}))


def measure(reader: str, task: str, path: Path, duration_s: float, threads: int) -> dict | None:
    """One measurement in a fresh process, or None if the reader is not installed."""
    if reader == LIMIT:
        return run_limit(str(path), threads)
    me = [sys.executable, __file__, "--one", reader, task, str(path), str(duration_s)]
    done = subprocess.run([*me, "--threads", str(threads)], capture_output=True, text=True)
    if done.returncode:
        needs = _NEEDS.get(reader, "no module")
        if f"No module named '{needs}'" in done.stderr:
            return None
        sys.exit(f"{reader}, {task}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(task: str, path: Path, duration_s: float, threads: int, rounds: int) -> None:
    """Let the readers take turns and print medians, and ratios to seekerdata."""
    names = [*READERS, LIMIT] if task == "overview" else [n for n in READERS if n != IN_ORDER]
    runs: dict[str, list[dict]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            result = measure(name, task, path, duration_s, threads)
            if result is not None:
                runs[name].append(result)
    medians = {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for name, found in runs.items()
        if found
    }
    ours = medians["seekerdata"]
    print(f"\n{task}, {duration_s / 60:.0f} min, {threads} thread(s), {rounds} rounds")
    print(f"{'reader':16} {'CPU s':>8} {'ratio':>6} {'wall s':>8} {'ratio':>6} {'peak MB':>8}")
    for name in names:
        if name not in medians:
            print(f"{name:16} not installed")
            continue
        own = medians[name]
        cells = [own["cpu_s"], own["cpu_s"] / ours["cpu_s"], own["wall_s"]]
        cells += [own["wall_s"] / ours["wall_s"], own["peak_mb"]]
        print(f"{name:16} {cells[0]:8.2f} {cells[1]:6.2f} {cells[2]:8.2f} {cells[3]:6.2f} {cells[4]:8.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the test videos here")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--tasks", nargs="+", default=["overview", "uniform", "crops"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        reader, task, path, duration_s = args.one
        return run_one(reader, task, path, float(duration_s), args.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        path = make_video(folder, args.minutes)
        for task in args.tasks:
            compare(task, path, args.minutes * MINUTE_S, args.threads, args.rounds)


if __name__ == "__main__":
    main()
