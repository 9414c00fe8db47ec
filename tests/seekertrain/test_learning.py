"""The smallest proof that training teaches a model to look: from random weights to free plays, in seconds on one core.
The model is the tiny one with two layers: it learns as surely as with four, in half the time.

Which side the mark is on is in the marked frame alone, so a model that does not look is right half of the time.
"""

import asyncio
import io
import json
import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
import pytest
from transformers import TrainerState, TrainingArguments
from typer.testing import CliRunner

from seekerdata.dataset import features, messages
from seekerdata.dataset_row import asked
from seekerdata.grade import grade_by_rule
from seekerdata.observation import PromptFrame, materialise
from seekerdata.player import Player, play_all
from seekerdata.rollout import Conversation, Policy, Reply, RolloutSettings, rollout
from seekerdata.sample import Sample
from seekerdata.shards import write_config
from seekerdata.tools import tool_schemas
from seekerdata.trajectory import ToolCall, Trajectory
from seekerdata.video import Video
from seekereval.cli import app
from seekereval.results import read_results
from seekereval.view import read_trajectories
from seekertrain.batch import Collator, Encoder
from seekertrain.looks import looks
from seekertrain.plays import Plays
from seekertrain.processor import load_processor
from seekertrain.rows import Data, questions
from seekertrain.sft import Rollouts
from seekertrain.tiny import LANGUAGE, init_tiny
from tests.clips import make_clip

torch = pytest.importorskip("torch", reason="needs the train extra")

COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}
PLAY = RolloutSettings(overview_fps=0.2)
TOKENS = 60
"""Of one turn."""


class Guide(Policy):
    """Looks at the mark and says what it sees."""

    async def reply(self, conversation: Conversation, sample: Sample) -> Reply:
        if not conversation.rounds:
            call = ToolCall(id="call_1", name="view_visual_prompt", arguments={"frame_path": "prompt_1"})
            return Reply("<think>I need to see what is marked.</think>", (call,))
        thought = f"The {sample.dimension} mark is on the {sample.answer}."
        return Reply(f"<think>{thought}</think>\n<answer>{sample.answer}</answer>")


def marked_row(number: int, clip: Path) -> dict[str, Any]:
    """A question in the columns of a `qa` row: two grey squares, a coloured box around one."""
    draw = random.Random(number)
    side, colour = draw.choice(["left", "right"]), draw.choice(list(COLOURS))
    picture = np.full((56, 56, 3), draw.randint(30, 50), np.uint8)
    for which, left in (("left", 6), ("right", 34)):
        x, y = left + draw.randint(-2, 2), draw.randint(6, 34)
        if which == side:
            picture[y - 4 : y + 20, x - 4 : x + 20] = COLOURS[colour]
        picture[y : y + 16, x : x + 16] = 150
    return {
        "id": f"row-{number}",
        "image": PIL.Image.fromarray(picture),
        "frame_time_s": 1.0,
        "video_path": clip.name,
        "video_sha256": "",
        "video_duration_s": 2.0,
        "video_size_wh": [56, 56],
        "question": "On which side is the target?",
        "options": [],
        "answer": side,
        "answer_text": side,
        "dimension": colour,
        "tag": "square",
        "window_s": [],
        "event_s": [],
    }


def trajectory_row(row: dict[str, Any], clip: Path) -> dict[str, Any]:
    """The `sft` row that the guide's play of a question leaves."""
    video, prompt = Video(clip), PromptFrame(row["image"], row["frame_time_s"])
    play = asyncio.run(rollout(Guide(), asked(row), video, [prompt], PLAY))
    shown = materialise(play.images, video, {"prompt_1": prompt})
    return {"id": row["id"], "messages": messages(play.turns), "tools": tool_schemas(), "images": shown}


def fit(model: Any, encoder: Encoder, rows: list[dict[str, Any]], steps: int, size: int) -> None:
    """Steps of AdamW over batches drawn from the rows."""
    collate, draw = Collator(encoder), random.Random(0)
    ready = [{"encoded": encoder.encode(row), "images": row["images"]} for row in rows]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)
    warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 10))
    for _ in range(steps):
        model(**collate(draw.sample(ready, size))).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        warm.step()


