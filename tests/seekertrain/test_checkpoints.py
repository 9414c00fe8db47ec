"""Checkpoints: a torn one is passed over, a full disk is said in one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from seekerdata.errors import SeekerError
from seekertrain.checkpoints import check_room, last_whole, room_for_checkpoints


def checkpoint(folder: Path, step: int) -> Path:
    """A checkpoint with the files that the trainer writes, small."""
    made = folder / f"checkpoint-{step}"
    made.mkdir(parents=True)
    save_file({"weight": torch.zeros(8)}, made / "model.safetensors")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        torch.save({"state": torch.zeros(8)}, made / name)
    (made / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return made


def cut(name: str, size: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(size)

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cut("model.safetensors", 40), "model.safetensors was not written to its end"),
        (cut("model.safetensors", 4), "model.safetensors was not written to its end"),
        (cut("optimizer.pt", 500), "optimizer.pt was not written to its end"),
        (cut("rng_state.pth", 0), "rng_state.pth was not written to its end"),
        (cut("trainer_state.json", 5), "no whole trainer_state.json"),
        (lambda folder: (folder / "trainer_state.json").unlink(), "no whole trainer_state.json"),
        (lambda folder: (folder / "rng_state.pth").unlink(), "no state of the random numbers"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: (folder / "trainer_state.json").write_text('{"global_step": 7}'), "is of step 7"),
    ],
)
def test_a_torn_checkpoint_is_passed_over(tmp_path: Path, change: Callable[[Path], None], said: str) -> None:
    good = checkpoint(tmp_path, 9)
    newer = checkpoint(tmp_path, 10)
    told: list[str] = []
    assert last_whole(tmp_path, told.append) == newer and not told
    change(newer)
    assert last_whole(tmp_path, told.append) == good
    assert len(told) == 1 and "checkpoint-10 is passed over" in told[0] and said in told[0]


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-x").mkdir()
    assert last_whole(tmp_path) is None and last_whole(tmp_path / "gone") is None


def write_text(path: Path) -> None:
    path.write_text("x" * 100_000)


def write_torch(path: Path) -> None:
    torch.save({"state": torch.zeros(100_000)}, path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("write", [write_text, write_torch])
def test_a_full_disk_is_one_line_that_names_the_last_good_checkpoint(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    checkpoint(tmp_path, 20)
    full = tmp_path / "checkpoint-40"
    full.mkdir()
    (full / "file").symlink_to("/dev/full")
    said = r"cannot write a checkpoint to .*goes on from checkpoint-20"
    with pytest.raises(SeekerError, match=said) as caught, room_for_checkpoints(tmp_path):
        write(full / "file")
    assert "\n" not in str(caught.value)


def test_other_errors_keep_their_traceback(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), room_for_checkpoints(tmp_path):
        raise RuntimeError("shapes do not match")
    with pytest.raises(FileNotFoundError), room_for_checkpoints(tmp_path):
        (tmp_path / "gone").read_text()


def test_a_checkpoint_that_does_not_fit_is_said_before_training(tmp_path: Path) -> None:
    check_room(tmp_path / "not" / "there", weights=1000, trained=10)
    with pytest.raises(SeekerError, match=r"a checkpoint takes 8000000000\.0 GB and .* GB are free"):
        check_room(tmp_path, weights=0, trained=10**18)
