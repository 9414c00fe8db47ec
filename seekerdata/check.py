"""check: every invariant of the design that can be read off a dataset, row by row, with the first failure named.

Each invariant is a function from a row to what is wrong with it (empty if nothing); adding one is adding a function.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.dataset import CONFIGS, pictures
from seekerdata.dialect import read_calls
from seekerdata.errors import ItemError, SeekerError
from seekerdata.instance import decode_mask
from seekerdata.instructions import escape_markers
from seekerdata.observation import stamp
from seekerdata.reward import accuracy_by_rule
from seekerdata.sample import LETTERS
from seekerdata.shards import read
from seekerdata.tools import VIDEO
from seekerdata.trace_check import Spoken, early_time

_SECRET = re.compile(r"\b(sk-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_-]{30,}|Bearer [A-Za-z0-9._-]{20,})")

Row = dict[str, Any]


class Verdict(NamedTuple):
    """How many rows an invariant was checked on, how many broke it, and the first that did."""

    name: str
    rows: int
    failed: int
    first: str


def check(folder: Path, video_root: Path | None = None) -> list[Verdict]:
    """Check a dataset folder.

    Args:
        folder: holds `qa/`, `sft/`, `rl/`.
        video_root: the videos' folder; `../videos` by default. Without it, looks kept by reference are not replayed.

    Raises:
        SeekerError: the folder is not a dataset, or `video_root` was given and is not there.
    """
    root = video_root or folder.parent / "videos"
    if video_root and not video_root.is_dir():
        raise SeekerError(f"{video_root}: no such folder of videos")
    here = [config for config in CONFIGS if (folder / config).is_dir()] or CONFIGS
    return [verdict for config in here for verdict in _verdicts(folder, config, root)]


def _verdicts(folder: Path, config: str, video_root: Path) -> list[Verdict]:
    """One pass over a configuration's rows."""
    tests = _invariants(config, video_root)
    failed, first, count = dict.fromkeys(tests, 0), dict.fromkeys(tests, ""), 0
    for row in read(folder, config):
        count += 1
        for name, test in tests.items():
            if fault := _fault(test, row):
                failed[name] += 1
                first[name] = first[name] or f"{row['id']}: {fault}"
    return [Verdict(f"{config}: {name}", count, failed[name], first[name]) for name in tests]


def _invariants(config: str, video_root: Path) -> dict[str, Callable[[Row], str]]:
    shared: dict[str, Callable[[Row], str]] = {
        "mark is drawn inside the frame": mark,
        "times and boxes are inside the video": inside,
        "no secret in any text": no_secret,
    }
    if config == "qa":
        return shared | {"gold answer scores 1.0": gold_scores}
    turns: dict[str, Callable[[Row], str]] = {
        "names are opaque": opaque_names,
        "stamps are the true times": true_stamps,
        "placeholders match pictures, markers escaped": placeholders,
    }
    if config == "sft":
        turns["no thought before its evidence"] = grounded_thoughts
        turns["answer is right and in the loss"] = answered
    if video_root.is_dir():
        turns["looks replay to the same pixels"] = lambda row: replays(row, video_root)
    return shared | turns


def _fault(test: Callable[[Row], str], row: Row) -> str:
    try:
        return test(row)
    except ItemError as error:  # a mask that does not decode, a video that is gone
        return str(error)


def mark(row: Row) -> str:
    """Marked and raw frame have the video's size and differ; the mask fits the frame and is not empty.

    Of a row published without pictures, only the mask; of one that is imported and has no mark, nothing.
    """
    if not row["shape"]:
        return ""
    if row["image"] is None and row["raw_image"] is None:
        return _mask(row, *row["video_size_wh"])
    sizes = {row["image"].size, row["raw_image"].size, tuple(row["video_size_wh"])}
    if len(sizes) > 1:
        return f"sizes differ: {sorted(sizes)}"
    if row["image"].tobytes() == row["raw_image"].tobytes():
        return "the marked frame is the raw frame"
    return _mask(row, row["image"].width, row["image"].height)


def _mask(row: Row, width: int, height: int) -> str:
    mask = decode_mask(row["mask"])
    fits = mask.shape == (height, width)
    return "" if fits and mask.any() else f"mask of size {mask.shape} with {mask.sum()} pixels"


def inside(row: Row) -> str:
    """Frame time and window lie in the video, the box in the frame."""
    duration_s, (width, height) = row["video_duration_s"], row["video_size_wh"]
    times = [*([row["frame_time_s"]] if row["shape"] else []), *row["window_s"], *row["event_s"]]
    if not all(0 <= t <= duration_s + 0.05 for t in times):
        return f"times {times} in a video of {duration_s} s"
    if not row["shape"]:
        return ""
    x0, y0, x1, y1 = row["box_xyxy"]
    return "" if 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height else f"box {row['box_xyxy']} in {width}x{height}"


