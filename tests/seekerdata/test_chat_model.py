"""The weights of a Qwen-VL model: whole or refused in one line, and told from others by their files."""

import shutil
from pathlib import Path

import pytest

from seekerdata.chat_model import identity, load_model
from seekerdata.errors import SeekerError

torch = pytest.importorskip("torch", reason="needs the weights extra")


@pytest.fixture
def folder(tiny_qwen: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_qwen, tmp_path / "weights"))


def refused(path: str) -> str:
    with pytest.raises(SeekerError) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_model_that_cannot_be_read_is_one_line(folder: Path) -> None:
    assert "nowhere/at/all: cannot be loaded: " in refused("nowhere/at/all")
    file = next(folder.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:100])
    assert "cannot be loaded: " in refused(str(folder))
    file.unlink()
    assert "cannot be loaded: " in refused(str(folder))


def test_a_model_without_some_of_its_parts_is_refused_and_not_filled_with_noise(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = next(folder.glob("*.safetensors"))
    parts = load_file(file)
    del parts[next(name for name in parts if name.endswith("q_proj.weight"))]
    save_file(parts, file, metadata={"format": "pt"})
    assert "does not hold the weights of a qwen3_vl: 1 of its parts are missing" in refused(str(folder))


def test_files_that_decide_tell_models_apart_and_others_do_not(folder: Path, tiny_qwen: Path) -> None:
    assert identity(str(folder)) == identity(str(tiny_qwen))
    (folder / "README.md").write_text("a card")
    (folder / "optimizer.pt").write_bytes(b"0")
    assert identity(str(folder)) == identity(str(tiny_qwen))
    (folder / "chat_template.jinja").write_text("another")
    assert identity(str(folder)) != identity(str(tiny_qwen))
