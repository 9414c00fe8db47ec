"""What asking models costs this side of the wire: CPU of a call, calls at once, memory of long plays, a resumed run.

    python bench/calling.py [call] [at_once] [memory] [resume]

Everything by default. The server is a process of its own that says one thing after a pause; ratios are within one run.
"""

import asyncio
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from clips import make_clip  # noqa: E402
from servers.openai_server import ChatServer, Said  # noqa: E402

from seekerdata.build import BuildRecipe, build  # noqa: E402
from seekerdata.models import ModelSettings, as_content, ask  # noqa: E402
from seekerdata.trajectory import Image  # noqa: E402
from seekerdata.workspace import encode_jpeg, jpeg_uri  # noqa: E402

NAME = "openai-api/bench/any"


def serve(pause_s: float, ready: Any) -> None:
    """Say the same after a pause, until killed."""

    def script(request: Any) -> Said:
        time.sleep(pause_s)
        return Said("<answer>A</answer>")

    with ChatServer(script) as server:
        ready.send(server.url)
        time.sleep(3600)


@contextmanager
def server(pause_s: float = 0.0) -> Iterator[str]:
    """The URL of a server in another process."""
    ready, far = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(pause_s, far), daemon=True)
    process.start()
    yield ready.recv()
    process.kill()
    process.join()


def frame_uris(count: int) -> list[str]:
    """Frames as they are sent: 448x252 pixels of noise and gradient, about as large as a real one."""
    rng = np.random.default_rng(0)
    ramp = np.add.outer(np.linspace(0, 120, 252), np.linspace(0, 100, 448))[..., None]
    noisy = (ramp + rng.normal(0, 6, (252, 448, 3)) for _ in range(count))
    return [jpeg_uri(encode_jpeg(frame.clip(0, 255).astype(np.uint8))) for frame in noisy]


async def raw_calls(url: str, uris: list[str], count: int) -> None:
    from openai import AsyncOpenAI

    parts: list[Any] = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
    async with AsyncOpenAI(base_url=url, api_key="any") as client:
        for _ in range(count):
            await client.chat.completions.create(model="any", messages=[{"role": "user", "content": parts}])


async def our_calls(url: str, uris: list[str], count: int) -> None:
    from inspect_ai.model import ChatMessageUser

    images = [
        Image(source="video", time_s=float(n), max_pixels=None, size_wh=(448, 252), sha256=str(n))
        for n in range(len(uris))
    ]
    settings = ModelSettings(model=NAME, base_url=url)
    for _ in range(count):
        content = as_content(images, lambda image: uris[int(image.sha256)])
        await ask(settings, [ChatMessageUser(content=content)])


def call(frames: int = 64, count: int = 10, rounds: int = 5) -> None:
    """CPU of this process for one call, the raw SDK's and ours in turns."""
    uris = frame_uris(frames)
    took: dict[str, list[float]] = {"openai SDK": [], "seekerdata": []}
    with server() as url:
        for n in range(rounds + 1):
            for name, calls in (("openai SDK", raw_calls), ("seekerdata", our_calls)):
                before = time.process_time()
                asyncio.run(calls(url, uris, count))
                if n:  # the first round imports and connects
                    took[name].append((time.process_time() - before) / count)
    size_mb = sum(map(len, uris)) / 1e6
    print(f"one call, {frames} frames ({size_mb:.1f} MB), median of {rounds} x {count}")
    base = float(np.median(took["openai SDK"]))
    for name, times in took.items():
        print(f"  {name:12} {1000 * np.median(times):7.1f} ms CPU  {np.median(times) / base:5.2f}")


