"""seekerdata's command line: parse, load the recipe, call, show. What is done stands in the files it calls.

A user's mistake is one line on stderr and exit code 2; failed items or a failed check are exit code 1.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seekerdata import tables
from seekerdata.errors import SeekerError
from seekerdata.terminal import Changes, Json, Out, emit, teller, user_errors

if TYPE_CHECKING:
    from seekerdata.build import BuildRecipe, Report

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Turn video question-answer sets into visual-prompt questions and tool trajectories.",
)

RecipePath = Annotated[Path, typer.Argument(help="A recipe, such as recipes/build/quickstart.yaml.")]


@app.command()
def build(
    recipe: RecipePath,
    changes: Changes = None,
    out: Out = None,
    rank: Annotated[int | None, typer.Option(help="Work on this share of the items only, counted from 0.")] = None,
    world: Annotated[int, typer.Option(help="Number of shares.", min=1)] = 1,
    until: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
    as_json: Json = False,
) -> None:
    """Build a dataset, or continue a build that was stopped."""
    with user_errors():
        from seekerdata.build import STAGES
        from seekerdata.build import build as run
        from seekerdata.progress import Bars

        if until and until not in STAGES:
            raise SeekerError(f"--until {until}: the stages are {', '.join(STAGES)}")
        settings = _recipe(recipe, changes, out)
        with Bars(quiet=as_json or not sys.stderr.isatty()) as bars:
            report = run(settings, rank, world, until, bars)
        emit(_report_facts(report), as_json, lambda: tables.report(report))
        if report.bugs:
            print(f"{report.bugs[0].stage} {report.bugs[0].id}:\n{report.bugs[0].error}", file=sys.stderr)
            note = "items met a bug; the first is above, all are in the stage files"
            print(f"{len(report.bugs)} {note}", file=sys.stderr)
    if report.bugs:
        raise typer.Exit(1)


@app.command()
def plan(
    recipe: RecipePath,
    changes: Changes = None,
    out: Out = None,
    probe: Annotated[bool, typer.Option("--probe", help="Ask every model of the recipe once: a few tokens.")] = False,
    as_json: Json = False,
) -> None:
    """Say what a build would do: items, model calls, tokens, cost, disk. No work is done."""
    with user_errors():
        from seekerdata.plan import ask_models, estimate

        settings = _recipe(recipe, changes, out)
        facts = estimate(settings)
        probed = ask_models(settings) if probe else []
        facts |= {"probe": [p._asdict() for p in probed]} if probe else {}
        emit(facts, as_json, lambda: tables.plan(facts))
        if failed := sum(bool(p.error) for p in probed):
            raise SeekerError(f"{failed} of {len(probed)} models cannot be used as the recipe wants")


@app.command()
def show(
    run: Annotated[Path, typer.Argument(help="A run folder, or a dataset folder.")],
    html: Annotated[Path | None, typer.Option(help="Where to write the page; RUN/page.html, DATASET.html.")] = None,
    limit: Annotated[int, typer.Option(help="Show at most this many items.", min=1)] = 200,
    videos: Annotated[Path | None, typer.Option(help="The folder of the videos, where it has moved.")] = None,
    as_json: Json = False,
) -> None:
    """Write a page that shows what a run made: marks, looks, thoughts, verdicts."""
    with user_errors():
        from seekerdata.show import show as write

        page = write(run, html, limit, videos)
        emit({"page": str(page)}, as_json, lambda: [f"page: {page}"])


@app.command()
def check(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder, such as runs/quickstart/dataset.")],
    videos: Annotated[Path | None, typer.Option(help="The folder of the videos; ../videos by default.")] = None,
    as_json: Json = False,
) -> None:
    """Check every invariant that can be read off a dataset; replay its looks where the videos are at hand."""
    with user_errors():
        from seekerdata.check import check as examine

        verdicts = examine(dataset, videos)
        emit([v._asdict() for v in verdicts], as_json, lambda: tables.verdicts(verdicts))
    if any(v.failed for v in verdicts):
        raise typer.Exit(1)


@app.command()
def mark(
    video: Annotated[Path, typer.Argument(help="A video file, in the folder of a set's videos.")],
    out: Annotated[Path | None, typer.Option(help="The .jsonl file of rows; marks.jsonl beside the videos.")] = None,
    ask: Annotated[str | None, typer.Option(metavar="MODEL", help="Who plays a question; hf/FOLDER: here.")] = None,
    port: Annotated[int, typer.Option(help="Where on 127.0.0.1; any that is free by default.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Open a page to mark one thing in a video and ask about it; each question becomes a row for a build."""
    with user_errors():
        from threading import Event

        from seekerdata.mark import marking

        with marking(video, out, ask, port) as told:
            emit(told._asdict(), as_json, lambda: tables.marking(told))
            sys.stdout.flush()
            with suppress(KeyboardInterrupt):
                Event().wait()


