"""What an evaluation costs this side of the wire: CPU of an item, memory of many at once, the first call, a report.

    python bench/evaluating.py [item] [memory] [first] [report]

Everything by default. The server is a process of its own that says one thing; ratios are within one run.
"""

import asyncio
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from calling import ROOT, raw_calls, server
from clips import make_clip
from PIL import Image
from servers.openai_server import ChatServer, Request, Said

from seekerdata.models import ModelSettings
from seekerdata.video import Video
from seekerdata.workspace import encode_jpeg, jpeg_uri
from seekereval.benchmark import benchmark
from seekereval.evaluation import Evaluation
from seekereval.presets import preset_of
from seekereval.results import write_results
from seekereval.run import run
from seekereval.scoring import grade

NAME = "openai-api/bench/any"
SIZE = (448, 252)


def questions(folder: Path, count: int, seconds: float) -> Path:
    """A folder in V2P-Bench's layout: every question has a video of its own, so that no frame is read once for two."""
    clip = make_clip(folder / "videos" / "0.mp4", seconds, fps=2, size=SIZE)
    (folder / "frames").mkdir()
    Image.fromarray(np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)).save(folder / "frames" / "mark.jpg")
    for n in range(1, count):
        shutil.copy(clip, folder / "videos" / f"{n}.mp4")
    return annotated(folder, count, seconds)


def annotated(folder: Path, count: int, seconds: float) -> Path:
    """The annotation file alone."""
    with open(folder / "dataset_info.jsonl", "w") as file:
        for n in range(count):
            question = f"What is marked in case {n}?\nA: one\nB: two"
            row = {"question": question, "answer": "A", "video_path": f"{n}.mp4", "frame_path": "mark.jpg"}
            file.write(json.dumps({**row, "duration": seconds, "dimension": 1 + n % 7}) + "\n")
    return folder


def evaluate(url: str, data: str, count: int, frames: int, concurrency: int) -> tuple[float, float]:
    """CPU seconds and peak MB of a run in a process of its own."""
    how = preset_of("default", mode="direct", frames=frames)
    asked = Evaluation(benchmark="v2p_bench", data=Path(data), preset=how, limit=count)
    model = ModelSettings(model=NAME, base_url=url, concurrency=concurrency)
    before = time.process_time()
    with tempfile.TemporaryDirectory() as out:
        run(asked, model, Path(out) / "run")
    return time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(*arguments: Any) -> tuple[float, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(evaluate, arguments)


def item(frames: int = 64, few: int = 8, many: int = 40) -> None:
    """CPU of one item of a run beside one call of the raw SDK with the same frames."""
    with tempfile.TemporaryDirectory() as name, server() as url:
        folder = questions(Path(name), many, seconds=frames)
        paths = sorted((folder / "videos").iterdir())[:few]
        reading = time.process_time()
        for path in paths:
            times = [float(n) for n in range(frames)]
            shown = [np.asarray(frame.image) for frame in Video(path).frames(times, max_pixels=336 * 336)]
            uris = [jpeg_uri(encode_jpeg(rgb)) for rgb in shown]
        reading = (time.process_time() - reading) / few
        asyncio.run(raw_calls(url, uris, 1))  # imports and connects
        raw = time.process_time()
        asyncio.run(raw_calls(url, uris, few))
        raw = (time.process_time() - raw) / few
        start = alone(url, name, few, frames, 8)[0]
        whole = (alone(url, name, many, frames, 8)[0] - start) / (many - few)
    print(f"one item, one call with {frames} frames ({sum(map(len, uris)) / 1e6:.1f} MB)")
    print(f"  openai SDK, the call alone    {1000 * raw:7.1f} ms CPU   1.00")
    print(f"  reading and encoding frames   {1000 * reading:7.1f} ms CPU  {reading / raw:5.2f}")
    more = whole - raw - reading
    print(f"  seekereval run, all of it     {1000 * whole:7.1f} ms CPU  {whole / raw:5.2f}")
    print(f"  beyond the call and the frames{1000 * more:7.1f} ms CPU  {more / raw:5.2f}")


def memory(count: int = 32) -> None:
    """Peak memory of the process that runs, by how many items are under way."""
    print(f"peak memory of one process, {count} items of 256 frames each (each call takes 1 s at the server)")
    with tempfile.TemporaryDirectory() as name, server(1.0) as url:
        questions(Path(name), count, seconds=256)
        for concurrency in (1, 16):
            print(f"  {concurrency:3} at once {alone(url, name, count, 256, concurrency)[1]:6.0f} MB")


def first() -> None:
    """From the command to its first call."""
    asked: list[float] = []

    def script(request: Request) -> Said:
        asked.append(time.perf_counter())
        return Said("A")

    with tempfile.TemporaryDirectory() as name, ChatServer(script) as near:
        questions(Path(name), 8, seconds=256)
        command = [sys.executable, "-m", "seekereval.cli", "run", "v2p_bench", "--model", NAME, "--base-url", near.url]
        command += ["--data", name, "--out", f"{name}/run", "--mode", "direct", "--json"]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    bare = timed("-c", "import inspect_ai, openai")
    wait = asked[0] - started
    print(f"first call after {wait:.1f} s, {wait / bare:.1f} times the bare import of its packages")


def report(count: int = 3000) -> None:
    """From the command to the table of a run, groups, other tools' readings and intervals included."""
    said = ["A", "The answer is B.", "<think>It is one of two.</think><answer>A</answer>", "I cannot tell."]
    with tempfile.TemporaryDirectory() as name:
        items = benchmark("v2p_bench").items(annotated(Path(name), count, seconds=256))
        rows = [grade(item, said[n % len(said)]) for n, item in enumerate(items)]
        asked = {"settings": {"benchmark": "v2p_bench"}}
        size = (write_results(Path(name), asked, rows).path / "results.jsonl").stat().st_size
        took = [timed("-m", "seekereval.cli", *words) for words in (["list"], ["report", name])]
    print(f"report of {count} items ({size / 1e6:.1f} MB)")
    print(f"  seekereval list, any command  {took[0]:5.1f} s   1.00")
    print(f"  seekereval report             {took[1]:5.1f} s  {took[1] / took[0]:5.2f}")
    print(f"  each item beyond the command  {1000 * (took[1] - took[0]) / count:5.2f} ms")


def timed(*words: str) -> float:
    """Seconds of a Python process, the least of three."""
    took = []
    for _ in range(3):
        started = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, *words], check=True, capture_output=True, env=environment)
        took.append(time.perf_counter() - started)
    return min(took)


def main() -> None:
    os.environ["BENCH_API_KEY"] = "any"
    parts = {"item": item, "memory": memory, "first": first, "report": report}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
