"""looking: looks that overlap, stall, fail or show nothing, alone and in TRL's own loop."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seekerdata.errors import ItemError
from seekerdata.rollout import RolloutSettings
from seekerdata.tools import VideoTools
from seekerdata.trajectory import StopReason
from seekertrain.environment import NOT_SHOWN, Environments, trajectory
from seekertrain.looking import Looking
from seekertrain.rewards import RewardSettings, reward_functions

Make = Callable[..., Any]
ANSWER = "<think>I see.</think>\n<answer>red</answer>"


def crop(start_s: float, end_s: float) -> str:
    span = f'"video_path": "video", "start_time": {start_s}, "end_time": {end_s}'
    return f'<tool_call>\n{{"name": "crop_video", "arguments": {{{span}}}}}\n</tool_call>'


class Reward:
    """Half of a group is right; keeps what it was given."""

    __name__ = "half"

    def __call__(self, completions: Any, environments: Any, **_: Any) -> list[float]:
        self.completions, self.environments = completions, environments
        return [float(n % 2) for n in range(len(completions))]

    def told(self, n: int) -> str:
        return " ".join(turn.text for turn in self.environments[n]._conversation.turns if turn.role == "tool")


@pytest.fixture
def videos(run: Path, tmp_path: Path) -> Path:
    """Copies of the videos, to be broken."""
    shutil.copytree(run / "videos", tmp_path / "videos")
    return tmp_path / "videos"


@pytest.fixture
def two_groups(grouped: Make, videos: Path) -> Callable[..., tuple[Any, Reward, list[dict[str, Any]]]]:
    """Makes a trainer whose step is two rows, each played so many times; also its reward and that step's rows."""

    def make(script: Any, times: int = 2, limit_s: float = 60.0, **keys: Any) -> Any:
        reward = Reward()
        keys = {"num_generations": times, "per_device_train_batch_size": 2 * times} | keys
        trainer = grouped([reward], script=script, **keys)
        trainer.environment_factories = {None: Environments(videos, RolloutSettings(), looking=Looking(limit_s))}
        trainer._environment_pool = {None: []}
        trainer.model.train()
        return trainer, reward, [trainer.rows.data[n] for n in (0, 1) for _ in range(times)]

    return make


