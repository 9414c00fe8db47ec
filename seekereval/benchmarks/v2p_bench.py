"""v2p_bench: V2P-Bench (arXiv 2503.17736): questions about a thing that is marked on one or several frames.

Options and an instruction stand inside the question. The dimension is a number; the map that the released script has
for it is wrong for 8 of 12 names, so the names by content are the first grouping and the released ones the second.
"""

import re
from pathlib import Path
from typing import Any

from pydantic import Field

from seekerdata.sample import DIMENSIONS, LETTERS, digest
from seekereval.archive import Archive
from seekereval.benchmark import Benchmark, Count, Hub, defects_of, gold_letter
from seekereval.item import Item
from seekereval.table import as_list, find_table, read_table, seconds, text

__all__ = ["V2PBench"]

FILES = ("dataset_info.jsonl", "dataset_info*.json*", "V2P-Bench.tsv", "V2P-Bench*.jsonl", "*.jsonl")
NEEDED = ("question", "answer", "video_path", "frame_path")
BY_CONTENT = {
    1: "OA", 2: "HA", 3: "OD", 4: "FM", 5: "FT", 6: "RT", 7: "AS", 9: "SR", 10: "GC", 12: "CR", 13: "PU", 14: "CI",
}  # fmt: skip
"""Dimension codes by what their questions ask."""
RELEASED = {
    1: "OA", 2: "HA", 3: "OD", 4: "FM", 5: "CR", 6: "PU", 7: "CI", 9: "FT", 10: "RT", 12: "AS", 13: "SR", 14: "GC",
}  # fmt: skip
"""The same by the map of the released script."""
SOURCES = (
    "ActivityNet", "EgoSchema", "LVBench", "MLVU", "MSRVTT-QA", "MSVD-QA", "MVBench", "NExTVideo", "Perception_Test",
    "TVBench", "VCGBench-Diverse", "Video-MME_xk", "Video-MME_yk",
)  # fmt: skip
"""Folders of the videos, by where they come from."""
SIZES = {1: 129, 2: 253, 3: 46, 4: 57, 5: 119, 6: 44, 7: 56, 9: 48, 10: 95, 12: 112, 13: 173, 14: 37}
"""Items by number in the released response file; the paper has one more of 7 and two more of 9."""

_OPTION = re.compile(r"\s*([A-Z])\s*[:.)]\s*(.*)")
_INSTRUCTION = re.compile(r"\s*select the best option.*\Z", re.IGNORECASE | re.DOTALL)


class V2PBench(Benchmark):
    """V2P-Bench: 12 dimensions, marked frames, 2 to 4 options."""

    file: str = Field("", pattern=r"^[^/\\]*$")
    """Another annotation file of the folder: `dataset_info_1148.json` is the list that VideoSeeker was evaluated on."""

    groups = ("dimension", "duration", "dimension_released", "duration_readme", "source")

    @property
    def hub(self) -> Hub:
        return Hub(
            "gaotiexinqu/V2P-Bench",
            "f6f0f5bd11cbbc592d9f4a40591669f4649b204d",
            "CC-BY-NC-4.0, academic research only",
            archives=(Archive("videos/*.zip", "videos/{name}", names=SOURCES), Archive("vp_frames.zip", "frames")),
        )

    @property
    def compat(self) -> tuple[str, ...]:
        return ("v2pbench_official", "videoseeker_eval_all", "videoseeker_direct", "vlmevalkit_v2pbench")

    @property
    def counts(self) -> tuple[Count, ...]:
        response = {BY_CONTENT[number]: count for number, count in SIZES.items()}
        durations = {"short": 577, "medium": 225, "long": 367}
        paper = {**response, "AS": 57, "SR": 50}
        return (
            Count("released response file", 1169, {"dimension": response, "duration": durations}, videos=965),
            Count("paper", 1172, {"dimension": paper}, videos=980),
            Count("VideoSeeker's list", 1148),
        )

    @property
    def fixtures(self) -> list[dict[str, Any]]:
        return [_fixture(number, n) for number in BY_CONTENT for n in range(3)]

    def rows(self, data: Path) -> list[dict[str, Any]]:
        return read_table(find_table(data, (self.file,) if self.file else FILES, self.plugin_name()), NEEDED)

    def item(self, row: dict[str, Any], data: Path | None = None) -> Item:
        question, options = split_question(text(row.get("question")))
        gold = gold_letter(row.get("answer"), options)
        video, frames = text(row.get("video_path")), tuple(text(path) for path in as_list(row.get("frame_path")))
        length = seconds(row.get("duration"))
        return Item(
            id=digest([video, text(row.get("question")), text(row.get("answer")), frames, text(row.get("dimension"))]),
            video=f"videos/{video.removeprefix('videos/')}",
            question=question,
            options=options,
            answer=gold,
            marked_frames=tuple(f"frames/{path.removeprefix('frames/')}" for path in frames),
            groups={
                "dimension": _named(row.get("dimension"), BY_CONTENT),
                "dimension_released": _named(row.get("dimension"), RELEASED),
                "duration": _bin(length, 240),
                "duration_readme": _bin(length, 180),
                "source": text(row.get("source")),
            },
            cluster=video,
            duration_s=length,
            defects=defects_of(question, options, gold) + ("no_mark",) * (not frames),
            row=row,
        )


def split_question(asked: str) -> tuple[str, tuple[str, ...]]:
    """The question's words and its options' texts: the last lines `A: ...`, `B: ...`; the instruction is taken off."""
    lines = _INSTRUCTION.sub("", asked).strip().split("\n")
    starts = [n for n, line in enumerate(lines) if (match := _OPTION.match(line)) and match[1] == "A"]
    if not starts:
        return "\n".join(lines).strip(), ()
    options: list[str] = []
    for line in lines[starts[-1] :]:
        match = _OPTION.fullmatch(line)
        if match and len(options) < len(LETTERS) and match[1] == LETTERS[len(options)]:
            options.append(match[2].strip())
        else:  # an option that goes on in a second line
            options[-1] = f"{options[-1]} {line.strip()}".strip()
    return "\n".join(lines[: starts[-1]]).strip(), tuple(options)


def _named(number: Any, names: dict[int, str]) -> str:
    code = text(number).removesuffix(".0")
    return names.get(int(code), code) if code.isdigit() else code


def _bin(length_s: float | None, short_s: float) -> str:
    """The released script's bins (240 s, 1800 s); the README says 180 s for the first."""
    if length_s is None:
        return "unknown"
    return "short" if length_s < short_s else "medium" if length_s < 1800 else "long"


def _fixture(number: int, n: int) -> dict[str, Any]:
    """Of each dimension: four options, three with two spaces, two with several marked frames."""
    options, space = ["a grey box", "a blue cup", "a green hat", "a white dog"][: 4 - n], " " if n != 1 else "  "
    lines = [f"{LETTERS[k]}:{space}{option}" for k, option in enumerate(options)]
    asked = f"What about {DIMENSIONS[BY_CONTENT[number]]} is true of the thing in the red box, case {n}?"
    frames = [f"Made/{number}_{n}/{k:05d}.jpg" for k in range(2)]
    instruction = "Select the best option that accurately addresses the question. Give only your option letter."
    return {
        "video_id": f"{number}_{n}",
        "video_path": f"Made/{number}_{n}.mp4",
        "duration": (100, 200.5, 2000)[n],
        "question": "\n".join([asked, *lines, instruction]),
        "answer": LETTERS[(number + n) % len(options)],
        "source": "Made",
        "frame_path": frames if n == 2 else frames[0],
        "dimension": number,
        "category": 1,
    }
