"""Benchmark: the questions of one evaluation set, as its files have them. Every row becomes an item, bad ones too.

What is known to be wrong with a row is a defect of its item; nothing is dropped and nothing is repaired silently.
Ends with the Benchmark contract, which every file of `seekereval/benchmarks/` fulfils.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from pydantic import ValidationError

from seekerdata.errors import SeekerError
from seekerdata.listing import SpareIds
from seekerdata.plugin import Plugin, PluginSettingsError, make, names, near
from seekerdata.sample import LETTERS
from seekereval.archive import Archive
from seekereval.item import Graded, Item

DEFECTS = {
    "no_question": "the question is empty",
    "no_options": "there are fewer than two options",
    "empty_option": "an option is empty",
    "repeated_option": "two options have the same text",
    "repeated_gold": "the right option's text stands twice",
    "no_gold": "the right answer is not among the options, so that no reply is right",
}
"""What may be wrong with an item, by the code in `Item.defects`."""


class Hub(NamedTuple):
    """Where a benchmark's files come from, and how they lie."""

    id: str
    """Name of the dataset on the Hugging Face Hub; empty: nothing is downloaded."""
    revision: str
    """The commit these numbers are known for; `main` where none is known."""
    licence: str
    files: tuple[str, ...] = ("*",)
    """Patterns of the files that are needed."""
    archives: tuple[Archive, ...] = ()
    gated: bool = False
    """Whether its terms must be accepted on its page."""


class Count(NamedTuple):
    """How large a benchmark is, by one source that says so."""

    source: str
    items: int | None
    """None: only some groups are published."""
    groups: Mapping[str, Mapping[str, int]] = MappingProxyType({})
    """Items in every group, by grouping."""
    videos: int | None = None


class Benchmark(Plugin):
    """Contract of `seekereval/benchmarks/<name>.py`. Its fields are its settings (`mlvu:split=test`)."""

    groups: ClassVar[tuple[str, ...]] = ()
    """Groupings that every item has, the most important first."""

    @property
    def hub(self) -> Hub:
        """Where its files come from."""
        raise NotImplementedError

    @property
    def compat(self) -> tuple[str, ...]:
        """Names of other tools' rules that read replies to its questions."""
        return ()

    @property
    def submission(self) -> str:
        """The form (`submission.FORMS`) that its leaderboard takes, which every run leaves; empty: it takes none."""
        return ""

    @property
    def counts(self) -> tuple[Count, ...]:
        """What is published of its size; sources may differ."""
        return ()

    @property
    def fixtures(self) -> list[dict[str, Any]]:
        """Three rows of our own of every question type, in its format; the gold answer is right on each."""
        raise NotImplementedError

    def rows(self, data: Path) -> list[dict[str, Any]]:
        """The rows of its annotation files, in their order.

        Raises:
            SeekerError: the folder does not hold them, or a file is not what it should be.
        """
        raise NotImplementedError

    def item(self, row: dict[str, Any], data: Path | None = None) -> Item:
        """The item of one row; its paths as the files lie in `data`, or as they are published."""
        raise NotImplementedError

    def items(self, data: Path) -> list[Item]:
        """Every item, in the order of the files, ids unique. Raises SeekerError as `rows` does."""
        return unique([self.item(row, data) for row in self.rows(data)])

    def extras(self, graded: Sequence[Graded]) -> dict[str, float]:
        """Figures that only this benchmark has, such as MLVU's M-Avg; percent where they are shares."""
        return {}

    @property
    def hub_id(self) -> str:
        return self.hub.id

    @property
    def revision(self) -> str:
        return self.hub.revision

    @property
    def licence(self) -> str:
        return self.hub.licence

    @property
    def archives(self) -> tuple[Archive, ...]:
        return self.hub.archives


def benchmark(spec: str) -> Benchmark:
    """A benchmark by what a user types: `v2p_bench`, `mlvu:split=test`, `world:clips=3,seed=1`.

    Raises:
        SeekerError: no such benchmark or setting.
    """
    name, _, rest = spec.partition(":")
    settings: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise SeekerError(f"{spec}: '{part}' is no setting; write {name}:key=value")
        settings[key.strip()] = value.strip()
    try:
        return make("benchmarks", {"use": name, **settings}, package="seekereval")
    except PluginSettingsError as error:
        first = error.errors[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        hint = near(key, error.fields) if first["type"] == "extra_forbidden" else f": {first['msg']}"
        raise SeekerError(f"{spec}: {key}{hint}") from None
    except (ValidationError, ValueError) as error:
        raise SeekerError(str(error)) from None


def data_folder(which: Benchmark, given: Path | None = None) -> Path:
    """The folder of a benchmark's files: as given, else `$SEEKER_DATA/<name>`, else `~/.cache/videoseeker/<name>`."""
    if given is not None:
        return given.expanduser()
    root = os.environ.get("SEEKER_DATA") or Path("~/.cache/videoseeker")
    return Path(root).expanduser() / which.plugin_name()


def known() -> list[str]:
    """Names of all benchmarks."""
    return names("benchmarks", package="seekereval")


def unique(items: Sequence[Item]) -> list[Item]:
    """Items with ids of their own: the second of two equal rows is `<id>#2`."""
    spare, seen = SpareIds(item.id for item in items), set[str]()
    found = []
    for item in items:
        found.append(item.model_copy(update={"id": spare.like(item.id)}) if item.id in seen else item)
        seen.add(item.id)
    return found


def defects_of(question: str, options: Sequence[str], gold: str) -> tuple[str, ...]:
    """What is wrong with a multiple-choice row; `gold` is the right letter, empty if there is none."""
    plain = [" ".join(option.casefold().split()) for option in options]
    right = plain[LETTERS.index(gold)] if gold else None
    wrong = {
        "no_question": not question.strip(),
        "no_options": len(plain) < 2,
        "empty_option": "" in plain,
        "repeated_option": len(set(plain)) < len(plain),
        "repeated_gold": right is not None and plain.count(right) > 1,
        "no_gold": not gold,
    }
    return tuple(code for code, stands in wrong.items() if stands)


def gold_letter(answer: Any, options: Sequence[str]) -> str:
    """The right letter where a row names it by its letter; empty if it is none of the options' letters."""
    letter = str(answer or "").strip().strip("().:").upper()
    return letter if len(letter) == 1 and letter in LETTERS[: len(options)] else ""


def laid(data: Path | None, *folders: str) -> str:
    """Which of the folders that a set is laid out in stands in `data`; the first, as published, if none does."""
    return next((name for name in folders if data is not None and (data / name).is_dir()), folders[0])