class Learnt(NamedTuple):
    """A model that has learnt, and rows of which it has seen none."""

    model: Any
    processor: Any
    held: list[dict[str, Any]]
    folder: Path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with two layers, not trained."""
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(LANGUAGE, "num_hidden_layers", 2)
        init_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def learnt(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    from transformers import AutoModelForImageTextToText

    clip = make_clip(tmp_path_factory.mktemp("learnt") / "videos" / "clip.mp4", size=(56, 56))
    rows = [marked_row(n, clip) for n in range(192 + 64)]
    taught = [trajectory_row(row, clip) for row in rows[:192]]
    processor = load_processor(str(small))
    model = AutoModelForImageTextToText.from_pretrained(small).train()
    encoder = Encoder(processor)
    fit(model, encoder, [look for row in taught for look in looks(row)], steps=64, size=8)
    fit(model, encoder, taught, steps=24, size=6)
    return Learnt(model, processor, rows[192:], clip.parent.parent)


def test_model_learns_to_look_at_the_mark(learnt: Learnt) -> None:
    player = Player(model=learnt.model, processor=learnt.processor, max_new_tokens=TOKENS)
    plays = play_all(player, learnt.held, learnt.folder / "videos", PLAY)
    right = [grade_by_rule(play.answer, asked(row)) for play, row in zip(plays, learnt.held, strict=True)]
    looked = [[call.name for call in play.calls] for play in plays]
    assert sum(right) >= 48, f"{sum(right)} of 64 right"  # by chance once in 30,000 times
    assert looked == [["view_visual_prompt"]] * 64


def test_an_evaluation_of_the_checkpoint_is_turn_by_turn_what_training_played(learnt: Learnt) -> None:
    out, rows = learnt.folder / "run", learnt.held[:8]
    write_config("qa", map(qa_row, rows), learnt.folder / "dataset")
    data = Data(path=str(learnt.folder / "dataset"))
    held = questions(data, [row["id"] for row in rows], len(rows))
    how = Rollouts(every=1, batch_size=8, max_new_tokens=TOKENS, play=PLAY)
    settings = TrainingArguments(str(out), use_cpu=True, report_to="none")
    plays = Plays(held, data.videos(), how, learnt.processor, out, print)
    plays.on_train_end(settings, TrainerState(is_world_process_zero=True), None, learnt.model)
    learnt.model.save_pretrained(out / "model")
    learnt.processor.save_pretrained(out / "model")
    words = ["run", "world", "--data", data.path, "--model", f"hf/{out / 'model'}", "--out", str(out / "scored")]
    words += ["--set", f"fps={PLAY.overview_fps}", "--max-tokens", str(TOKENS), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in (out / "rollouts" / "step-000000.jsonl").read_text().splitlines()]
    found, graded = read_trajectories(out / "scored"), read_results(out / "scored").graded
    for line, item in zip(lines, graded, strict=True):
        mine, theirs = Trajectory.model_validate(line["trajectory"]), found[line["id"]]
        assert mine.turns == theirs.turns and mine.calls and (mine.stop, mine.answer) == (theirs.stop, theirs.answer)
        assert (item.item.id, item.score, item.answer) == (line["id"], line["right"], line["answer"])
    assert json.loads(done.stdout)["headline"] == round(100 * sum(line["right"] for line in lines) / len(lines), 6) > 0


def qa_row(row: dict[str, Any]) -> dict[str, Any]:
    """The question with every column of a dataset's `qa` row."""
    picture = io.BytesIO()
    row["image"].save(picture, "PNG")
    kept = {"bytes": picture.getvalue(), "path": None}
    marked = {"image": kept, "raw_image": kept, "shape": "rectangle", "colour": row["dimension"], "phrase": "the box"}
    return dict.fromkeys(features("qa")) | row | marked | {"box_xyxy": [0.0, 0.0, 9.0, 9.0]}
