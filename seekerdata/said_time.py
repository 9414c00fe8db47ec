"""SaidTime: a moment of the video as people write it: `80.5 s`, `1:20`, `1 min 20 s`. Lengths of time, scores and wall
clocks are none, as far as the words about them tell.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_SECOND = r"(\d+(?:\.\d+)?) ?(?:s|secs?|seconds?)\b"
_FORMS = re.compile(
    r"(?<![\d:.,])(?:(?P<hours>\d{1,2}):)?(?P<minutes>\d{1,3}):(?P<seconds>[0-5]\d(?:\.\d+)?)(?![\d:])"
    rf"|(?<![\d:.])(?P<spelt>\d+) ?m(?:ins?|inutes?)?\.?,? ?(?:and )?{_SECOND}"
    rf"|(?<![\d:.])(?!(?:1[89]|20)\d0s\b){_SECOND}",
    flags=re.IGNORECASE,
)
_LENGTH_BEFORE = re.compile(
    r"\b(?:for|within|over|lasts?|lasting|takes?|taking|first|last|next|every|an?|(?:span|stretch|length) of)\s"
    r"(?:the\s)?(?:(?:about|around|roughly|only|just)\s)?$",
    flags=re.IGNORECASE,
)
_LENGTH_AFTER = re.compile(
    r"\s(?:later|earlier|long|apart|after|ago|more|video|clip|crop|window|stretch|segment|span)\b"
)
_PLACED = re.compile(
    r"(?:\b(?:at|from|to|until|till|around|about|near|between|and|or|after|before|since|by|through|times?|timestamps?)"
    r"|[\[(<~–—-])[\s:]*$",
    flags=re.IGNORECASE,
)
_RANGE = re.compile(r"\s?(?:[-–—]|to|until)\s?\d+:\d\d")
_COUNTS = re.compile(
    r"\b(?:clocks?|timers?|(?:the|an?|his|her|their) watch|scores?|scoreboards?|ratios?|won|wins?)\b[^.!?\n]*$",
    flags=re.IGNORECASE,
)
_CLOCK_AFTER = re.compile(r"\s?(?:[ap]\.?m\b|o'clock)", flags=re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


class SaidTime(NamedTuple):
    """One moment."""

    words: str
    """As it is written."""
    time_s: float
    whole: bool
    """Written in minutes and whole seconds, so that it may stand for a stamp up to a second later."""

    def is_one_of(self, times: set[float]) -> bool:
        """Whether one of the times, rounded to tenths of a second, is meant."""
        if self.whole:
            return any(-0.5 <= time - self.time_s < 1.0 for time in times)
        return round(self.time_s, 1) in times


def said_times(text: str) -> Iterator[SaidTime]:
    """The moments that a text names, in order."""
    for match in _FORMS.finditer(text):
        before, after = text[max(0, match.start() - 200) : match.start()], text[match.end() : match.end() + 20]
        if match["minutes"] is None:
            named = not (_LENGTH_BEFORE.search(before) or _LENGTH_AFTER.match(after))
        else:
            counted = _COUNTS.search(before) or _CLOCK_AFTER.match(after)
            placed = match["hours"] or match[0].startswith("0") or _PLACED.search(before) or _RANGE.match(after)
            named = bool(placed and not counted)
        if named:
            yield _read(match)


def every_number(text: str) -> set[float]:
    """Whatever in a text could be a time, in seconds: its plain numbers, and minutes and seconds in any sense."""
    plain = {round(float(number), 1) for number in _NUMBER.findall(text)}
    return plain | {round(_read(match).time_s, 1) for match in _FORMS.finditer(text)}


def _read(match: re.Match[str]) -> SaidTime:
    if match["minutes"] is not None:
        seconds, minutes = match["seconds"], int(match["hours"] or 0) * 60 + int(match["minutes"])
    else:
        seconds, minutes = match[5] or match[6], int(match["spelt"] or 0)
    in_minutes = match["minutes"] is not None or match["spelt"] is not None
    return SaidTime(match[0], minutes * 60 + float(seconds), in_minutes and "." not in seconds)
