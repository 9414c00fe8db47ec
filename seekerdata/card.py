"""Card: a template of `cards/` filled from a run's recipe and counts. No number in a card is written by hand."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from seekerdata.budget import dollars
from seekerdata.licence import hub_tag
from seekerdata.retention import PAPER_KEPT
from seekerdata.stage import Status


@lru_cache(maxsize=8)
def template(name: str) -> Any:
    """A jinja2 template by file name, from the package's `cards` folder or the repository's.

    Undefined names raise: a card with a hole is a bug.
    """
    import jinja2

    here = Path(__file__).parent
    folders = [str(here / "cards"), str(here.parent / "cards")]
    escape = jinja2.select_autoescape(["html", "html.jinja"])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        autoescape=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"cell": cell, "number": _number, "dollars": dollars}
    return environment.get_template(name)


def cell(value: object) -> str:
    """A value safe inside a Markdown table: one line, no bar, no HTML."""
    text = " ".join(str(value).split())
    return text.replace("|", "\\|").replace("<", "&lt;")


def _number(value: float | str | None) -> str:
    """A count with its thousands apart; text as it is."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def fill_dataset_card(
    name: str,
    recipe: Mapping[str, Any],
    stages: Sequence[Mapping[str, Any]],
    rows: Mapping[str, int],
    balance: Mapping[str, Mapping[str, int]],
    facts: Mapping[str, str],
    spent: Sequence[Mapping[str, Any]],
    paid: str,
    content: str,
) -> str:
    """The dataset's README.md: YAML header that `load_dataset` and the Hub read, then what was done and counted.

    `content` is a hash of the rows. Without it in the header `load_dataset` takes two folders of one name for one, and
    gives from its cache the rows of the other.
    """
    import yaml

    size = max(rows.values(), default=0)
    limits = [
        (1_000, "n<1K"),
        (10_000, "1K<n<10K"),
        (100_000, "10K<n<100K"),
        (1_000_000, "100K<n<1M"),
    ]
    return str(
        template("dataset.md.jinja").render(
            name=name,
            recipe=yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True, width=100),
            media=recipe["dataset"]["media"],
            stages=compared(stages, rows),
            spent=spent,
            paid=paid,
            content=content,
            rows=rows,
            balance=balance,
            facts=facts,
            licence=hub_tag(list(balance["licence"])),
            size=next((label for limit, label in limits if size < limit), "n>1M"),
        )
    )


def compared(stages: Sequence[Mapping[str, Any]], rows: Mapping[str, int]) -> list[dict[str, Any]]:
    """The stages, and the rows trained by reward, with the share that each kept, beside the paper's."""
    found = [{**stage, "share": _share(stage["kept"], sum(stage[status] for status in Status))} for stage in stages]
    others = {"dropped": "", "failed": "", "reasons": {}}  # a row that is not drawn stays an sft row
    found.append({"name": "rl", "kept": rows["rl"], "share": _share(rows["rl"], rows["sft"]), **others})
    left = PAPER_KEPT["source"]
    for stage in found:
        if kept := PAPER_KEPT.get(stage["name"]):
            stage |= {"paper": f"{kept:,}", "paper_share": _share(kept, left)}
            left = kept
    return found


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""