def no_secret(row: Row) -> str:
    """No key of a known form stands in any text of the row."""
    texts = {key: value for key, value in row.items() if key not in {"image", "raw_image", "images", "mask"}}
    found = _SECRET.search(json.dumps(texts, default=str))
    return f"looks like a key: {found[0][:8]}..." if found else ""


def gold_scores(row: Row) -> str:
    """The gold answer, given as an answer, is right."""
    options = tuple(row["options"])
    if options and row["answer"] not in LETTERS[: len(options)]:
        return f"answer {row['answer']} of {len(options)} options"
    right = accuracy_by_rule(row["answer"], row["answer"], options)
    return "" if right == 1.0 else f"'{row['answer']}' scores {right}"


def opaque_names(row: Row) -> str:
    """The user turn and every call that is to be imitated name the video and its frames by opaque names only."""
    stem = Path(row["video_path"]).stem
    for turn in _turns(row):
        if any(stem in block["text"] for block in turn["content"] if block["type"] == "text" and len(stem) > 3):
            return f"a {turn['role']} turn names the file '{stem}'"
        for call in turn["tool_calls"] if turn["loss"] else ():
            arguments = call["function"]["arguments"]
            given = [str(arguments.get(key, VIDEO)) for key in ("frame_path", "video_path")]
            if not all(name == VIDEO or re.fullmatch(r"prompt_\d+", name) for name in given):
                return f"call with {given}"
    return ""


def true_stamps(row: Row) -> str:
    """Every picture with a time stands after the stamp of that time, and the time is in the video."""
    for turn in _turns(row):
        before = ""
        for block in turn["content"]:
            if block["type"] == "image" and block["time_s"] is not None:
                if before != stamp(block["time_s"]):
                    return f"'{before}' before the frame of {block['time_s']} s"
                if not -0.001 <= block["time_s"] <= row["video_duration_s"] + 0.001:
                    return f"frame of {block['time_s']} s in a video of {row['video_duration_s']} s"
            before = block.get("text", "")
    return ""


def placeholders(row: Row) -> str:
    """Image blocks and embedded pictures are as many; no text holds a marker that trainers read as structure."""
    blocks = [block for turn in _turns(row) for block in turn["content"]]
    images = [block for block in blocks if block["type"] == "image"]
    if row["media"] == "embedded" and len(images) != len(row["images"]):
        return f"{len(images)} image blocks, {len(row['images'])} pictures"
    for block in blocks:
        if block["type"] == "text" and escape_markers(block["text"]) != block["text"]:
            return f"unescaped marker in '{block['text'][:60]}'"
    return ""


def grounded_thoughts(row: Row) -> str:
    """A thought names only times that were shown or asked before it, or that it asks for itself."""
    turns = []
    for turn in _turns(row):
        text = " ".join(block["text"] for block in turn["content"] if block["type"] == "text")
        asked = [value for call in turn["tool_calls"] for value in call["function"]["arguments"].values()]
        turns.append(Spoken(turn["role"], text, asked))
    return early_time(turns)


def answered(row: Row) -> str:
    """The last turn is an answer that is trained, holds no call, and is the gold answer: by its words, or as the judge
    that the row names has said."""
    last = row["messages"][-1]
    text = " ".join(block["text"] for block in last["content"] if block["type"] == "text")
    said = re.findall(r"<answer>(.*?)</answer>", text, flags=re.DOTALL)
    if last["role"] != "assistant" or not last["loss"] or last["tool_calls"] or read_calls(text)[1] or len(said) != 1:
        return f"the last turn is not one trained answer: '{text[:60]}'"
    asked = row["messages"][1]["content"][-1]["text"]
    options = tuple(re.findall(r"^[A-Z]\. (.*)$", asked, flags=re.MULTILINE))
    right = accuracy_by_rule(said[0], row["answer"], options) == 1.0
    judged = row["provenance"].get("solve", {}).get("judge", {}).get("score") == 1.0
    return "" if right or judged else f"answers '{said[0]}', gold is '{row['answer']}'"


def replays(row: Row, video_root: Path) -> str:
    """Frames kept by reference come back from the video with the recorded hash, withheld marks too; an imported row may
    name no video."""
    if not row["video_path"]:
        return ""
    pictures({**row, "media": "reference"}, video_root)
    return ""


def _turns(row: Row) -> Iterator[Row]:
    yield from row["messages"] if "messages" in row else row["prompt"]