def test_the_looks_of_a_turn_are_under_way_together(two_groups: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """None comes back before all eight have begun: one after the other would never end."""
    meet, look = threading.Barrier(8), VideoTools._crop

    def met(*call: Any) -> Any:
        meet.wait(timeout=60)
        return look(*call)

    monkeypatch.setattr(VideoTools, "_crop", met)
    trainer, reward, rows = two_groups([crop(2, 3.5), crop(1, 2), ANSWER], times=4)
    trainer._generate_and_score_completions(rows)
    assert [e.calls for e in reward.environments] == [2] * 8
    assert not any(e.fault or e.refused for e in reward.environments)


def test_the_videos_of_a_batch_are_opened_together_and_once(two_groups: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    meet, overview = threading.Barrier(2), RolloutSettings.overview

    def met(*given: Any) -> Any:
        meet.wait(timeout=60)
        return overview(*given)

    monkeypatch.setattr(RolloutSettings, "overview", met)
    trainer, reward, rows = two_groups([ANSWER])
    trainer._generate_and_score_completions(rows)
    first, second, *_ = (e._conversation.pictures for e in reward.environments)
    assert all(a is b for a, b in zip(first.values(), second.values(), strict=True))
    assert trainer.environment_factories[None].pictures.frames.misses == 2 * len(first)


def test_what_is_played_does_not_depend_on_which_look_ends_first(
    two_groups: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two calls of a turn comes back only after the second."""
    look, later = VideoTools._crop, threading.Event()

    def turned(tools: VideoTools, name: str, start_s: float, end_s: float) -> Any:
        if start_s == 1:
            assert later.wait(timeout=60)
        seen = look(tools, name, start_s, end_s)
        if start_s == 5:
            later.set()
        return seen

    script = [crop(1, 2) + "\n" + crop(5, 6) + "\n" + crop(5, 99), ANSWER]
    trainer, plain, rows = two_groups(script)
    trainer._generate_and_score_completions(rows)
    monkeypatch.setattr(VideoTools, "_crop", turned)
    trainer, reward, rows = two_groups(script)
    trainer._generate_and_score_completions(rows)
    for before, after in zip(plain.environments, reward.environments, strict=True):
        assert before._conversation.turns == after._conversation.turns
        assert (after.calls, after.refused) == (3, 1)


def test_a_look_that_stalls_is_told_and_counted_and_the_others_go_on(
    two_groups: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, never = VideoTools._crop, threading.Event()

    def stalled(tools: VideoTools, *call: Any) -> Any:
        assert tools._video is not None
        if tools._video.path.endswith(str(rows[0]["video_path"])):
            never.wait()
        return look(tools, *call)

    trainer, reward, rows = two_groups([crop(2, 3.5), crop(1, 2), ANSWER], limit_s=3.0)
    trainer.environment_factories[None].open(rows)
    for row in rows:
        trainer.environment_factories[None].opened(
            row
        )  # what is slow on a busy machine is done before the limit counts
    trainer.environment_factories[None].looking.limit_s = 0.2
    monkeypatch.setattr(VideoTools, "_crop", stalled)
    made = trainer._generate_and_score_completions(rows)
    never.set()
    faults = [e.fault and e.fault.code for e in reward.environments]
    assert faults == ["look_timeout", "look_timeout", None, None]
    assert reward.told(0).count(NOT_SHOWN) == 2 and NOT_SHOWN not in reward.told(2)
    assert made["advantages"][:2].tolist() == [0.0, 0.0] and (made["advantages"][2:] != 0).all()
    assert trainer._metrics["train"]["rollouts/not_shown"] == [0.5]


def test_a_video_that_breaks_in_the_middle_of_a_play_is_left_out(two_groups: Make, videos: Path) -> None:
    def script() -> Iterator[str]:
        (videos / rows[0]["video_path"]).write_bytes(b"no video")  # all has been opened: this is the first turn
        yield from (crop(2, 3.5), ANSWER)

    trainer, reward, rows = two_groups(script())
    made = trainer._generate_and_score_completions(rows)
    assert [e.fault is not None for e in reward.environments] == [True, True, False, False]
    assert rows[0]["video_path"] in str(reward.environments[0].fault)
    assert made["advantages"][:2].tolist() == [0.0, 0.0] and (made["advantages"][2:] != 0).all()


def test_calls_after_the_last_turn_and_of_looks_that_do_not_fit_are_not_carried_out(two_groups: Make) -> None:
    trainer, reward, rows = two_groups([crop(1, 2)] * 3, max_tool_calling_iterations=2, max_completion_length=2000)
    trainer._generate_and_score_completions(rows)
    assert [(e.calls, e._looks) for e in reward.environments] == [(2, {})] * 4
    trainer, reward, rows = two_groups([crop(1, 2)], max_completion_length=60)
    trainer._generate_and_score_completions(rows)
    assert [(e.calls, e._looks) for e in reward.environments] == [(1, {})] * 4


@pytest.mark.parametrize(
    ("script", "keys", "stop"),
    [
        ([crop(1, 2)] * 3, {"max_tool_calling_iterations": 2}, StopReason.MAX_ROUNDS),
        ([crop(1, 2)], {"max_completion_length": 60}, StopReason.TOO_LONG),
        ([""], {}, StopReason.NO_ANSWER),
    ],
)
def test_a_rollout_that_never_answers_is_wrong_and_its_state_is_told(
    grouped: Make, script: list[str], keys: dict[str, Any], stop: StopReason
) -> None:
    rewards, weights = reward_functions(RewardSettings())
    trainer = grouped(rewards, script=script, reward_weights=weights, **keys)
    rolled: list[Any] = []
    trainer.seen = lambda step, found: rolled.extend(found)
    trainer.train()
    assert [one.trajectory.stop for one in rolled] == [stop] * 2
    assert [one.rewards["accuracy"] for one in rolled] == [0.0, 0.0]
    assert trajectory(trainer.environments[0], trainer._completions[0]).answer == ""


def test_what_is_shared_is_logged(two_groups: Make) -> None:
    trainer, reward, rows = two_groups([crop(2, 3.5), crop(2, 3.5), ANSWER])
    trainer._generate_and_score_completions(rows)
    logged = {key: values[-1] for key, values in trainer._metrics["train"].items() if key.startswith("shared/")}
    shown = {image.sha256 for e in reward.environments for t in e._conversation.turns for image in t.images}
    assert logged["shared/preprocessed"] == len(shown) and logged["shared/reused"] > len(shown)
    assert logged["shared/decoded"] == trainer.environment_factories[None].pictures.frames.misses
    assert 0 < logged["shared/held_mb"] < 100


def test_one_that_hangs_takes_nobodys_place() -> None:
    looking, never, begun = Looking(limit_s=0.05, at_once=2), threading.Event(), list[int]()
    hang = [looking.start("a", never.wait) for _ in range(2)]
    rest = [looking.start("b", lambda n=n: begun.append(n) or n) for n in range(4)]
    assert [looking.result(look) for look in rest] == [0, 1, 2, 3]
    for look in hang:
        with pytest.raises(ItemError, match=r"^a: not seen within 0.05 s$"):
            looking.result(look)
    never.set()
    assert begun == [0, 1, 2, 3] and hang[0].value is None


def test_a_look_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    program = (
        "import threading\nfrom seekertrain.looking import Looking\nlooking = Looking(0.05)\n"
        "look = looking.start('a', threading.Event().wait)\ntry: looking.result(look)\n"
        "except Exception as error: print(error)"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=root)
    assert (done.stdout, done.returncode) == ("a: not seen within 0.05 s\n", 0)
