"""weights: a model of a folder plays a build's questions, loaded once and by one process."""

import asyncio
import json
from pathlib import Path

import pytest

from seekerdata.build import BuildRecipe, build
from seekerdata.errors import SeekerError
from seekerdata.observation import PromptFrame
from seekerdata.plugin import make
from seekerdata.rollout import RolloutSettings, rollout
from seekerdata.sample import Sample
from seekerdata.stages.solve import Solve
from seekerdata.video import Video

pytest.importorskip("torch", reason="needs the weights extra")


def test_a_build_plays_with_weights_in_one_process(tiny_qwen: Path, tmp_path: Path) -> None:
    by = {"use": "weights", "path": str(tiny_qwen), "max_new_tokens": 4, "device": "cpu"}
    assert Solve(by=by).loads_weights and not Solve().loads_weights
    recipe = {
        "name": "played",
        "out": tmp_path / "played",
        "source": {"use": "world", "level": 1, "videos": 2, "questions_per_video": 1},
        "filter": {"by": "rules", "allow": ["counting"]},
        "solve": {"by": by},
        "engine": {"workers": 2},
    }
    report = build(BuildRecipe.model_validate(recipe))
    lines = (tmp_path / "played" / "solve.jsonl").read_text().splitlines()
    reasons = [json.loads(line)["reason"] for line in lines]
    assert len(reasons) == 2 and all(reason.startswith("too_long: answered ''") for reason in reasons), report.bugs


def test_policies_of_equal_settings_load_once_and_answer_in_one_batch(
    tiny_qwen: Path, sample: Sample, video: Video, prompts: list[PromptFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    from seekerdata.policies import weights

    weights._loaded.cache_clear()
    weights._player.cache_clear()
    three = [make("policies", {"use": "weights", "path": str(tiny_qwen), "max_new_tokens": n}) for n in (4, 4, 5)]

    async def played() -> None:
        await asyncio.gather(*(rollout(one, sample, video, prompts, RolloutSettings()) for one in three))

    asyncio.run(played())
    assert weights._loaded.cache_info().misses == 1 and weights._player.cache_info().misses == 2
    assert weights._player(three[0]) is weights._player(three[1])


@pytest.mark.parametrize(
    ("path", "said"), [("./none", "there is no such folder"), ("{folder}", "it has no config.json")]
)
def test_a_path_that_is_no_model_is_said_before_a_build(path: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SeekerError, match=said):
        Solve(by={"use": "weights", "path": path.format(folder=tmp_path)}).check_ready()
