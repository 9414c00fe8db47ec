"""listed: what a command line can name: benchmarks, presets, other tools' rules, formats of files."""

from typing import Any

RULE_DROPS = "leaves replies out in which it reads nothing"
RULE_COUNTS = "counts every item"


def listed() -> dict[str, dict[str, str]]:
    """Every kind with its names and a line on each."""
    from seekerdata.plugin import load, names
    from seekereval.compat import RULES
    from seekereval.predictions import FORMATS
    from seekereval.presets import PRESETS
    from seekereval.submission import FORMS

    return {
        "benchmark": {
            name: _first_line(load("benchmarks", name, "seekereval")) for name in names("benchmarks", "seekereval")
        },
        "preset": {name: preset.source for name, preset in PRESETS.items()},
        "rule": {
            name: "leaves out what it cannot read" if rule.drops else "counts all" for name, rule in RULES.items()
        },
        "predictions": FORMATS,
        "export": {name: _first_line(form) for name, form in FORMS.items()},
    }


def drawn(parts: dict[str, dict[str, str]]) -> Any:
    """The list for a terminal, as rich draws it."""
    from rich.table import Table
    from rich.text import Text

    table = Table("kind", "name", "what it is", box=None)
    for kind, members in parts.items():
        for name, text in members.items():
            table.add_row(kind, Text(name), Text(text))
    return table


def _first_line(part: object) -> str:
    return (part.__doc__ or "").split("\n")[0]
