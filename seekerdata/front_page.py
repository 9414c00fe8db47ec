"""FrontPage: the README.md of a dataset on the hub: the card that the build wrote, with what only publishing knows.

Of that: licences, examples, plots, versions, citation. It stands between two marks and is written anew by every push.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seekerdata.card import template
from seekerdata.errors import SeekerError
from seekerdata.licence import hub_tag
from seekerdata.published import Shard
from seekerdata.rights import Finding, columns
from seekerdata.sample import digest

PICTURES = "pictures"
"""Folder of a version with what its card shows."""
EXAMPLES = 4
BALANCE = ("shape", "colour", "dimension", "answer")
COLOUR = "#0b6e75"
MOST_BARS = 20

_OURS = re.compile(r"<!-- seekerdata push:.*<!-- seekerdata push: end -->\n+", flags=re.DOTALL)
_HEADER = re.compile(r"---\n(.*?)\n---\n", flags=re.DOTALL)


class Example(NamedTuple):
    """A marked frame that the card shows."""

    path: str
    shape: str
    question: str
    options: Sequence[str]
    answer: str


def write_front_page(
    card: Path, repo: str, shards: Mapping[Shard, Path], found: Sequence[Finding], withheld: int, folder: Path
) -> dict[str, Path]:
    """Write README.md and its pictures to a folder; returns them by their paths in a version.

    Args:
        card: the README.md of the build, or of the version that was pulled.
        repo: the dataset's name on the hub.
        shards: with the files that are published.
        found: the licences of its rows.
        withheld: rows without pictures.
    """
    text = card.read_text()
    header = _HEADER.match(text)
    if not header:
        raise SeekerError(f"{card}: has no YAML header; build the dataset again")
    examples = _examples(shards, folder)
    plot = _plot(shards, folder / PICTURES / "balance.png")
    facts = _header(header[1], shards, found)
    body = re.sub(r'load_dataset\("[^"]+", "sft"', f'load_dataset("{repo}", "sft"', _OURS.sub("", text[header.end() :]))
    start, heading, rest = body.partition("\n## ")
    ours = template("published.md.jinja").render(
        repo=repo,
        title=facts["pretty_name"],
        key=re.sub(r"\W+", "_", repo),
        withheld=withheld,
        examples=examples,
        plot=plot and f"{PICTURES}/balance.png",
        findings=found,
        commercial=all(one.licence.commercial for one in found),
    )
    page = folder / "README.md"
    page.write_text(f"---\n{_yaml(facts)}---\n{start}\n{ours}{heading}{rest}")
    files = [folder / example.path for example in examples] + ([plot] if plot else [])
    return {"README.md": page} | {file.relative_to(folder).as_posix(): file for file in files}


def _header(text: str, shards: Mapping[Shard, Path], found: Sequence[Finding]) -> dict[str, Any]:
    """The header with the licence of what is published, and with the hash of these very rows."""
    import yaml

    facts: dict[str, Any] = yaml.safe_load(text)
    facts["license"] = hub_tag([one.licence.name for one in found if not one.licence.refusal])
    rows = digest([shard.sha256 for shard in sorted(shards)])
    facts["configs"] = [{**config, "description": f"rows {rows}"} for config in facts["configs"]]
    return facts


def _yaml(facts: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(dict(facts), sort_keys=False, allow_unicode=True, width=100))


def _examples(shards: Mapping[Shard, Path], folder: Path) -> list[Example]:
    """The first marked frame of each of some shapes, written as it is."""
    import pyarrow.parquet

    made: dict[str, Example] = {}
    names = ["shape", "question", "options", "answer", "image"]
    files = [file for shard, file in sorted(shards.items()) if shard.config == "qa"]
    batches = (b for file in files for b in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=8, columns=names))
    for row in (row for batch in batches for row in batch.to_pylist()):
        if row["shape"] in made or not row["image"]:
            continue
        file = folder / PICTURES / f"example-{len(made) + 1}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(row["image"]["bytes"])
        options = [f"{'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[n]}. {option}" for n, option in enumerate(row["options"])]
        path = file.relative_to(folder).as_posix()
        made[row["shape"]] = Example(path, row["shape"], row["question"], options, row["answer"])
        if len(made) == EXAMPLES:
            break
    return list(made.values())


def _plot(shards: Mapping[Shard, Path], path: Path) -> Path | None:
    """Rows of `qa` by what they are about, as bars; None without matplotlib: the card's tables say the same."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    counts = {name: Counter[str]() for name in BALANCE}
    for shard, file in shards.items():
        for row in columns(file, BALANCE) if shard.config == "qa" else ():
            for name in BALANCE:
                counts[name][row[name] or "not said"] += 1
    figure = Figure(figsize=(10, 6), dpi=100, layout="constrained")
    for axes, (name, found) in zip(figure.subplots(2, 2).flat, counts.items(), strict=True):
        bars = sorted(found.most_common(MOST_BARS), reverse=True)
        axes.barh([value for value, _ in bars], [n for _, n in bars], color=COLOUR)
        axes.set_title(f"{name}, n = {sum(found.values())}", loc="left", fontsize=11)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
    return path
