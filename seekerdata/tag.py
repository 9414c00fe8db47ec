"""Tag: the name of a version of a dataset, such as `v1.2.3`: a semantic version, ordered by its numbers."""

import re
from typing import NamedTuple

from seekerdata.errors import SeekerError

_FORM = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class Tag(NamedTuple):
    """Three numbers, compared in this order."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


def is_tag(text: str) -> bool:
    """Whether this is the name of a version."""
    return bool(_FORM.fullmatch(text))


def read_tag(text: str) -> Tag:
    """A tag by its name. Raises SeekerError if that is no semantic version."""
    found = _FORM.fullmatch(text)
    if not found:
        raise SeekerError(f"--tag {text}: versions are three numbers after a v, such as v1.0.0")
    return Tag(*map(int, found.groups()))


def check_new(tag: Tag, there: list[Tag], where: str) -> None:
    """Raises SeekerError unless the tag is greater than all that are there."""
    if there and tag <= max(there):
        last = max(there)
        following = Tag(last.major, last.minor, last.patch + 1)
        known = "is there already" if tag in there else f"is not greater than {last}"
        raise SeekerError(f"--tag {tag}: {known} on {where}; the next could be {following}")
