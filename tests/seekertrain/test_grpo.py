"""grpo: what is shared, what is refused, and what would be passed over in silence, in TRL's own loop."""

import copy
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from transformers.utils import get_json_schema

from seekerdata.errors import SeekerError
from seekerdata.observation import picture_hash
from seekerdata.patches import patchify
from seekerdata.rollout import RolloutSettings
from seekerdata.tools import VideoTools, tool_names, tool_schemas
from seekerdata.trajectory import StopReason
from seekertrain.environment import NO_ROOM, NOT_SHOWN, Environment, Environments, Opening, trajectory
from seekertrain.grpo import flat_share
from seekertrain.placeholders import Blind
from seekertrain.processor import load_processor
from seekertrain.shared import Kept, Pictures, share_patches

Make = Callable[..., Any]
Row = dict[str, Any]
CROP = (
    '<tool_call>\n{"name": "crop_video", "arguments": {"video_path": "video", "start_time": 2.0, "end_time": 3.5}}\n'
    "</tool_call>"
)
ANSWER = "<think>I see.</think>\n<answer>red</answer>"


class Reward:
    """Half of a group is right; keeps what it was given."""

    __name__ = "half"

    def __call__(self, completions: Any, environments: Any, **_: Any) -> list[float]:
        self.completions, self.environments = completions, environments
        return [float(n % 2) for n in range(len(completions))]


@pytest.fixture
def row(grouped: Make) -> Row:
    """A question as TRL gives it to an environment."""
    found: Row = grouped([Reward()]).rows.data[0]
    return found


@pytest.fixture
def videos(run: Path, tmp_path: Path) -> Path:
    """Copies of the videos, to be broken."""
    shutil.copytree(run / "videos", tmp_path / "videos")
    return tmp_path / "videos"


def environment(videos: Path, row: Row, **play: Any) -> Environment:
    made = Environments(videos, RolloutSettings.model_validate({"overview_fps": 0.2, **play}))()
    assert isinstance(made, Environment)
    made.reset(**row)
    return made


def told(content: list[Row]) -> str:
    return " ".join(block["text"] for block in content if block["type"] == "text")


def test_trl_describes_the_tools_as_every_prompt_does(run: Path) -> None:
    made = Environments(run / "videos", RolloutSettings())()
    public = [name for name in dir(made) if name[0] != "_" and callable(getattr(made, name))]
    assert sorted(public) == sorted([*tool_names(VideoTools), "reset"])
    assert [get_json_schema(getattr(made, name)) for name in tool_names(VideoTools)] == tool_schemas()


def test_a_look_that_shows_too_much_is_answered_by_words(run: Path, row: Row) -> None:
    made = environment(run / "videos", row, overview_max_frames=2, max_frames=5)
    assert made.frames == 2
    assert NO_ROOM in told(made.crop_video("video", 0.0, 5.0)) and made.frames == 2
    made.view_visual_prompt("prompt_1")
    assert (made.calls, made.refused, made.frames) == (2, 1, 3)


def test_a_video_that_goes_away_is_a_fault_of_the_rollout_and_no_words_of_ours(videos: Path, row: Row) -> None:
    made = environment(videos, row)
    (videos / row["video_path"]).unlink()
    assert NOT_SHOWN in told(made.crop_video("video", 2.0, 3.0))
    assert made.fault is not None and row["video_path"] in str(made.fault)
    made.reset(**row)
    assert made.fault is not None or made.calls == 0


def test_without_tools_the_mark_is_shown_at_once(run: Path, row: Row) -> None:
    made = Environments(run / "videos", RolloutSettings(mode="reasoning", overview_fps=0.2))()
    shown = made.reset(**row)
    assert not isinstance(made, Environment) and sum(block["type"] == "image" for block in shown) == 3
    assert "visual prompt frame:" in told(shown) and "prompt_1" not in told(shown)


def test_equal_pixels_are_one_picture_that_no_copy_doubles() -> None:
    pictures = Pictures()
    a, b = (PIL.Image.fromarray(np.full((8, 8, 3), 7, np.uint8)) for _ in range(2))
    one = pictures.one(picture_hash(a), a)
    assert pictures.one(picture_hash(b), b) is one
    assert copy.deepcopy([{"image": one}])[0]["image"] is one
    assert one.tobytes() == a.tobytes()


