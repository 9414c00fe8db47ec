"""tables: what seekerdata's commands found, as lines and rich tables for a person. It prints nothing itself.

What rows say is text, never rich markup.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seekerdata.build import Report
    from seekerdata.difference import Difference
    from seekerdata.export import Exported
    from seekerdata.importing import Imported
    from seekerdata.mark import Told
    from seekerdata.pull import Pulled
    from seekerdata.push import Pushed

NUMBERS = {
    *("kept", "dropped", "failed", "made now", "rows", "items", "share"),
    *("bytes", "added", "removed", "changed"),
}
"""Columns that stand right-aligned."""


def report(made: "Report") -> Iterator[Any]:
    """What a build did: every stage, how far two judges agree, where the dataset is."""
    columns = ("stage", "kept", "dropped", "failed", "made now", "reasons")
    rows = []
    for stage in made.stages:
        reasons = ", ".join(f"{reason} {n}" for reason, n in stage["reasons"].items())
        rows.append([stage["name"], *(str(stage[key]) for key in ("kept", "dropped", "failed", "made")), reasons])
    yield table(columns, rows)
    for found in (stage["agreement"] for stage in made.stages if "agreement" in stage):
        yield from _agreement(found)
    if any(stage["dropped"] + stage["failed"] for stage in made.stages) and made.complete:
        yield f"every item with its reason: {made.out}/<stage>.jsonl"
    if not made.complete:
        yield f"stopped before a dataset; go on with: seekerdata build ... --out {made.out}"
        return
    counts = ", ".join(f"{n} {config}" for config, n in made.rows.items())
    yield f"dataset: {made.out / 'dataset'} ({counts})"
    yield f"look at it: seekerdata show {made.out}"


def _agreement(found: dict[str, Any]) -> Iterator[Any]:
    yield f"two judges: {found['first']} (decides) and {found['second']} scored {found['answers']} open answers"
    rows = [[score, *map(str, row.values())] for score, row in found["table"].items()]
    yield table(("first \\ second", *found["table"]), rows)
    exact, kappa, weighted = (found[key] for key in ("exact", "kappa", "kappa_quadratic"))
    kappas = f"Cohen's kappa {weighted} with quadratic weights, {kappa} unweighted (None: not defined)"
    yield f"equal scores {exact}, {kappas}"
    yield f"could not judge: first {found['first_failed']}, second {found['second_failed']}"


def plan(facts: dict[str, Any]) -> Iterator[Any]:
    """What a build would do, and what every model said to a probe."""
    told = {key: value for key, value in {**facts, **facts["questions"]}.items() if not isinstance(value, dict | list)}
    rows = [
        [key.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value)] for key, value in told.items()
    ]
    yield table(("", ""), rows)
    yield from _stages(facts)
    yield from _models(facts)
    for answer in facts.get("probe", ()):
        shown = " (with a picture)" if answer["frames"] else ""
        yield f"probe: {answer['model']} for {', '.join(answer['roles'])}: {answer['error'] or 'ok' + shown}"
    if facts.get("probe") == []:
        yield "probe: the recipe names no model"


def _stages(facts: dict[str, Any]) -> Iterator[Any]:
    """Who works at each stage, on how many items, and what is expected to be left."""
    rows = []
    for row in facts["stages"]:
        share = f"{100 * row['keeps'] / row['items']:.1f} %" if row["items"] else ""
        hours = "" if row["gpu_hours"] is None else f"{row['gpu_hours']}"
        hours += f" for {row['frames']:,} frames" if row["frames"] else ""
        rows.append([row["stage"], row["by"], f"{row['items']:,}", f"{row['keeps']:,}", share, hours])
    yield table(("stage", "by", "items", "kept", "share", "GPU hours"), rows)
    if "rl" in (left := facts["expected_items"]):
        yield f"of {left['dataset']:,} questions in the dataset, {left['rl']:,} are expected to be rl rows too"


def _models(facts: dict[str, Any]) -> Iterator[str]:
    """What each model takes, and what all figures take for granted."""
    from seekerdata.budget import dollars

    for row in facts["models"]:
        cost = row["note"] or dollars(row["cost"])
        keys = ("items", "calls", "images", "input_tokens", "output_tokens")
        figures = [f"{'?' if row[key] is None else format(row[key], ',')} {key.replace('_', ' ')}" for key in keys]
        yield f"{row['role']} ({row['model']}): {', '.join(figures)}, {cost}"
    yield "\n- ".join(["These are estimates:", *facts["assumptions"]])


def verdicts(found: Sequence[Any]) -> Iterator[Any]:
    """Every invariant that was checked."""
    rows = [[verdict.name, str(verdict.rows), str(verdict.failed), verdict.first] for verdict in found]
    yield table(("invariant", "rows", "failed", "first failure"), rows)


def dry_push(facts: dict[str, Any]) -> Iterator[Any]:
    """What a push would send to an empty repository."""
    files = [[path, f"{file['bytes']:,}", file["sha256"][:16]] for path, file in facts["files"].items()]
    yield table(("file", "bytes", "sha256"), files)
    rows = []
    for one in facts["licences"]:
        known = one["licence"]
        verdict = f"refused: {known['refusal']}" if known["refusal"] else ", ".join(known["asks"]) or "asks nothing"
        rows.append([known["name"] or "not said", str(one["rows"]), ", ".join(one["origins"]), verdict])
    yield table(("licence of the video", "rows", "videos from", "frames"), rows)
    counts = ", ".join(f"{n} {config}" for config, n in facts["rows"].items())
    total = sum(file["bytes"] for file in facts["files"].values())
    yield f"{facts['repo']}{' ' + facts['tag'] if facts['tag'] else ''}: {counts}, {total / 1e6:,.1f} MB"
    if facts["withheld"]:
        yield f"{facts['withheld']} rows would go without pictures"
    if facts["refused"]:
        yield "a push would be refused because of these licences; --frames reference leaves those pictures out"


def pushed(done: "Pushed") -> Iterator[str]:
    """What a push did, and which files came back otherwise than they were sent."""
    yield f"commit {done.commit[:12]}: {done.page}" if done.made else f"nothing to commit: {done.page} has these files"
    for path in done.wrong:
        yield f"{path}: came back from the hub with other bytes than were sent"
    if done.wrong:
        yield "no tag was made; push again, and look at the files if it stays so"
    elif done.tag:
        yield f"{done.tag} names commit {done.commit[:12]}; every file was read back and is right"


def pulled(done: "Pulled") -> Iterator[str]:
    """Where a version lies."""
    counts = ", ".join(f"{n} {config}" for config, n in done.rows.items())
    yield f"{done.folder}: {counts}, {'every hash checked' if done.fetched else 'here already, every hash checked'}"


def versions(found: Sequence[dict[str, Any]]) -> Iterator[Any]:
    """Versions on the hub with their rows."""
    if not found:
        yield "no versions yet; `seekerdata push DATASET REPO --tag v1.0.0` makes one"
        return
    counted = [[one["tag"], one["commit"][:12], f"{one['bytes']:,}", *map(str, one["rows"].values())] for one in found]
    yield table(("version", "commit", "bytes", *found[-1]["rows"]), counted)


def differences(found: Sequence["Difference"]) -> Iterator[Any]:
    """Rows that two datasets do not have in common."""
    rows = []
    for one in found:
        columns = [f"{name} {n}" for name, n in one.by_column().items()]
        columns += [f"new: {name}" for name in one.new_columns] + [f"gone: {name}" for name in one.gone_columns]
        rows.append([one.config, *(str(len(ids)) for ids in (one.added, one.removed, one.changed)), ", ".join(columns)])
    yield table(("configuration", "added", "removed", "changed", "in columns"), rows)
    if not any(found):
        yield "no row differs"


def marking(told: "Told") -> Iterator[Any]:
    """Where to mark, and where the rows go."""
    yield f"mark it: {told.url}"
    yield f"rows go to {told.out}; Ctrl-C ends this"


def exported(done: "Exported") -> Iterator[str]:
    """What was written for another trainer, what it cannot carry, what was left out."""
    yield f"{done.folder}: {done.rows} {done.config} rows for {done.trainer}; README.md says how to load them"
    for what, rows in done.lost.items():
        yield f"not carried, {rows} rows: {what}"
    yield f"not carried, {len(done.columns)} columns of the dataset: README.md names them"
    for code, rows in done.left_out.items():
        yield f"left out, {rows} rows: {code} (the first {len(done.reasons)} reasons are in README.md)"


def imported(done: "Imported") -> Iterator[str]:
    """What was read of somebody else's rows, what is to be known of them, what was left out."""
    yield f"dataset: {done.folder} ({done.rows} sft)"
    for what, rows in done.noted.items():
        yield f"{rows} rows: {what}"
    for code, rows in done.left_out.items():
        yield f"left out, {rows} rows: {code} ({done.folder}/left_out.jsonl)"
    yield f"look at it: seekerdata show {done.folder}"


def parts(families: dict[str, dict[str, str]]) -> Iterator[Any]:
    """The parts that a recipe can name."""
    rows = [[kind, name, text] for kind, members in families.items() for name, text in members.items()]
    yield table(("family", "name", "what it is"), rows)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """A rich table of these columns; without a head if no column has a name."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(*columns, box=box.SIMPLE, show_header=any(columns))
    for column in drawn.columns:
        column.overflow = "fold"
        if column.header in NUMBERS:
            column.justify = "right"
    for row in rows:
        drawn.add_row(*map(Text, row))
    return drawn
