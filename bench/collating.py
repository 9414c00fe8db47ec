"""What making batches costs: our collator against TRL's on the same trajectories, padding, and bytes of a frame.

    python bench/collating.py [collation] [padding] [frames] [decoding]

Everything by default. CPU seconds of this process on one thread, best of several rounds taken in turns; both collators
give the same tensors, which is checked. Needs the `train` extra.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

import numpy as np  # noqa: E402
import PIL.Image  # noqa: E402

from seekertrain.batch import Collator, Encoder  # noqa: E402
from seekertrain.processor import load_processor, training_template  # noqa: E402
from seekertrain.tiny import init_tiny  # noqa: E402

ROUNDS, TRAJECTORIES = 5, 8
SIDES = (112, 224, 448)
RNG = np.random.default_rng(0)


def look(side: int, count: int, first_s: int = 0) -> list[dict[str, Any]]:
    """Stamped frames, as blocks."""
    shown: list[dict[str, Any]] = []
    for n in range(count):
        shown += [{"type": "text", "text": f"<{first_s + n}.0 seconds>"}, {"type": "image", "size_wh": (side, side)}]
    return shown


def turn(role: str, content: list[dict[str, Any]], call: dict[str, Any] | None = None) -> dict[str, Any]:
    calls = [{"id": "call_1", "type": "function", "function": call}] if call else []
    return {"role": role, "content": content, "tool_calls": calls, "loss": role == "assistant"}


def words(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


def trajectory(number: int, side: int, crops: int = 1) -> dict[str, Any]:
    """A row with 8 overview frames, the marked one and 4 frames a crop, of noise."""
    messages = [
        turn("system", words("You answer a question about one thing in a video.")),
        turn("user", [*look(side, 8), *words("Question: What colour does the target flash?")]),
        turn(
            "assistant",
            words("<think>I need to see what is marked.</think>"),
            {"name": "view_visual_prompt", "arguments": {"frame_path": "prompt_1"}},
        ),
        turn("tool", look(side, 1)),
    ]
    for crop in range(crops):
        span = {"video_path": "video", "start_time": 2.0 * crop, "end_time": 2.0 * crop + 1}
        messages += [
            turn("assistant", words("<think>I look closely.</think>"), {"name": "crop_video", "arguments": span}),
            turn("tool", look(side, 4, 2 * crop)),
        ]
    messages.append(turn("assistant", words("<think>It is red.</think>\n<answer>A</answer>")))
    pixels = RNG.integers(0, 256, (9 + 4 * crops, side, side, 3), dtype=np.uint8)
    pictures = [PIL.Image.fromarray(frame) for frame in pixels]
    return {"id": f"row {number}", "messages": messages, "tools": [], "images": pictures}


def for_trl(row: dict[str, Any]) -> dict[str, Any]:
    """The same row as TRL's collator takes it: pictures inside the messages."""
    pictures, messages = iter(row["images"]), []
    for said in row["messages"]:
        content = [b if b["type"] == "text" else {"type": "image", "image": next(pictures)} for b in said["content"]]
        more = {"tool_calls": said["tool_calls"]} if said["tool_calls"] else {}
        messages.append({"role": said["role"], "content": content, **more})
    return {"messages": messages, "images": []}


