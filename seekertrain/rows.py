"""Rows: the `sft` rows that a run trains on, each with its length in tokens; what is left out stands with its reason.

No pixel is decoded here: a row's frames are read when a batch is made of it.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from seekerdata.dataset import features
from seekerdata.errors import ItemError, SeekerError

if TYPE_CHECKING:
    from datasets import Dataset

    from seekertrain.batch import Encoded, Encoder

READ = (
    *("id", "messages", "tools", "images", "media", "image", "frame_time_s", "mask", "drawn"),
    *("video_path", "video_sha256"),
)
"""Columns that training reads; the rest of a row is never loaded."""
KEPT_TOKENS = 50_000_000
"""Tokens kept in memory for the next epoch, about half a gigabyte; rows beyond are encoded again."""
_GROUPS = 50
"""Steps whose rows are sorted by length together; their order is drawn anew."""


class Data(BaseModel):
    """Where rows come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """A dataset folder of `seekerdata build`, or a hub id."""
    revision: str | None = None
    """Of a hub id: a branch, a tag, a commit."""
    video_root: Path | None = None
    """The folder of the videos, for frames kept by reference; a build's own, `../videos`, by default."""
    samples: int | None = Field(default=None, ge=1)
    """Only the first rows; all by default."""

    def videos(self) -> Path:
        """The folder that `video_path` is relative to."""
        return self.video_root or Path(self.path).parent / "videos"


class LeftOut(NamedTuple):
    """A row that is not trained on. `code` is what is counted."""

    id: str
    code: str
    reason: str


@dataclass(frozen=True)
class Rows:
    """The rows kept, each with its length in tokens, and those left out.

    `encoded` holds their tokens by id where they are few enough to stay in memory; `shortened` are the ids of those
    whose last turns were left out because they are too long.
    """

    data: "Dataset"
    videos: Path
    lengths: Sequence[int]
    encoded: Mapping[str, "Encoded"]
    shortened: Sequence[str] = ()
    left_out: Sequence[LeftOut] = ()

    def __len__(self) -> int:
        return len(self.lengths)

    def facts(self) -> dict[str, Any]:
        """Counts for manifest and card."""
        return {
            "rows": len(self),
            "shortened": len(self.shortened),
            "left_out": counted(self.left_out),
            "tokens": spread(self.lengths),
        }


def counted(left_out: Sequence[LeftOut]) -> dict[str, int]:
    """How many rows were left out, by code."""
    return dict(sorted(Counter(row.code for row in left_out).items()))


def spread(lengths: Sequence[int]) -> dict[str, int]:
    """Half, 95 % and the largest of some counts, and their sum."""
    ordered = sorted(lengths) or [0]
    half, most = (ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95))
    return {"p50": half, "p95": most, "max": ordered[-1], "sum": sum(lengths)}


def load(data: Data) -> "Dataset":
    """The `sft` rows of a dataset, columns that training reads only, pictures as they are kept.

    Raises:
        SeekerError: it cannot be found, has no such rows, or other columns.
    """
    rows = rows_of(data, "sft", READ)
    return rows.select(range(min(data.samples, len(rows)))) if data.samples else rows


def rows_of(data: Data, config: str, read: Sequence[str]) -> "Dataset":
    """All rows of a configuration, the columns `read` of them.

    Raises:
        SeekerError: it cannot be found, has no such rows, or other columns.
    """
    rows, wanted = _config(data, config), features(config)
    if missing := [name for name in read if name not in rows.features]:
        raise SeekerError(
            f"{data.path}: its '{config}' rows have no column {', '.join(missing)}; "
            "was it built by this version of seekerdata?"
        )
    if other := [name for name in read if rows.features[name] != wanted[name]]:
        raise SeekerError(f"{data.path}: its '{config}' rows have another kind of {', '.join(other)}; build it again")
    if len(set(rows["id"])) < len(rows):
        raise SeekerError(f"{data.path}: two of its '{config}' rows have one id; build it again")
    return rows.select_columns(list(read))


def questions(data: Data, ids: Sequence[str], count: int) -> list[dict[str, Any]]:
    """The `qa` rows of some `sft` rows, for free plays: the first `count` whose video is at hand.

    Raises:
        SeekerError: none is.
    """
    rows = _config(data, "qa")
    wanted, places = set(ids), list[int]()
    for place, (name, path) in enumerate(zip(rows["id"], rows["video_path"], strict=True)):
        if name in wanted and len(places) < count and (data.videos() / path).is_file():
            places.append(place)
    if not places:
        raise SeekerError(f"rollouts: no video of a held-out row is in {data.videos()}; give its video_root")
    return [rows[place] for place in places]