@app.command()
def push(
    dataset: Annotated[Path, typer.Argument(help="The dataset folder of a build, or one that was pulled.")],
    repo: Annotated[str, typer.Argument(help="Where to: namespace/name on the hub; made if it is not there.")],
    tag: Annotated[str | None, typer.Option(help="Name the version, such as v1.0.0, once all was read back.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make the repository private, if it is made.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent and refused; no network.")] = False,
    frames: Annotated[str, typer.Option(help="inside, or reference: without those that a licence forbids.")] = "inside",
    as_json: Json = False,
) -> None:
    """Publish a dataset on the Hugging Face hub: one commit, and a tag when it was read back."""
    with user_errors():
        from seekerdata.push import FRAMES, dry_run
        from seekerdata.push import push as publish

        if frames not in FRAMES:
            raise SeekerError(f"--frames {frames}: is one of {', '.join(FRAMES)}")
        if dry:
            facts = dry_run(dataset, repo, tag, frames)
            emit(facts, as_json, lambda: tables.dry_push(facts))
            wrong = facts["refused"]
        else:
            done = publish(dataset, repo, tag, private, frames, teller(as_json))
            emit(done._asdict(), as_json, lambda: tables.pushed(done))
            wrong = done.wrong
    if wrong:
        raise typer.Exit(2 if dry else 1)


@app.command()
def pull(
    version: Annotated[str, typer.Argument(help="namespace/name on the hub, or namespace/name@v1.0.0.")],
    out: Annotated[Path | None, typer.Option(help="The folder to be; name-v1.0.0 here by default.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch a version of a dataset from the hub, whole and checked hash by hash."""
    with user_errors():
        from seekerdata.pull import pull as fetch

        done = fetch(version, out, teller(as_json))
        emit(done._asdict(), as_json, lambda: tables.pulled(done))


@app.command()
def versions(repo: Annotated[str, typer.Argument(help="namespace/name on the hub.")], as_json: Json = False) -> None:
    """List the versions of a dataset on the hub."""
    with user_errors():
        from seekerdata.pull import list_versions

        found = list_versions(repo, teller(as_json))
        emit(found, as_json, lambda: tables.versions(found))


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help="A dataset folder, or namespace/name@v1.0.0 on the hub.")],
    second: Annotated[str, typer.Argument(help="Another.")],
    as_json: Json = False,
) -> None:
    """Say which rows were added, removed and changed from one dataset to another, and in which columns."""
    with user_errors():
        from seekerdata.pull import diff as compare

        found = compare(first, second, teller(as_json))
        emit([one._asdict() for one in found], as_json, lambda: tables.differences(found))


@app.command()
def export(
    dataset: Annotated[Path, typer.Argument(help="A dataset folder, such as runs/quickstart/dataset.")],
    to: Annotated[str, typer.Option(help="The trainer: trl, llamafactory, ms-swift or verl.")],
    config: Annotated[str, typer.Option(help="sft, or rl.")] = "sft",
    out: Annotated[Path | None, typer.Option(help="The folder to be; DATASET-TRAINER-CONFIG by default.")] = None,
    videos: Annotated[Path | None, typer.Option(help="The folder of the videos; ../videos by default.")] = None,
    as_json: Json = False,
) -> None:
    """Write a dataset in the form that another trainer's own loader reads."""
    with user_errors():
        from seekerdata.export import export as write

        done = write(dataset, to, config, out, videos)
        emit(done._asdict(), as_json, lambda: tables.exported(done))


@app.command(name="import")
def import_(
    rows: Annotated[Path, typer.Argument(help="A published file of rows: .json, .jsonl or .parquet.")],
    form: Annotated[str, typer.Option("--from", help="Whose rows: videozoomer or longvt.")],
    media: Annotated[Path, typer.Option(help="The folder of their videos or pictures.")],
    out: Annotated[Path, typer.Option(help="The dataset folder to be.")],
    as_json: Json = False,
) -> None:
    """Read other people's tool conversations into a dataset of the same form as a build's."""
    with user_errors():
        from seekerdata.importing import import_rows

        done = import_rows(rows, form, media, out, teller(as_json))
        emit(done._asdict(), as_json, lambda: tables.imported(done))


@app.command(name="list")
def list_(
    family: Annotated[str | None, typer.Argument(help="One family, such as shapes.")] = None, as_json: Json = False
) -> None:
    """List the parts that a recipe can name."""
    with user_errors():
        from seekerdata.plugin import FAMILIES, load, names, near

        if family and family not in FAMILIES:
            raise SeekerError(f"no family '{family}'{near(family, list(FAMILIES))}")
        parts = {
            kind: {name: (load(kind, name).__doc__ or "").split("\n")[0] for name in names(kind)}
            for kind in ([family] if family else FAMILIES)
        }
        emit(parts, as_json, lambda: tables.parts(parts))


def _recipe(path: Path, changes: list[str] | None, out: Path | None) -> "BuildRecipe":
    from seekerdata.build import BuildRecipe
    from seekerdata.recipe import load_recipe

    return load_recipe(BuildRecipe, path, [*(changes or []), *([f"out={json.dumps(str(out))}"] if out else [])])


def _report_facts(report: "Report") -> dict[str, Any]:
    return {**report._asdict(), "bugs": [{"id": r.id, "stage": r.stage, "reason": r.reason} for r in report.bugs]}


if __name__ == "__main__":
    app()
