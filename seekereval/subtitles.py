"""Subtitles: the lines spoken in a video with their times in the file that is shown. SRT and LongVideoBench's JSON."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.errors import ItemError
from seekerdata.instructions import escape_markers
from seekerdata.observation import Observation
from seekerdata.row import inside_path
from seekerdata.trajectory import Block, Image, Text
from seekereval.item import Item

_TIMES = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{1,3})\s*-->\s*(\d+):(\d\d):(\d\d)[,.](\d{1,3})")
_TAG = re.compile(r"<[^<>\n]{1,80}>")


class Subtitle(NamedTuple):
    """One spoken line."""

    start_s: float
    end_s: float
    text: str


def read_subtitles(item: Item, data: Path) -> list[Subtitle]:
    """The item's subtitles in order of time; none if it has no file. Of a cut-out, times count from its own start.

    Raises:
        ItemError: `missing`, `bad_subtitles` or `bad_path`.
    """
    if not item.subtitles:
        return []
    path = data / inside_path(item.subtitles)
    try:
        content = path.read_text("utf-8-sig", errors="replace")
        lines = _from_srt(content) if path.suffix.lower() == ".srt" else _from_json(json.loads(content))
    except OSError as error:
        raise ItemError("missing", f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ItemError("bad_subtitles", f"{path}: not subtitles that can be read ({error})") from None
    offset_s = float(item.row.get("starting_timestamp_for_subtitles") or 0)
    return sorted(Subtitle(line.start_s - offset_s, line.end_s - offset_s, line.text) for line in lines if line.text)


def spoken_at(subtitles: Sequence[Subtitle], times_s: Sequence[float]) -> list[tuple[int, str]]:
    """The lines that are spoken while one of the shown frames is, each with how many frames stand before it.

    LongVideoBench's rule: a line shorter than a second is widened by half a second to both sides, and it stands behind
    the frames up to its middle. So what is said to a model depends on how many frames it sees.
    """
    found = []
    for line in subtitles:
        slack_s = 0.5 if line.end_s - line.start_s < 1 else 0.0
        if any(line.start_s - slack_s <= time_s <= line.end_s + slack_s for time_s in times_s):
            middle_s = (line.start_s + line.end_s) / 2
            found.append((sum(time_s <= middle_s for time_s in times_s), line.text))
    return found


def interleaved(shown: Observation, subtitles: Sequence[Subtitle]) -> Observation:
    """The frames with what is spoken while they are shown between them; nothing spoken leaves them as they are."""
    frames = [block for block in shown.blocks if isinstance(block, Image)]
    lines = spoken_at(subtitles, [frame.time_s or 0.0 for frame in frames])
    blocks: list[Block] = [_spoken(words) for after, words in lines if after == 0]
    seen = 0
    for block in shown.blocks:
        blocks.append(block)
        if isinstance(block, Image):
            seen += 1
            blocks += [_spoken(words) for after, words in lines if after == seen]
    return replace(shown, blocks=tuple(blocks))


def _spoken(words: str) -> Text:
    return Text(text=escape_markers(f'Spoken: "{" ".join(words.split())}"', thoughts_too=True))


def _from_srt(content: str) -> list[Subtitle]:
    found = list(_TIMES.finditer(content))
    ends = [match.start() for match in found[1:]] + [len(content)]
    lines = []
    for match, end in zip(found, ends, strict=True):
        hours = [int(n) for n in match.groups()]
        times = [3600 * h + 60 * m + s + int(f"{ms:<03}"[:3]) / 1000 for h, m, s, ms in (hours[:4], hours[4:])]
        words = [line.strip() for line in content[match.end() : end].splitlines()]
        if end < len(content):  # the next one's number
            words = words[:-1] if words and words[-1].isdigit() else words
        lines.append(Subtitle(times[0], times[1], _TAG.sub("", " ".join(filter(None, words)))))
    return lines


def _from_json(content: Any) -> list[Subtitle]:
    """Either shape: `{"start", "end", "line"}` with h:m:s, or `{"timestamp": [start, end], "text"}` in seconds."""
    lines = []
    for entry in content:
        if "timestamp" in entry:
            start_s, end_s = entry["timestamp"]
            if isinstance(start_s, int | float):  # an unfinished line has no end
                lines.append(
                    Subtitle(float(start_s), float(start_s if end_s is None else end_s), entry["text"].strip())
                )
        else:
            lines.append(Subtitle(_clock(entry["start"]), _clock(entry["end"]), entry["line"].strip()))
    return lines


def _clock(text: str) -> float:
    """Seconds of `h:m:s`."""
    seconds = 0.0
    for part in text.replace(",", ".").split(":"):
        seconds = 60 * seconds + float(part)
    return seconds
