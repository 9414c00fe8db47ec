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
    return [jpeg_uri(encode_jpeg((ramp + rng.normal(0, 6, (252, 448, 3))).clip(0, 255).astype(np.uint8))) for _ in range(count)]


async def raw_calls(url: str, uris: list[str], count: int) -> None:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=url, api_key="any")
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
    for _ in range(count):
        await client.chat.completions.create(model="any", messages=[{"role": "user", "content": parts}])


async def our_calls(url: str, uris: list[str], count: int) -> None:
    from inspect_ai.model import ChatMessageUser

    images = [Image(source="video", time_s=float(n), size_wh=(448, 252), sha256=str(n)) for n in range(len(uris))]
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
