"""Report: runs side by side: headline, states, groups, other tools' readings, tools, and what made the numbers.

One table in four forms. A number stands with its interval and the count it is over; nothing is left out of a
denominator but where another tool's rule does so, in that tool's own line.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from seekerdata.card import cell
from seekereval.results import Results, benchmark_of, groupings, leaves, short

FORMS = ("table", "markdown", "csv", "latex")
SECTIONS = ("score", "states", "groups", "read by other tools' rules", "tools and cost", "manifest")
LONGEST_FACT = 90
NOT_KNOWN = "right answers not published"


class Number(NamedTuple):
    """A figure, its 95 % interval and the items it is over, where there are any."""

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None

    def text(self, dash: str = "–") -> str:
        digits = 2 if abs(self.value) < 10 and self.n is None else 1
        whole = f"{self.value:,}" if isinstance(self.value, int) else f"{self.value:.{digits}f}"
        between = "" if self.low is None or self.high is None else f" [{self.low:.1f}{dash}{self.high:.1f}]"
        return whole + between + ("" if self.n is None else f" ({self.n:,})")


Cell = Number | str


class Line(NamedTuple):
    """One line of the table: a cell for every run, empty where a run has nothing to say."""

    section: str
    name: str
    cells: tuple[Cell, ...]


class Report(NamedTuple):
    """The table: the runs' names and its lines, section by section."""

    runs: tuple[str, ...]
    lines: list[Line]


def report(runs: Sequence[Results]) -> Report:
    """Make the table of one or more runs."""
    columns = [{**_figures(_applying(run)), **_manifest(run)} for run in runs]
    named = dict.fromkeys(key for column in columns for key, what in column.items() if what != "")
    keys = sorted(named, key=lambda key: SECTIONS.index(key[0]))
    lines = [Line(*key, tuple(column.get(key, "") for column in columns)) for key in keys]
    return Report(names(runs), lines)


def facts_of(run: Results) -> dict[str, Any]:
    """What `--json` prints of a run: `n, headline, ci95, states, groups, compat` and more; scores in percent."""
    from seekereval.scoring import summary

    chosen = benchmark_of(run)
    facts = summary(run.graded, groupings(run.graded)).facts()
    return {**facts, "extras": chosen.extras(run.graded) if chosen else {}}


def _applying(run: Results) -> dict[str, Any]:
    """The facts with only those rules that are for this benchmark's replies."""
    facts, chosen = facts_of(run), benchmark_of(run)
    rules = chosen.compat if chosen else tuple(facts["compat"])
    return {**facts, "compat": {rule: facts["compat"][rule] for rule in rules}}


def markdown(table: Report) -> str:
    """The table for a README or an issue."""
    rows = [["", *table.runs], ["---", *["---:"] * len(table.runs)]]
    for section, lines in _sections(table):
        rows.append([f"**{section}**", *[""] * len(table.runs)])
        rows += [[line.name, *map(_said, line.cells)] for line in lines]
    return "".join(f"| {' | '.join(map(cell, row))} |\n" for row in rows)


