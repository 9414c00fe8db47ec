"""Plays: held-out questions played freely while training goes on, exactly as they are played after it.

Each time leaves `rollouts/step-<n>.jsonl` and the page of those plays. Importing this file loads transformers.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import Trainer, TrainerCallback

from seekerdata.dataset_row import asked, mark
from seekerdata.drawn_mark import prompt_frame
from seekerdata.errors import ItemError
from seekerdata.exhibit import Exhibit
from seekerdata.grade import grade_by_rule
from seekerdata.page import write_page
from seekerdata.sample import DIMENSIONS
from seekerdata.trajectory import Trajectory
from seekerdata.video import Video
from seekerdata.workspace import write_atomically
from seekertrain.rollout_log import looker

if TYPE_CHECKING:
    from seekertrain.sft import Rollouts, Tell

Row = dict[str, Any]


class Plays(TrainerCallback):
    """Plays every so many steps and after the last; each process plays its share, the first writes.

    Where training goes on from a model that plays already (`first`), also before the first step.

    Args:
        rows: `qa` rows that are held out.
        videos: the folder of their videos.
        settings: how often, and how long a turn may be.
        processor: of the model.
        out: the run's folder.
        tell: is told when the plays of a step could not be made.
        first: whether to play before the first step.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        videos: Path,
        settings: "Rollouts",
        processor: Any,
        out: Path,
        tell: "Tell",
        first: bool = False,
    ) -> None:
        self.rows, self.videos, self.settings = rows, videos, settings
        self.processor, self.out, self.tell, self.first = processor, out, tell, first
        self.trainer: Trainer | None = None
        """Logs the shares; set once it exists."""
        self._last = -1

    def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if self.first and state.global_step == 0 and self._last < 0:
            self._play(model, args, state)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step % self.settings.every == 0:
            self._play(model, args, state)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step != self._last:
            self._play(model, args, state)

    def _play(self, model: Any, args: Any, state: Any) -> None:
        from accelerate.utils import gather_object

        from seekerdata.player import Player, play_all

        self._last = state.global_step
        sizes = {"batch_size": self.settings.batch_size, "max_new_tokens": self.settings.max_new_tokens}
        player = Player(model=model, processor=self.processor, **sizes)
        mine = range(args.process_index, len(self.rows), args.world_size)
        played: list[tuple[int, Trajectory | str]] = []
        try:
            found = play_all(player, [self.rows[n] for n in mine], self.videos, self.settings.play)
            played = list(zip(mine, found, strict=True))
        except ItemError as error:  # a video went away: training goes on, this step's plays do not count
            played = [(n, error.message) for n in mine]
        everyone = dict(gather_object(played) if args.world_size > 1 else played)
        faults = [found for found in everyone.values() if isinstance(found, str)]
        if faults:
            self.tell(f"step {state.global_step}: no plays: {faults[0]}")
        else:
            self._write([everyone[n] for n in range(len(self.rows))], state)

    def _write(self, plays: Sequence[Any], state: Any) -> None:
        samples = [asked(row) for row in self.rows]
        right = [grade_by_rule(play.answer, sample) for play, sample in zip(plays, samples, strict=True)]
        plays = [play.model_copy(update={"correct": yes}) for play, yes in zip(plays, right, strict=True)]
        shares = {
            "plays_right": sum(right) / len(right),
            "plays_looked": sum(bool(p.calls) for p in plays) / len(plays),
            "plays_calls": sum(len(p.calls) for p in plays) / len(plays),
        }
        self._log(shares)
        if not state.is_world_process_zero:
            return
        stem = self.out / "rollouts" / f"step-{state.global_step:06d}"
        lines = [_line(play, sample) for play, sample in zip(plays, samples, strict=True)]
        write_atomically(stem.with_suffix(".jsonl"), (line.encode() for line in lines))
        exhibits = (self._exhibit(*pair) for pair in zip(self.rows, samples, plays, strict=True))
        facts = {"step": str(state.global_step), "plays": str(len(plays)), "right": f"{shares['plays_right']:.1%}"}
        title = f"{self.out.name}, step {state.global_step}"
        write_page(stem.with_suffix(".html"), title, facts, [], exhibits, dimensions=DIMENSIONS)

    def _log(self, shares: dict[str, float]) -> None:
        """Logged as the trainer logs, without ending TRL's running means or taking the place of this step's loss."""
        if self.trainer is None:
            return
        due = self.trainer.control.should_log
        Trainer.log(self.trainer, shares)
        self.trainer.control.should_log = due

    def _exhibit(self, row: Row, sample: Any, play: Trajectory) -> Exhibit:
        video = Video(self.videos / row["video_path"])
        frame = prompt_frame(row, video)
        look = looker(play.images, video, {"prompt_1": frame})
        sample = sample.model_copy(update={"visual_prompts": (mark(row),)})
        return Exhibit(sample=sample, trajectory=play, picture=look, marked=frame.picture, raw=row["raw_image"])


def _line(play: Trajectory, sample: Any) -> str:
    facts = {"id": sample.id, "right": play.correct, "answer": play.answer, "gold": sample.answer, "stop": play.stop}
    return json.dumps(facts | {"trajectory": play.model_dump()}) + "\n"  # escaped: half a character may be called with
