"""Licence: what the licence of a video lets one do with frames of it. A licence that is not known here lets nothing.

A marked frame is an altered copy of a part of the video, so a licence must allow copies and changes both. This is a
reading of licences by engineers and no legal advice; the table says its reasons so that one can disagree with it.
"""

import re
from typing import NamedTuple

ATTRIBUTION = "name the author and the source"
NOT_COMMERCIAL = "no commercial use"
ALIKE = "share what is made of it alike"


class Licence(NamedTuple):
    """A licence as a video's `licence` names it."""

    name: str
    """As it is written there."""
    tag: str
    """The hub's word for it; `other` if it has none."""
    asks: tuple[str, ...] = ()
    """What it asks of those who pass frames on."""
    refusal: str = ""
    """Why frames may not be passed on; empty if they may."""

    @property
    def commercial(self) -> bool:
        return NOT_COMMERCIAL not in self.asks


_FREE = {
    **dict.fromkeys(("apache-2.0", "apache-2", "apache-license-2.0"), ("apache-2.0", "keep the licence's notice")),
    **{name: (name, "keep the licence's notice") for name in ("mit", "bsd-2-clause", "bsd-3-clause")},
    **dict.fromkeys(("cc0", "cc0-1.0", "cc-0"), ("cc0-1.0", "")),
    **{name: (name, "") for name in ("pddl", "unlicense")},
    "public-domain": ("other", ""),
}
"""Hub's tag, and what is asked."""

_CLOSED = {
    "": "no licence is named; name it by `licence` in the row or `source.licence` in the recipe",
    "not-said": "no licence is named",
    "unknown": "nobody knows it",
    "none": "without a licence all rights are reserved",
    "all-rights-reserved": "its owner allows no copies",
    "copyrighted": "its owner allows no copies",
    "proprietary": "its owner allows no copies",
    "youtube": "YouTube's terms allow watching there, no copies",
    "youtube-standard-license": "YouTube's terms allow watching there, no copies",
    "standard-youtube-license": "YouTube's terms allow watching there, no copies",
    "fair-use": "an exception of some laws for one's own use, no licence to pass on",
    "research-only": "allows research, says nothing of passing copies on",
    "academic-use-only": "allows research, says nothing of passing copies on",
    # LLaVA-Video-178K, as sources/llava_video.py writes it
    "apache-2.0,-academic-research-and-education-only;-videos-under-their-own-sources'-terms": (
        "the licence is the annotations'; the videos are under their own sources' terms"
    ),
}

_CREATIVE_COMMONS = re.compile(r"(?:cc|creative-commons)-by(-nc)?(-nd|-sa)?(?:-(\d\.\d))?(?:-[a-z]+)?")
_TAGGED = {
    "cc-by": {"2.0", "2.5", "3.0", "4.0"},
    "cc-by-sa": {"3.0", "4.0"},
    "cc-by-nc": {"2.0", "3.0", "4.0"},
    "cc-by-nc-sa": {"2.0", "3.0", "4.0"},
}
"""Versions that the hub has a tag for (hub docs, repositories-licenses)."""


def licence(name: str) -> Licence:
    """What is known of a licence by its name in any spelling: `CC-BY-4.0`, `cc by 4.0`."""
    key = re.sub(r"[\s_]+", "-", name.strip().lower())
    if found := _CREATIVE_COMMONS.fullmatch(key):
        return _creative_commons(name, *found.groups())
    if key in _FREE:
        tag, asked = _FREE[key]
        return Licence(name, tag, (asked,) if asked else ())
    return Licence(name, "other", refusal=_CLOSED.get(key, "is not a licence that seekerdata knows (licence.py)"))


def hub_tag(names: list[str]) -> str:
    """The hub's licence tag of rows under these licences: the strictest where one forbids commercial use, the one they
    share, else `other`."""
    found = [licence(name) for name in names]
    strict = {one.tag for one in found if not one.commercial}
    tags = strict or {one.tag for one in found}
    return tags.pop() if len(tags) == 1 else "other"


def _creative_commons(name: str, nc: str | None, more: str | None, version: str | None) -> Licence:
    kind = f"cc-by{nc or ''}{more or ''}"
    asks = [ATTRIBUTION, *([NOT_COMMERCIAL] if nc else []), *([ALIKE] if more == "-sa" else [])]
    refusal = "forbids passing on what was changed, and a marked or cropped frame is changed" if more == "-nd" else ""
    tag = f"{kind}-{version}" if version in _TAGGED.get(kind, ()) else "other"
    return Licence(name, tag, tuple(asks), refusal)