def at_once(calls: int = 1000, pause_s: float = 1.0) -> None:
    """How near many calls at once, from one process, come to the least time they can take."""
    from inspect_ai.model import ChatMessageUser
    from openai import AsyncOpenAI

    async def raw(client: AsyncOpenAI, n: int) -> None:
        await client.chat.completions.create(model="any", messages=[{"role": "user", "content": str(n)}])

    async def ours(client: AsyncOpenAI, n: int) -> None:
        await ask(ModelSettings(model=NAME, base_url=str(client.base_url)), [ChatMessageUser(content=str(n))])

    async def all_of(one: Any, concurrency: int) -> None:
        slots = asyncio.Semaphore(concurrency)

        async def slotted(client: AsyncOpenAI, n: int) -> None:
            async with slots:
                await one(client, n)

        async with AsyncOpenAI(base_url=url, api_key="any") as client:
            await asyncio.gather(*(slotted(client, n) for n in range(calls)))

    print(f"{calls} calls that each take {pause_s:g} s at the server, from one process")
    with server(pause_s) as url:
        for concurrency in (50, 200):
            for name, one in (("openai SDK", raw), ("seekerdata", ours)):
                started, used = time.perf_counter(), time.process_time()
                asyncio.run(all_of(one, concurrency))
                wall, cpu = time.perf_counter() - started, time.process_time() - used
                least = calls / concurrency * pause_s
                print(f"  {concurrency:4} at once {name:12} {wall:6.1f} s, {wall / least:5.2f} of the least", end="")
                print(f"{1000 * cpu / calls:8.1f} ms CPU a call")


def play(url: str, folder: str, concurrency: int) -> float:
    """Peak MB of a build whose teacher is shown 256 frames a question; for a process of its own."""
    model = {"model": NAME, "base_url": url, "concurrency": concurrency}
    values = {
        "name": "memory",
        "out": f"{folder}/{concurrency}",
        "source": {"use": "jsonl", "path": folder},
        "filter": {"by": "rules"},
        "solve": {"by": {"use": "model", "model": model}},
        "engine": {"workers": 1},
    }
    build(BuildRecipe.model_validate(values), until="solve")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def questions(folder: Path, count: int, seconds: float, size: tuple[int, int]) -> Path:
    """A folder of questions about one clip, a mark for each."""
    make_clip(folder / "videos" / "clip.mp4", seconds, fps=2, size=size)
    box = {"time": 3.0, "xyxy": [4, size[1] // 2 - 8, 26, size[1] // 2 + 8]}
    fields = {"video": "clip.mp4", "options": ["it moves", "it stays"], "answer": "A"}
    marked = {"tag": "white square", "unique": True, "window": [2, 5], "box": box}
    with open(folder / "questions.jsonl", "w") as file:
        for n in range(count):
            question = f"What does the white square do in scene {n}?"
            file.write(json.dumps({"id": f"q{n}", "question": question, **fields, "annotations": marked}) + "\n")
    return folder


def memory(plays: int = 64) -> None:
    """Peak memory of the process that plays, by how many plays are under way."""
    print(f"peak memory of one process, {plays} plays of 256 frames each (each call takes 1 s at the server)")
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, server(1.0) as url:
        questions(Path(folder), plays, seconds=300, size=(448, 252))
        for concurrency in (1, 8, 32):
            with context.Pool(1) as pool:
                peak = pool.apply(play, (url, folder, concurrency))
            print(f"  {concurrency:3} at once {peak:6.0f} MB")


def resume(rows: int = 50_000) -> None:
    """What a run that is already done costs to run again, beside the first time."""
    with tempfile.TemporaryDirectory() as name:
        folder = questions(Path(name), rows, seconds=6, size=(64, 48))
        source = {"use": "jsonl", "path": folder}
        recipe = BuildRecipe.model_validate({"name": "r", "out": folder / "run", "source": source})
        took = []
        for _ in range(2):
            started = time.perf_counter()
            report = build(recipe, until="verify")
            took.append(time.perf_counter() - started)
        made = sum(stage["made"] for stage in report.stages)
    print(f"{rows} rows through source, filter and verify")
    print(f"  first {took[0]:6.1f} s, again {took[1]:6.1f} s ({made} rows made): {took[1] / took[0]:.3f}", end="")
    print(f", {1e6 * took[1] / rows / 3:.0f} us a row and stage")


def main() -> None:
    os.environ["BENCH_API_KEY"] = "any"
    parts = {"call": call, "at_once": at_once, "memory": memory, "resume": resume}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
