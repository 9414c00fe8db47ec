"""The collator: the same tensors as TRL's, only what is to be imitated trained, tokens and pixels never apart."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from transformers import AutoModelForImageTextToText
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from seekerdata.errors import ItemError
from seekerdata.patches import grid_of, patchify
from seekerdata.processor import chat
from seekertrain.batch import Collator, Encoder
from seekertrain.processor import load_processor, training_template

Row = dict[str, Any]
Make = Callable[..., Row]
FAMILIES = pytest.mark.parametrize("family", ["tiny", "tiny25"])


@pytest.fixture
def folder(family: str, request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(family)
    return found


@pytest.fixture
def encoder(tiny: Path) -> Encoder:
    return Encoder(load_processor(str(tiny)))


def ready(encoder: Encoder, rows: list[Row]) -> list[Row]:
    return [{"encoded": encoder.encode(row), "images": row["images"]} for row in rows]


def with_pictures(row: Row) -> list[Row]:
    """The messages with their pictures inside."""
    pictures = iter(row["images"])
    turns = chat(row["messages"])
    for turn in turns:
        blocks = turn["content"] or []
        turn["content"] = [b if b["type"] == "text" else {"type": "image", "image": next(pictures)} for b in blocks]
    return turns


@FAMILIES
def test_batches_are_those_of_trl(folder: Path, trajectory: Make) -> None:
    processor = load_processor(str(folder))
    rows = [{**trajectory("a"), "tools": []}, {**trajectory("bb", crops=2, side=84), "tools": []}]
    for row in rows:  # TRL's collator prints a line break for an empty text
        for turn in row["messages"]:
            turn["content"] = turn["content"] or [{"type": "text", "text": "<think>I look.</think>"}]
    theirs = DataCollatorForVisionLanguageModeling(
        processor=processor, assistant_only_loss=True, chat_template=training_template(processor)
    )([{"messages": with_pictures(row), "images": []} for row in rows])
    ours = Collator(Encoder(processor))(ready(Encoder(processor), rows))
    assert set(ours) == set(theirs)
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key], atol=1e-6, rtol=0)


@FAMILIES
def test_tools_stand_in_the_prompt_as_a_rollout_is_given_them(folder: Path, trajectory: Make) -> None:
    processor = load_processor(str(folder))
    row = trajectory("a")
    asked = {**row, "messages": row["messages"][:2]}
    prompt = processor.apply_chat_template(
        with_pictures(asked), tools=row["tools"], add_generation_prompt=True, tokenize=True, return_dict=True
    )["input_ids"][0]
    encoded = Encoder(processor).encode(row)
    assert encoded.ids[: len(prompt)].tolist() == list(prompt)
    assert not encoded.trained[: len(prompt)].any()
    assert encoded.trained[len(prompt)]


@FAMILIES
def test_only_what_the_model_says_is_trained(folder: Path, trajectory: Make) -> None:
    encoder = Encoder(load_processor(str(folder)))
    encoded = encoder.encode(trajectory("a", refused=True))
    text = encoder.processor.tokenizer.decode(encoded.ids[encoded.trained])
    assert text == (
        '<think>I look.</think>\n<tool_call>\n{"name": "view_visual_prompt", "arguments": {"frame_path": "prompt_1"}}\n'
        '</tool_call><|im_end|>\n<tool_call>\n{"name": "crop_video", "arguments": {"video_path": "video", '
        '"start_time": 0, "end_time": 0.5}}\n</tool_call><|im_end|>\n'
        "<think>It is red.</think>\n<answer>A</answer><|im_end|>\n"
    )
    assert not (encoded.ids[encoded.trained] == encoder.pad_id).any()


@FAMILIES
def test_packed_trajectories_do_not_see_each_other(folder: Path, trajectory: Make) -> None:
    encoder = Encoder(load_processor(str(folder)))
    rows = ready(encoder, [trajectory("a"), trajectory("bb", crops=2, side=84), trajectory("ccc", crops=0)])
    padded, packed = Collator(encoder)(rows), Collator(encoder, packing=True)(rows)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    with torch.no_grad():
        apart = model(**{k: v for k, v in padded.items() if k != "labels"}, use_cache=False).logits
        together = model(**{k: v for k, v in packed.items() if k != "labels"}, use_cache=False).logits
    lone = torch.cat([apart[n, : row["encoded"].length] for n, row in enumerate(rows)])
    torch.testing.assert_close(together[0], lone, atol=1e-4, rtol=1e-4)
    labels = torch.cat([padded["labels"][n, : row["encoded"].length] for n, row in enumerate(rows)])
    assert torch.equal(packed["labels"][0], labels)


@pytest.mark.parametrize("size_wh", [(56, 56), (57, 90), (320, 180), (20, 20), (1400, 1400), (30, 400)])
@pytest.mark.parametrize("patch", [14, 16])
def test_pictures_become_the_patches_of_the_stock_processor(size_wh: tuple[int, int], patch: int) -> None:
    settings = Qwen2VLImageProcessorPil(
        patch_size=patch, size={"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 100}, image_std=[0.3, 0.2, 0.5]
    )
    rng = np.random.default_rng(0)
    pictures = [PIL.Image.fromarray(rng.integers(0, 256, (*size_wh[::-1], 3), dtype=np.uint8)) for _ in range(2)]
    pictures.insert(1, PIL.Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8), "L"))
    theirs = settings(pictures, return_tensors="pt")
    torch.testing.assert_close(patchify(pictures, settings), theirs["pixel_values"], atol=1e-6, rtol=0)
    assert [list(grid_of(picture.size, settings)) for picture in pictures] == theirs["image_grid_thw"].tolist()


def test_a_long_trajectory_ends_before_the_looks_that_do_not_fit(tiny: Path, trajectory: Make) -> None:
    row = trajectory("a", crops=3)
    processor = load_processor(str(tiny))
    whole = Encoder(processor).encode(row)
    assert whole.turns_left_out == 0
    ends = [
        n for n, (now, then) in enumerate(zip(whole.trained, [*whole.trained[1:], False], strict=True)) if now > then
    ]
    cut = Encoder(processor, max_length=whole.length - 1).encode(row)
    assert cut.length == ends[-2] + 1
    assert (cut.turns_left_out, len(cut.grids)) == (1, len(whole.grids) - 4)
    assert np.array_equal(cut.ids, whole.ids[: cut.length])
    assert (cut.ids == Encoder(processor).pad_id).sum() == sum(Encoder(processor).features(g) for g in cut.grids)
    batch = Collator(Encoder(processor))([{"encoded": cut, "images": row["images"]}])
    assert len(batch["image_grid_thw"]) == len(cut.grids)


def test_a_trajectory_of_which_nothing_fits_or_is_trained_says_so(tiny: Path, trajectory: Make) -> None:
    processor = load_processor(str(tiny))
    with pytest.raises(ItemError, match=r"a: \d+ tokens up to the first turn") as long:
        Encoder(processor, max_length=20).encode(trajectory("a"))
    assert long.value.code == "too_long"
    row = trajectory("a")
    for turn in row["messages"]:
        turn["loss"] = False
    with pytest.raises(ItemError, match="a: no turn that is to be imitated") as idle:
        Encoder(processor).encode(row)
    assert idle.value.code == "nothing_trained"
    with pytest.raises(ItemError, match="a: no turn of the model"):
        Encoder(processor).encode({**row, "messages": row["messages"][:2]})


def test_text_that_looks_like_a_picture_is_named(encoder: Encoder, trajectory: Make) -> None:
    with pytest.raises(ItemError, match="a: 9 image tokens for 8 pictures"):
        encoder.encode(trajectory("a", thought="I see <|image_pad|>."))


def test_other_pictures_than_the_tokens_stand_for_are_named(encoder: Encoder, trajectory: Make) -> None:
    row = ready(encoder, [trajectory("a")])[0]
    other = [*row["images"][:-1], PIL.Image.new("RGB", (112, 112))]
    for pictures in (other, row["images"][:-1]):
        with pytest.raises(ItemError, match="a: its pictures are not those"):
            Collator(encoder)([{**row, "images": pictures}])
    fewer = replace(row["encoded"], grids=row["encoded"].grids[:-1])
    assert len(Collator(encoder)([{**row, "encoded": fewer}])["image_grid_thw"]) == 7