def test_what_is_kept_is_bounded() -> None:
    kept: Kept[int] = Kept(10)
    for n in range(20):
        assert kept.get(n, lambda n=n: (n, 4)) == n
    assert kept.held_bytes == 8 and kept.made == 20
    assert kept.get(19, lambda: (0, 4)) == 19 and kept.found == 1
    assert kept.get("large", lambda: (5, 11)) == 5 and kept.held_bytes == 8


def test_shared_patches_are_those_of_the_stock_processor(tiny: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [PIL.Image.fromarray(rng.integers(0, 256, (56, side, 3), dtype=np.uint8)) for side in (56, 84)]
    stock, ours = load_processor(str(tiny)), load_processor(str(tiny))
    kept = share_patches(ours)
    wanted = stock.image_processor(images=pictures, return_tensors="pt")
    for _ in range(3):
        found = ours.image_processor(images=[[pictures[0]], [pictures[1]]], return_tensors="pt")
        assert torch.allclose(found["pixel_values"], torch.as_tensor(wanted["pixel_values"]), atol=1e-5)
        assert found["image_grid_thw"].tolist() == torch.as_tensor(wanted["image_grid_thw"]).tolist()
    assert (kept.made, kept.found) == (2, 4)
    assert torch.equal(found["pixel_values"], patchify(pictures, stock.image_processor))
    ours.save_pretrained(tmp_path)
    shutil.copy(tiny / "config.json", tmp_path)
    assert load_processor(str(tmp_path)).image_processor.to_dict() == stock.image_processor.to_dict()


def test_a_group_cuts_each_picture_once(grouped: Make) -> None:
    reward = Reward()
    keys = {"num_generations": 4, "per_device_train_batch_size": 4}
    trainer = grouped([reward], script=[CROP, CROP.replace("3.5", "3.4"), ANSWER], **keys)
    before = trainer.patches.made  # TRL tries the template with a picture of its own
    trainer.train()
    shown = {image.sha256 for e in reward.environments for t in e._conversation.turns for image in t.images}
    assert trainer.patches.made - before == len(shown)
    assert trainer.patches.found > 4 * len(shown)


@pytest.mark.parametrize(
    ("said", "error"),
    [("<|image_pad|>", r"^world-.*: \d+ image tokens for"), ("<|video_pad|>", "^world-.* would be trained")],
)
def test_a_sampled_picture_token_ends_the_run_with_its_sample(grouped: Make, said: str, error: str) -> None:
    trainer = grouped([Reward()], script=[f"<think>{said}</think>\n<answer>red</answer>"])
    with pytest.raises(Blind, match=error):
        trainer.train()


def test_pictures_that_are_not_those_of_the_prompt_end_the_run_before_a_turn_is_sampled(grouped: Make) -> None:
    trainer = grouped([Reward()])
    pad = trainer._image_pad_token_id
    with pytest.raises(Blind, match="a sample of no prompt of this step: 1 image tokens for 0 features of 0 pictures"):
        trainer._generate_single_turn([[1, 2], [1, pad]], None, {}, 2)


def test_sampling_never_says_what_stands_for_a_picture(grouped: Make) -> None:
    reward = Reward()
    trainer = grouped([reward], max_completion_length=40, max_steps=2)
    trainer.train()
    (first, second) = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert np.isfinite([first["grad_norm"], second["grad_norm"]]).all()
    assert first["tools/refused_frequency"] >= 0 and first["rollouts/not_shown"] == 0


def test_a_look_that_does_not_fit_is_counted(grouped: Make) -> None:
    reward = Reward()
    trainer = grouped([reward], script=[CROP], max_completion_length=60)
    trainer.train()
    assert trainer.state.log_history[0]["tools/too_long_frequency"] == 1.0
    assert trajectory(reward.environments[0], reward.completions[0]).stop == StopReason.TOO_LONG


def test_a_turn_that_was_cut_calls_nothing(grouped: Make) -> None:
    tokenizer = grouped([Reward()]).processing_class.tokenizer
    ids = tokenizer(CROP)["input_ids"]
    assert tokenizer.parse_response(ids) == {"role": "assistant", "content": CROP, "cut": True}
    assert len(tokenizer.parse_response([*ids, tokenizer.eos_token_id])["tool_calls"]) == 1


def test_a_mistake_of_our_own_in_a_tool_keeps_its_traceback(grouped: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(VideoTools, "_crop", broken)
    with pytest.raises(ZeroDivisionError, match="ours"):
        grouped([Reward()], script=[CROP, ANSWER]).train()


@pytest.fixture
def half_broken(grouped: Make, videos: Path) -> Iterator[Any]:
    """A trainer of two groups, and the folder of its videos."""
    keys = {"num_generations": 2, "per_device_train_batch_size": 4}
    trainer = grouped([Reward()], script=[ANSWER] * 2, **keys)
    trainer.train_dataset = trainer.rows.data.select([0, 1])
    trainer.environment_factories = {None: Environments(videos, RolloutSettings())}
    trainer._environment_pool = {None: []}
    yield trainer


def test_a_question_that_cannot_be_shown_is_left_out_of_the_step(half_broken: Any, videos: Path) -> None:
    bad = half_broken.train_dataset[0]
    assert bad["video_path"] != half_broken.train_dataset[1]["video_path"]
    (videos / bad["video_path"]).write_bytes(b"no video")
    rows = [half_broken.train_dataset[n] for n in (0, 0, 1, 1)]
    half_broken.model.train()
    made = half_broken._generate_and_score_completions(rows)
    assert made["advantages"][:2].tolist() == [0.0, 0.0] and (made["advantages"][2:] != 0).all()
    assert half_broken._metrics["train"]["rollouts/not_shown"] == [0.5]


@pytest.mark.parametrize("side", ["left", "right"])
def test_pictures_stand_where_their_tokens_are_when_nobody_looks(half_broken: Any, side: str) -> None:
    row = half_broken.train_dataset[0]
    asked = enumerate(("Red?", "Blue?", "Which of them is the red one?", "Which?"))
    rows = [{**row, "id": f"world-{n}", "question": words} for n, words in asked]
    half_broken.processing_class.tokenizer.padding_side = side
    if side == "left":
        assert half_broken._generate_and_score_completions(rows)["pixel_values"].shape[0] > 0
        return
    with pytest.raises(Blind, match=r"^world-.*: the forward would look for pictures at other tokens"):
        half_broken._generate_and_score_completions(rows)


def test_a_step_of_which_nothing_can_be_shown_ends_the_run(half_broken: Any, videos: Path) -> None:
    for video in videos.rglob("*.mp4"):
        video.write_bytes(b"no video")
    with pytest.raises(SeekerError, match=r"no rollout of this step could be shown: .*mp4"):
        half_broken.train()


def test_a_step_that_no_judge_could_score_ends_the_run(grouped: Make) -> None:
    def nothing(completions: Any, **_: Any) -> list[None]:
        return [None] * len(completions)

    with pytest.raises(SeekerError, match="no rollout of this step could be scored: the judge failed on every one"):
        grouped([nothing], script=[ANSWER]).train()


def test_an_opening_is_decoded_once_for_a_group(run: Path, row: Row) -> None:
    pictures = Pictures()
    factory = Environments(run / "videos", RolloutSettings(overview_fps=0.2), pictures)
    shown = [made.reset(**row) for made in (factory(), factory())]
    assert [b["image"] for b in shown[0] if "image" in b] == [b["image"] for b in shown[1] if "image" in b]
    assert pictures.frames.misses == 2 and isinstance(factory(), Opening)


def test_groups_of_one_reward_teach_nothing_whatever_a_mean_rounds_to() -> None:
    same, differ = torch.full((1, 8), 0.8 + 0.15 + 0.05 * 0.8), torch.tensor([[0.99] * 7 + [0.985]])
    assert not torch.isclose(same.std(dim=1), torch.zeros(1)).all(), "what TRL asks"
    unscored = torch.full((1, 8), torch.nan)
    assert flat_share(torch.cat([same, differ])) == 0.5
    assert flat_share(torch.cat([same, differ, unscored, unscored])) == 0.75
