"""Checkpoint: a folder from which training goes on. One whose writing was killed is passed over: its files tell."""

import json
import re
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from seekerdata.errors import SeekerError
from seekerdata.workspace import OUT_OF_SPACE

STATE = "trainer_state.json"
"""The file that the trainer writes last."""
WEIGHTS = ("model", "adapter_model", "pytorch_model", "mp_rank")
"""How files of weights begin; those of FSDP's shards end in .distcp."""
TORCH_SAYS = ("inline_container", "iostream error", "PytorchStreamWriter", "No space left", "os error 28")
"""Words of torch's and safetensors' own errors when a file cannot be written to its end."""


def last_whole(folder: Path, tell: Callable[[str], None] = lambda line: None) -> Path | None:
    """The newest checkpoint of a folder that was written to its end; None if there is none.

    Args:
        folder: where the trainer writes them, `checkpoint-<step>`.
        tell: is told of each that is passed over.
    """
    steps = {int(found[1]): p for p in folder.glob("checkpoint-*") if (found := re.search(r"-(\d+)$", p.name))}
    for step in sorted(steps, reverse=True):
        if not (fault := torn(steps[step], step)):
            return steps[step]
        tell(f"{steps[step]} is passed over: {fault}")
    return None


def torn(folder: Path, step: int) -> str:
    """What is missing of a checkpoint; empty if it is whole."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"no whole {STATE}"
    if state.get("global_step") != step:
        return f"{STATE} is of step {state.get('global_step')}"
    files = [path for path in folder.rglob("*") if path.is_file()]
    if not any(path.name.startswith(WEIGHTS) or path.suffix == ".distcp" for path in files):
        return "no weights"
    if not list(folder.glob("rng_state*.pth")):
        return "no state of the random numbers"
    broken = [path.relative_to(folder) for path in files if not _whole(path)]
    return f"{broken[0]} was not written to its end" if broken else ""


def _whole(path: Path) -> bool:
    """Whether a file of weights or of an optimiser ends where its own head, or its directory, says."""
    if path.suffix == ".safetensors":
        return path.stat().st_size == _safetensors_size(path)
    if path.suffix in {".pt", ".pth", ".bin"}:
        return zipfile.is_zipfile(path)  # torch's files are zips, whose directory stands at the end
    return True


def _safetensors_size(path: Path) -> int:
    """How large a safetensors file is by its head; -1 if that cannot be read."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            head = json.loads(file.read(length))
    except (struct.error, ValueError, OverflowError, MemoryError):
        return -1
    ends = [tensor["data_offsets"][1] for name, tensor in head.items() if name != "__metadata__"]
    return 8 + length + max(ends, default=0)


@contextmanager
def room_for_checkpoints(folder: Path) -> Iterator[None]:
    """Around training: a disk that fills up while a checkpoint is written is said in one line.

    torch and safetensors do not raise an OSError then but errors of their own, whose text says it.

    Raises:
        SeekerError: the disk is full or not writable.
    """
    from safetensors import SafetensorError

    try:
        yield
    except OSError as error:
        if error.errno not in OUT_OF_SPACE or not _inside(error.filename, folder):
            raise
        raise _no_room(folder, error.strerror or "") from None
    except (RuntimeError, SafetensorError) as error:
        if not any(word in str(error) for word in TORCH_SAYS):
            raise
        raise _no_room(folder, str(error).splitlines()[0]) from None


def _inside(name: str | bytes | None, folder: Path) -> bool:
    """Whether an error is about a file of the folder, as far as it says so."""
    return name is None or folder.resolve() in Path(str(name)).resolve().parents


def _no_room(folder: Path, why: str) -> SeekerError:
    good = last_whole(folder)
    goes_on = f"goes on from {good.name}" if good else "starts again"
    return SeekerError(f"cannot write a checkpoint to {folder}: {why}; make room, the same command then {goes_on}")


def check_room(folder: Path, weights: int, trained: int) -> None:
    """Before training: whether one checkpoint fits on the disk.

    Args:
        folder: where checkpoints are written.
        weights: bytes of the weights that are saved.
        trained: numbers that are trained; AdamW keeps two float32 for each.

    Raises:
        SeekerError: it does not fit.
    """
    there = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    free, needed = shutil.disk_usage(there).free, weights + 8 * trained
    if free < needed:
        text = f"a checkpoint takes {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free"
        raise SeekerError(f"{folder}: {text}; make room, or name another folder with --out")
