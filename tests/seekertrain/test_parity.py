"""Parity: one policy and one question, through synthesis, through TRL's loop and through evaluation, give one play."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seekerdata import dataset_row
from seekerdata.dataset import messages
from seekerdata.instructions import LAST_LOOK, NO_LOOK_LEFT
from seekerdata.observation import PromptFrame, materialise
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, rollout
from seekerdata.sample import Sample
from seekerdata.tools import tool_schemas
from seekerdata.trajectory import StopReason, Trajectory
from seekerdata.video import Video
from seekereval.item import Item
from seekereval.play import play
from seekereval.presets import Preset
from seekertrain.batch import Encoder
from seekertrain.environment import trajectory

Row = dict[str, Any]
ROUNDS = 4


def call(name: str, arguments: str) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


VIEW = call("view_visual_prompt", '{"frame_path": "prompt_1"}')
CROP = call("crop_video", '{"video_path": "video", "start_time": 2.0, "end_time": 3.5}')
PAST = call("crop_video", '{"video_path": "video", "start_time": 2.0, "end_time": 999.0}')
THOUGHT = "<think>I look.</think>\n"
ANSWER = "<think>I see.</think>\n<answer>red</answer>"

SCRIPTS = {
    "looks": [THOUGHT + VIEW, THOUGHT + CROP, ANSWER],
    "refused": [THOUGHT + PAST, THOUGHT + VIEW, THOUGHT + CROP, THOUGHT + CROP, ANSWER],
    "wrong": [
        THOUGHT + call("zoom", '{"factor": 2}'),
        THOUGHT + call("crop_video", '{"video_path": "video", "self": 1}'),
        THOUGHT + '<tool_call>\n{"name": "crop_video", \n</tool_call>',
        THOUGHT + call("crop_video", '["video"]'),
        ANSWER,
    ],
    "too many at once": [THOUGHT + "\n".join([VIEW, CROP, PAST, CROP, VIEW]), ANSWER],
    "beyond the last round": [THOUGHT + VIEW] * (ROUNDS + 1),
    "no answer": [THOUGHT + VIEW, "<think>What was it?</think>"],
}


class Scripted(Policy):
    """Says one line after the other."""

    lines: tuple[str, ...]

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        return Reply(self.lines[sum(turn.role == "assistant" for turn in conversation.turns)])


@pytest.fixture(scope="module")
def row(run: Path) -> Row:
    from datasets import load_dataset

    files = sorted(str(path) for path in (run / "dataset" / "rl").glob("*.parquet"))
    found: Row = load_dataset("parquet", data_files=files, split="train")[0]
    return found


def in_synthesis(script: list[str], row: Row, run: Path) -> Trajectory:
    settings = RolloutSettings(max_rounds=ROUNDS)
    video = Video(run / "videos" / row["video_path"])
    marks = [PromptFrame(row["image"], row["frame_time_s"])]
    return asyncio.run(rollout(Scripted(lines=script), dataset_row.asked(row), video, marks, settings))


def in_evaluation(script: list[str], row: Row, run: Path, folder: Path) -> Trajectory:
    (folder / "videos").mkdir()
    (folder / "videos" / "one.mp4").symlink_to((run / "videos" / row["video_path"]).resolve())
    row["image"].save(folder / "mark.png")
    mark = dataset_row.mark(row).model_copy(update={"image": "mark.png", "raw_image": "mark.png"})
    truth = dataset_row.asked(row).model_copy(update={"visual_prompts": (mark,)}).model_dump(mode="json")
    facts = {"question": row["question"], "answer": row["answer"], "scoring": "judge", "row": {"truth": truth}}
    item = Item(id=row["id"], video="videos/one.mp4", cluster="one", **facts)
    preset = Preset(name="test", source="test", rounds=ROUNDS)
    return asyncio.run(play(item, folder, preset, "", Scripted(lines=script)))


class Seen:
    """What a reward is given of the one group that is played."""

    def __call__(self, prompts: Any, completions: Any, completion_ids: Any, environments: Any, **_: Any) -> list[float]:
        self.prompts, self.completions, self.ids, self.environments = prompts, completions, completion_ids, environments
        return [0.0, 1.0]

    @property
    def __name__(self) -> str:
        return "seen"

    def pictures(self, n: int) -> list[Any]:
        """All that a rollout was shown, in order."""
        shown = [*self.prompts[n], *(turn for turn in self.completions[n] if turn["role"] == "tool")]
        return [b["image"] for turn in shown for b in turn["content"] if not isinstance(b, str) and "image" in b]


def in_training(script: list[str], row: Row, grouped: Callable[..., Any]) -> tuple[Seen, Any]:
    seen = Seen()
    trainer = grouped([seen], script=script, play={"max_rounds": ROUNDS, "overview_fps": 1.0})
    place = trainer.rows.data["id"].index(row["id"])
    trainer.train_dataset = trainer.rows.data.select([place])
    trainer.train()
    return seen, trainer


@pytest.mark.parametrize("name", SCRIPTS)
def test_one_policy_gives_one_play_everywhere(
    name: str, row: Row, run: Path, grouped: Callable[..., Any], tmp_path: Path
) -> None:
    script = SCRIPTS[name]
    made = in_synthesis(script, row, run)
    seen, _ = in_training(script, row, grouped)
    rolled = [trajectory(environment, seen.completions[n]) for n, environment in enumerate(seen.environments)]
    for other in (*rolled, in_evaluation(script, row, run, tmp_path)):
        assert other.turns == made.turns
        assert (other.stop, other.answer) == (made.stop, made.answer)
    video, marks = Video(run / "videos" / row["video_path"]), {"prompt_1": PromptFrame(row["image"], 0.0)}
    pixels = [picture.tobytes() for picture in materialise(made.images, video, marks)]
    assert [picture.tobytes() for picture in seen.pictures(0)] == pixels
    assert all(mine is theirs for mine, theirs in zip(seen.pictures(0), seen.pictures(1), strict=True))
    answered = [turn for turn in made.turns if turn.role == "tool"]
    assert {environment.calls for environment in seen.environments} == {len(answered)}
    assert seen.environments[0].refused == sum(turn.text.startswith("Error: ") for turn in answered)


def test_the_scripts_meet_every_word_that_ends_a_play(row: Row, run: Path) -> None:
    plays = {name: in_synthesis(script, row, run) for name, script in SCRIPTS.items()}
    assert plays["beyond the last round"].stop == StopReason.MAX_ROUNDS
    assert plays["no answer"].stop == StopReason.NO_ANSWER
    told = "\n".join(turn.text for play in plays.values() for turn in play.turns if turn.role == "tool")
    for words in (LAST_LOOK, NO_LOOK_LEFT, "is past the end", "there is no tool 'zoom'", "not valid JSON"):
        assert words in told


@pytest.mark.parametrize("name", ["looks", "refused"])
def test_a_rollout_is_token_by_token_what_sft_trains_on(name: str, row: Row, run: Path, grouped: Any) -> None:
    made = in_synthesis(SCRIPTS[name], row, run)
    seen, trainer = in_training(SCRIPTS[name], row, grouped)
    encoder = Encoder(trainer.processing_class)
    as_sft = encoder.encode({"id": "one", "messages": messages(made.turns), "tools": tool_schemas()})
    prompt = trainer.processing_class.apply_chat_template(
        [seen.prompts[0]], tools=tool_schemas(), add_generation_prompt=True, tokenize=True, return_dict=True
    )["input_ids"][0]
    ids = [*prompt, *seen.ids[0]]
    assert ids == as_sft.ids[: len(ids)].tolist()
    end = trainer.processing_class.tokenizer.decode(as_sft.ids[len(ids) :])
    assert not end.strip()
    opening = {"id": "one", "messages": [*row["prompt"], *messages(made.turns[2:])], "tools": row["tools"]}
    assert encoder.encode(opening).ids.tolist() == as_sft.ids.tolist()
