"""The dataset: `load_dataset` reads all three configurations; pictures come back, embedded or by reference."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seekerdata import shards
from seekerdata.dataset import CONFIGS, features, pictures
from seekerdata.errors import ItemError, SeekerError
from seekerdata.observation import picture_hash
from seekerdata.shards import read


@pytest.fixture(scope="module")
def loaded(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from datasets import load_dataset

    cache = str(tmp_path_factory.mktemp("cache"))
    return {config: load_dataset(str(run / "dataset"), config, split="train", cache_dir=cache) for config in CONFIGS}


def test_load_dataset_reads_every_configuration_with_its_features(loaded: dict[str, Any]) -> None:
    assert {config: len(rows) for config, rows in loaded.items()} == {"qa": 10, "sft": 10, "rl": 3}
    for config, rows in loaded.items():
        assert rows.features == features(config)


def test_qa_rows_have_everything_to_draw_the_mark_again(loaded: dict[str, Any]) -> None:
    for row in loaded["qa"]:
        marked, raw = np.asarray(row["image"]), np.asarray(row["raw_image"])
        assert marked.shape == raw.shape == (*row["video_size_wh"][::-1], 3)
        assert (marked != raw).any()
        assert row["mask"]["size"] == list(raw.shape[:2])
        assert row["phrase"] in row["question"] or row["phrase"].capitalize() in row["question"]
        assert row["tag"] not in row["question"]


def test_sft_messages_are_typed_blocks_with_openai_calls(loaded: dict[str, Any]) -> None:
    for row in loaded["sft"]:
        roles = [message["role"] for message in row["messages"]]
        assert roles[:3] == ["system", "user", "assistant"] and roles[-1] == "assistant"
        blocks = [block for message in row["messages"] for block in message["content"]]
        assert sum(block["type"] == "image" for block in blocks) == len(row["images"])
        calls = [call for message in row["messages"] for call in message["tool_calls"]]
        assert all(call["type"] == "function" and isinstance(call["function"]["arguments"], dict) for call in calls)
        assert {tool["function"]["name"] for tool in row["tools"]} == {"crop_video", "view_visual_prompt"}
        assert not any(message["loss"] for message in row["messages"] if message["role"] != "assistant")


def test_rl_rows_are_open_ended_with_a_prompt(loaded: dict[str, Any]) -> None:
    for row in loaded["rl"]:
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        words = row["prompt"][1]["content"][-1]["text"]
        assert "A. " not in words and row["question"] in words and "prompt_1" in words
        assert len(row["answer"]) > 1 or row["answer"].isdigit()


def test_pictures_by_reference_are_the_recorded_pixels(run: Path, loaded: dict[str, Any]) -> None:
    for row in loaded["sft"].select(range(3)):
        replayed = pictures({**row, "media": "reference"}, run / "videos")
        blocks = [b for m in row["messages"] for b in m["content"] if b["type"] == "image"]
        assert [picture_hash(picture) for picture in replayed] == [block["sha256"] for block in blocks]
        for embedded, exact in zip(pictures(row, Path("nowhere")), replayed, strict=True):
            difference = np.abs(np.asarray(embedded, int) - np.asarray(exact, int))
            assert difference.mean() < 4, "JPEG q95 4:4:4"


def test_another_video_is_noticed(run: Path, tmp_path: Path, loaded: dict[str, Any]) -> None:
    first, second = loaded["sft"][0], loaded["sft"][1]
    (tmp_path / first["video_path"]).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(run / "videos" / second["video_path"], tmp_path / first["video_path"])
    with pytest.raises(ItemError, match="recorded"):
        pictures({**first, "media": "reference"}, tmp_path)
    with pytest.raises(ItemError, match=first["video_path"]):
        pictures({**first, "media": "reference"}, tmp_path / "none")


def test_read_gives_the_same_rows_one_at_a_time(run: Path, loaded: dict[str, Any]) -> None:
    for config, rows in loaded.items():
        for row, same in zip(read(run / "dataset", config), rows, strict=True):
            assert row.pop("image").tobytes() == same.pop("image").tobytes()
            assert {k: v for k, v in row.items() if "image" not in k} == {
                k: v for k, v in same.items() if "image" not in k
            }


def test_a_configuration_without_rows_is_not_offered(tmp_path: Path) -> None:
    from datasets import load_dataset

    from seekerdata.build import BuildRecipe, build

    source = {"use": "world", "level": 1, "videos": 1, "questions_per_video": 1}
    build(BuildRecipe.model_validate({"name": "one", "out": tmp_path, "source": source, "engine": {"workers": 1}}))
    folder, cache = tmp_path / "dataset", str(tmp_path / "cache")
    assert list(read(folder, "rl")) == []
    assert len(load_dataset(str(folder), "sft", split="train", cache_dir=cache)) == 1
    with pytest.raises(ValueError, match="'qa', 'sft'"):
        load_dataset(str(folder), "rl", cache_dir=cache)


def test_load_dataset_never_gives_the_rows_of_another_dataset(tmp_path: Path) -> None:
    """The library's cache knows a folder by its name and its card's header alone, and every build's is `dataset`."""
    from datasets import load_dataset

    from seekerdata.build import BuildRecipe, build

    found = []
    for seed in (0, 1, 0):
        source = {"use": "world", "level": 1, "videos": 1, "questions_per_video": 1, "seed": seed}
        facts = {"name": "same", "out": tmp_path / str(seed), "source": source, "engine": {"workers": 1}}
        build(BuildRecipe.model_validate(facts))
        folder = str(tmp_path / str(seed) / "dataset")
        (row,) = load_dataset(folder, "qa", split="train", cache_dir=str(tmp_path / "cache"))
        found.append((row["id"], row["id"] == next(read(Path(folder), "qa"))["id"]))
    assert [same for _, same in found] == [True] * 3 and len(set(found)) == 2


def test_read_refuses_other_folders(tmp_path: Path) -> None:
    with pytest.raises(SeekerError, match="no 'qa' configuration here"):
        next(read(tmp_path, "qa"))


def test_shards_are_bounded_and_named_in_order(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 20_000)
    rows = raw_rows(run)
    assert shards.write_config("qa", iter(rows), tmp_path) == 10
    names = sorted(path.name for path in (tmp_path / "qa").iterdir())
    assert len(names) > 1 and names[0] == f"train-00000-of-{len(names):05d}.parquet"
    assert [row["id"] for row in read(tmp_path, "qa")] == [row["id"] for row in rows]


def raw_rows(run: Path) -> list[dict[str, Any]]:
    """Rows as a writer gives them: pictures as bytes."""
    import pyarrow.parquet

    (file,) = (run / "dataset" / "qa").iterdir()
    rows = pyarrow.parquet.read_table(file).to_pylist()
    return [{**row, "mask": json.loads(row["mask"]), "provenance": json.loads(row["provenance"])} for row in rows]


def test_card_has_a_header_and_counts(run: Path) -> None:
    import yaml

    _, header, body = (run / "dataset" / "README.md").read_text().split("---\n", 2)
    configs = {config["config_name"]: config for config in yaml.safe_load(header)["configs"]}
    assert list(configs) == list(CONFIGS) and configs["qa"]["default"]
    assert "| render | 10 | 100.0 % | 0 | 0 | 40,929 | 99.6 % |  |" in body
    assert str(run) not in body