def _config(data: Data, config: str) -> "Dataset":
    """All rows of a configuration. A folder's files are named one by one: by the folder's name alone `datasets` would
    give the rows that it read before from another folder of that name."""
    import datasets

    datasets.disable_progress_bars()
    if (folder := Path(data.path)).is_dir():
        files = sorted(str(path) for path in (folder / config).glob("train-*.parquet"))
        if not files:
            raise SeekerError(f"{data.path}: no '{config}' rows there; give the dataset folder of a build")
        return datasets.load_dataset("parquet", data_files=files, split="train")
    try:
        return datasets.load_dataset(data.path, config, split="train", revision=data.revision)
    except FileNotFoundError:
        raise SeekerError(f"{data.path}: no dataset there; give the dataset folder of a build, or a hub id") from None
    except ConnectionError:
        raise SeekerError(f"{data.path}: no such folder, and the hub cannot be reached") from None
    except ValueError as error:
        words = " ".join(str(error).split())[:200]
        raise SeekerError(f"{data.path}: no '{config}' rows there: {words}") from None


def parted(rows: "Dataset", share: float) -> tuple["Dataset", "Dataset"]:
    """Rows to train on and rows held out; a video is in one of the two only, chosen by its content.

    Raises:
        SeekerError: one of the two is empty.
    """
    limit = int(share * 16**8)
    held = [int(sha256[:8], 16) < limit for sha256 in rows["video_sha256"]]
    parts = [rows.select([n for n, out in enumerate(held) if out is which]) for which in (False, True)]
    if not all(len(part) for part in parts):
        raise SeekerError(f"held_out_share: {share} of {len(rows)} rows leaves {len(parts[0])} to train on")
    return parts[0], parts[1]


def measured(rows: "Dataset", encoder: "Encoder", videos: Path) -> Rows:
    """Every row's length, and which rows cannot be trained on.

    Args:
        rows: as `load` gives them.
        encoder: of the model that is trained.
        videos: the folder of the videos.
    """
    from seekertrain.progress import walked

    bare = rows.select_columns([name for name in READ if name not in ("image", "images")])
    kept, lengths, shortened, left_out = list[int](), list[int](), list[str](), list[LeftOut]()
    memory: dict[str, Encoded] = {}
    there: dict[str, bool] = {}
    room = KEPT_TOKENS
    for place, row in enumerate(walked(bare, "rows measured")):
        path = row["video_path"]
        try:
            if row["media"] != "embedded" and not there.setdefault(path, (videos / path).is_file()):
                raise ItemError("missing", f"{videos / path}: no such video")
            if row["media"] == "withheld" and not row["drawn"]:
                raise ItemError("withheld", f"{row['id']}: published without pictures or how to draw its mark")
            encoded = encoder.encode(row)
        except ItemError as error:
            left_out.append(LeftOut(row["id"], error.code, error.message))
            continue
        kept.append(place)
        lengths.append(encoded.length)
        shortened += [row["id"]] * bool(encoded.turns_left_out)
        if (room := room - encoded.length) >= 0:
            memory[row["id"]] = encoded
    return Rows(rows.select(kept), videos, lengths, memory, shortened, left_out)


class ByLength:
    """Order of the rows in an epoch: those of like length stand in one step, steps in random order, the longest first.

    The order depends on seed and epoch alone, so that a run that is continued meets the same rows.

    Args:
        lengths: tokens of each row.
        step_rows: rows of one optimiser step, of all processes.
        seed: of the draw.
    """

    def __init__(self, lengths: Sequence[int], step_rows: int, seed: int) -> None:
        self.lengths, self.step_rows, self.seed, self.epoch = lengths, step_rows, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(f"{self.seed}/{self.epoch}")
        order = draw.sample(range(len(self)), len(self))
        steps: list[list[int]] = []
        for start in range(0, len(order), _GROUPS * self.step_rows):
            group = sorted(order[start : start + _GROUPS * self.step_rows], key=lambda n: -self.lengths[n])
            steps += [group[n : n + self.step_rows] for n in range(0, len(group), self.step_rows)]
        last = [steps.pop()] if steps and len(steps[-1]) < self.step_rows else []
        draw.shuffle(steps)
        longest = max(range(len(steps)), key=lambda n: max(self.lengths[i] for i in steps[n]), default=0)
        steps[:1], steps[longest : longest + 1] = steps[longest : longest + 1], steps[:1]
        return iter([n for step in steps + last for n in step])