def comma_separated(table: Report) -> str:
    """One row for every figure, for other programs: run, section, name, value, interval, count."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "section", "name", "value", "low", "high", "n"])
    for line in table.lines:
        for run, what in zip(table.runs, line.cells, strict=True):
            if what != "":
                figures = what if isinstance(what, Number) else (what, None, None, None)
                writer.writerow([run, line.section, line.name, *figures])
    return out.getvalue()


def latex(table: Report) -> str:
    """A tabular with rules of the package booktabs; the manifest stands below as comments."""
    count = len(table.runs)
    lines = [f"\\begin{{tabular}}{{l{'r' * count}}}", "\\toprule", _row(["", *table.runs]), "\\midrule"]
    for section, rows in _sections(table):
        if section == "manifest":
            continue
        lines.append(f"\\multicolumn{{{count + 1}}}{{l}}{{\\textit{{{_tex(section)}}}}} \\\\")
        lines += [_row([row.name, *map(_said, row.cells)]) for row in rows]
    lines += ["\\bottomrule", "\\end{tabular}"]
    lines += [f"% {row.name}: {' | '.join(map(_said, row.cells))}" for row in table.lines if row.section == "manifest"]
    return "\n".join(lines) + "\n"


WRITERS = {"markdown": markdown, "csv": comma_separated, "latex": latex}


def drawn(table: Report) -> Any:
    """The table for a terminal, as rich draws it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawing = Table("", *table.runs, box=box.SIMPLE)
    for column in drawing.columns[1:]:
        column.justify, column.overflow = "right", "fold"
    for section, lines in _sections(table):
        drawing.add_row(Text(section, style="bold"))
        for line in lines:
            drawing.add_row(Text(f"  {line.name}"), *(Text(_said(what)) for what in line.cells))
        drawing.add_section()
    return drawing


def _figures(facts: Mapping[str, Any]) -> dict[tuple[str, str], Cell]:
    """Every figure of a run by section and name."""
    claimed = facts["headline"] is not None
    strict = _part({**facts, "score": facts["headline"]}) if claimed else f"{NOT_KNOWN} ({facts['n']:,})"
    found: dict[tuple[str, str], Cell] = {("score", "all items, strict"): strict}
    if facts["answered_only"]:
        found["score", "those answered"] = _part(facts["answered_only"])
    if facts["defect_free"] and facts["defect_free"]["n"] != facts["n"]:
        found["score", "without known defects"] = _part(facts["defect_free"])
    found |= {("score", name): Number(value) for name, value in facts["extras"].items()}
    found |= {("states", name.replace("_", " ")): Number(n) for name, n in facts["states"].items() if n}
    for grouping, values in facts["groups"].items():
        found |= {("groups", f"{grouping}: {value}"): _part(told) for value, told in values.items()}
    for rule, accuracy in facts["compat"].items():
        if facts["compat_n"][rule]:
            found["read by other tools' rules", rule] = Number(accuracy, n=facts["compat_n"][rule])
    tools = facts["tools"] if facts["tools"]["calls_per_item"] else {}
    spent = {key: facts[key] for key in ("seconds_per_item", "tokens_per_item") if facts[key]}
    for name, value in leaves({"tools": tools, **spent}).items():
        found["tools and cost", name.replace("_", " ").replace(".", ", ")] = _leaf(value)
    return found


def _part(told: Mapping[str, Any]) -> Number:
    low, high = told["ci95"] or (None, None)
    return Number(told["score"], low, high, told["n"])


def _leaf(text: str) -> Cell:
    try:
        return Number(float(text)) if "." in text else Number(int(text))
    except ValueError:
        return "" if text in ("null", "{}") else text


def _manifest(run: Results) -> dict[tuple[str, str], Cell]:
    return {("manifest", key): short(value, LONGEST_FACT) for key, value in leaves(run.manifest).items() if value}


def names(runs: Sequence[Results]) -> tuple[str, ...]:
    """Folder names; whole paths where two folders are called the same."""
    names = [run.name for run in runs]
    return tuple(name if names.count(name) == 1 else str(run.path) for name, run in zip(names, runs, strict=True))


def _sections(table: Report) -> list[tuple[str, list[Line]]]:
    found = [(name, [line for line in table.lines if line.section == name]) for name in SECTIONS]
    return [(name, lines) for name, lines in found if lines]


def _said(what: Cell) -> str:
    return what.text() if isinstance(what, Number) else what


def _row(cells: Sequence[str]) -> str:
    return f"{' & '.join(map(_tex, cells))} \\\\"


def _tex(text: str) -> str:
    """Text as LaTeX sets it."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}
    return re.sub(r"[\\~^–&%$#_{}]", lambda sign: special.get(sign[0], f"\\{sign[0]}"), text)