def cpu_s(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    made = work()
    return time.process_time() - start, made


def collation(processor: Any) -> None:
    """Both collators on the same rows; ours once with tokens made before (every later epoch) and once without."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    theirs = DataCollatorForVisionLanguageModeling(
        processor=processor, assistant_only_loss=True, chat_template=training_template(processor)
    )
    encoder = Encoder(processor)
    ours = Collator(encoder)
    print(f"collation: {TRAJECTORIES} trajectories of 13 pictures, CPU ms; ratio is TRL's time over ours")
    print(f"{'pixels':>8} {'TRL':>7} {'ours':>7} {'ratio':>6} {'with tokens':>12} {'ratio':>6}")
    for side in SIDES:
        rows = [trajectory(n, side) for n in range(TRAJECTORIES)]
        ready = [{"encoded": encoder.encode(row), "images": row["images"]} for row in rows]
        best = {"TRL": float("inf"), "ours": float("inf"), "tokens": float("inf")}
        for _ in range(ROUNDS):
            spent = {"TRL": cpu_s(lambda rows=rows: theirs([for_trl(row) for row in rows]))}
            spent["ours"] = cpu_s(lambda ready=ready: ours(ready))
            spent["tokens"] = cpu_s(lambda rows=rows: [encoder.encode(row) for row in rows])
            best = {key: min(best[key], spent[key][0]) for key in best}
        for key, values in spent["ours"][1].items():
            assert np.allclose(values, spent["TRL"][1][key], atol=1e-6), key
        both = best["ours"] + best["tokens"]
        numbers = (1e3 * best["TRL"], 1e3 * best["ours"], best["TRL"] / best["ours"], 1e3 * both, best["TRL"] / both)
        print(f"{side:>8} {numbers[0]:7.0f} {numbers[1]:7.0f} {numbers[2]:6.1f} {numbers[3]:12.0f} {numbers[4]:6.1f}")


def padding(processor: Any) -> None:
    """Tokens of a batch that stand for nothing, for trajectories of one to six crops."""
    encoder = Encoder(processor)
    lengths = [encoder.encode(trajectory(n, SIDES[0], crops)).length for n, crops in enumerate((1, 2, 3, 4, 5, 6))]
    drawn = RNG.choice(lengths, size=4096)
    orders = {"as drawn": drawn, "by length": np.sort(drawn)}
    print(f"\npadding: share of tokens, batches of {TRAJECTORIES}, one to six crops")
    for name, order in orders.items():
        batches = order.reshape(-1, TRAJECTORIES)
        print(f"{name:>10} {1 - batches.sum() / (batches.max(axis=1) * TRAJECTORIES).sum():6.1%}")
    print(f"{'packed':>10} {0:6.1%}")


def frames(processor: Any) -> None:
    """Bytes on the host that a frame takes as a picture and as patches."""
    from seekerdata.patches import patchify

    side = SIDES[-1]
    picture = PIL.Image.fromarray(RNG.integers(0, 256, (side, side, 3), dtype=np.uint8))
    patches = patchify([picture], processor.image_processor)
    held, made = side * side * 3, patches.numel() * patches.element_size()
    print(
        f"\nframe of {side} x {side}: {held / 1e6:.1f} MB as bytes, {made / 1e6:.1f} MB as patches, {made / held:.1f}x"
    )


def decoding(processor: Any) -> None:
    """Passes over a video and frames decoded in an epoch of rows that keep their frames by reference."""
    from seekerdata import video
    from seekerdata.build import BuildRecipe, build
    from seekertrain.feed import Feed
    from seekertrain.rows import Data, load, measured

    passes, asked = 0, 0
    decode = video.Video._decode

    def counted(self: Any, times: list[float], max_pixels: int | None) -> Any:
        nonlocal passes, asked
        passes, asked = passes + bool(times), asked + len(times)
        return decode(self, times, max_pixels)

    with tempfile.TemporaryDirectory() as name:
        source = {"use": "world", "level": 3, "videos": 8, "questions_per_video": 4, "seed": 1}
        build(BuildRecipe.model_validate({"name": "bench", "out": Path(name), "source": source}))
        data = Data(path=f"{name}/dataset")
        rows = measured(load(data), Encoder(processor), data.videos())
        feed = Feed(Collator(Encoder(processor)), [rows])
        blocks = [(r["video_path"], b["time_s"]) for r in rows.data for t in r["messages"] for b in t["content"]
                  if b["type"] == "image" and b["source"] == "video"]  # fmt: skip
        order = RNG.permutation(len(rows))
        video.Video._decode = counted  # type: ignore[method-assign]
        try:
            for start in range(0, len(order), TRAJECTORIES):
                feed([rows.data[int(n)] for n in order[start : start + TRAJECTORIES]])
        finally:
            video.Video._decode = decode  # type: ignore[method-assign]
    print(
        f"\ndecoding: an epoch of {len(rows)} rows of {source['videos']} videos, frames kept by reference, in any order"
    )
    print(f"frames shown {len(blocks)}, distinct {len(set(blocks))}, decoded {asked} in {passes} passes")


def main(names: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        init_tiny(Path(folder))
        processor = load_processor(folder)
    for part in (collation, padding, frames, decoding):
        if not names or part.__name__ in names:
            part(processor)


if __name__ == "__main__":
    main(sys.argv[1:])
