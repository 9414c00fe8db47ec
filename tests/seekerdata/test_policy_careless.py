"""careless: its habits are in what is kept, and only right answers are kept."""

from collections import Counter
from pathlib import Path

from seekerdata.build import BuildRecipe, build
from seekerdata.shards import read


def test_lucky_guesses_and_needless_looks_are_kept(tmp_path: Path) -> None:
    recipe = {
        "name": "careless",
        "out": tmp_path,
        "source": {"use": "world", "level": 1, "videos": 32, "questions_per_video": 1, "options": False},
        "solve": {"by": {"use": "careless", "guesses": 0.6, "twice": 0.2}, "rollout": {"overview_fps": 0.2}},
        "engine": {"workers": 1},
    }
    build(BuildRecipe.model_validate(recipe))
    habits: Counter[str] = Counter()
    for row in read(tmp_path / "dataset", "sft"):
        said = [block["text"] for turn in row["messages"] if turn["role"] == "assistant" for block in turn["content"]]
        assert f"<answer>{row['answer']}</answer>" in said[-1]
        guessed, twice = "I guess." in said[-1], any("once more" in text for text in said)
        habits["guess" if guessed else "twice" if twice else "expert"] += 1
        assert row["calls"] == 2 + twice
    assert min(habits[name] for name in ("guess", "twice", "expert")) >= 2, habits
    assert habits.total() < 24, "most guesses are wrong, and dropped"
