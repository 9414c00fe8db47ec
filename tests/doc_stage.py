"""Stage: a small folder in the place of the repository, in which the commands of a page are typed in their order.

What a page only names (`FOLDER`, a hub id, a server's address) has a stand-in here, and what takes long is made small
by more of the same options; everything else is typed as it stands.
"""

import importlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import PIL.Image
import pytest
from clips import make_clip
from doc_checks import made
from doc_commands import OWN, PAGES, Block, Command, blocks, commands
from material import ROOT
from typer.testing import CliRunner

from seekereval.benchmark import benchmark
from seekereval.item import Item

ADDRESS = r"http://\w+:8000/v1"
STAND_INS = {
    r"\bFOLDER\b": "my/folder",
    r"\bmy_set\b": "my/folder",
    r"^/data/": "data/",
    r"^hf/Qwen/.*": "hf/runs/mine_sft/model",
}
"""Names of a page, and what stands for them; searched in each word."""
SETS = {
    "v2p_bench": "dataset_info.jsonl",
    "videosiah": "rows.jsonl",
    "videomme": "videomme.json",
    "longvideobench": "lvb_val.json",
    "mlvu": "test-ground-truth/test_mcq_gt.json",
}
"""Names of their annotation files."""
NOT_TYPED = {
    "pip": "it would install",
    "vllm": "it is not installed",
    "accelerate": "it wants GPUs; its words are read",
    "hf": "it wants a token",
    "python": "it makes an environment, or measures for minutes",
    "pytest": "it is a test of its own",
    "export": "its variables are set for what follows",
    "wait": "nothing runs beside",
}
"""Why a program of a page is not started."""
FEW_STEPS = ("trainer.max_steps=2", "trainer.per_device_train_batch_size=2", "rollouts.samples=2", "rollouts.every=2")
SMALLER: dict[str, Sequence[str]] = {
    "recipes/build/quickstart.yaml": ("source.level=1", "source.videos=3", "source.questions_per_video=1"),
    "recipes/build/level1.yaml": ("source.videos=12",),
    "recipes/build/careless.yaml": ("source.videos=24",),
    "recipes/build/own_videos.yaml": ("segment=annotated",),
    "recipes/sft/quickstart.yaml": (*FEW_STEPS, "warm_up.trainer.max_steps=2", "rollouts.max_new_tokens=8"),
    "recipes/sft/careless.yaml": (*FEW_STEPS, "rollouts.max_new_tokens=8"),
    "recipes/rl/quickstart.yaml": (*FEW_STEPS, "trainer.num_generations=2", "rollouts.max_new_tokens=8"),
    "recipes/sft/videoseeker.yaml": ("model.path=runs/mine_sft/model", "held_out_share=0.3"),
}
"""What makes a recipe small, and lets it do without weights."""


class Stage:
    """The folder, which is the working directory as long as `patch` holds.

    Args:
        root: the folder.
        patch: of the test.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self._patch = root, patch
        self.url = "http://127.0.0.1:9/v1"
        """Where the server is that stands for the one of the pages."""
        self.played: list[tuple[Command, str]] = []
        """Every command that was typed, with what it printed."""
        for name in ("recipes", "docs", "bench", "Makefile", "constraints.txt"):
            (root / name).symlink_to(ROOT / name)
        (root / "plugins").mkdir()
        show_plugins(root / "plugins", patch)
        patch.chdir(root)
        patch.setenv("SEEKER_DATA", str(root / "sets"))
        patch.setattr("datasets.config.HF_DATASETS_CACHE", root / "arrow")

    def lay(self, run: Path, *places: str) -> None:
        """Copies of a finished build where a page has one."""
        for place in places:
            shutil.copytree(run, self.root / place)

    def link(self, model: Path, *places: str) -> None:
        """A model where a page has one."""
        for place in places:
            (self.root / place).parent.mkdir(parents=True, exist_ok=True)
            (self.root / place).symlink_to(model)

    def write(self, place: str, block: Block | str) -> Path:
        """A file of a block of a page."""
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        text = block if isinstance(block, str) else block.text
        path.write_text(lines(text) if path.suffix == ".jsonl" else text)
        return path

    def lay_set(self, spec: str, place: str, count: int | None = None, clips: bool = True) -> list[Item]:
        """A benchmark's folder: its own rows, and a clip and marked frames for each of them."""
        which, folder = benchmark(spec), self.root / place
        rows = [row for row in which.fixtures if "mlvu" not in spec or row.get("candidates")][:count]
        file = f"{place}/{SETS[which.plugin_name()]}"
        self.write(file, json.dumps(rows) if file.endswith(".json") else "".join(json.dumps(r) + "\n" for r in rows))
        items = [which.item(row, folder) for row in rows]
        for item in items if clips else ():
            make_clip(folder / item.video, seconds=3)
            for frame in item.marked_frames:
                (folder / frame).parent.mkdir(parents=True, exist_ok=True)
                PIL.Image.new("RGB", (64, 48), "grey").save(folder / frame)
        return items

    def play(self, page: Path, wanted: Callable[[Command], bool]) -> None:
        """Type the commands of a page in their order, apart from those that are not wanted and those that need their
        `--out`. What is not typed is printed."""
        missing: list[str] = []
        for command in commands(page):
            inner = made(command) if command.program == "make" and wanted(command) else [command]
            for each in inner:
                if each.program in NOT_TYPED:
                    print(f"{each}: not typed: {NOT_TYPED[each.program]}")
                elif not wanted(each) or any(word.startswith(place) for word in each.words for place in missing):
                    print(f"{each}: not typed by this test")
                    missing += [out for option, out in pairwise(each.words) if option == "--out"]
                else:
                    self.type(each)

    def type(self, command: Command) -> None:
        """Type one command.

        Raises:
            AssertionError: it did not end as it should.
        """
        for name, value in command.env.items():
            self._patch.setenv(name, re.sub(ADDRESS, self.url, value))
        words = small(command)
        if words[0] not in OWN:
            subprocess.run(words, check=True, cwd=self.root)
            return
        done = CliRunner().invoke(importlib.import_module(f"{words[0]}.cli").app, words[1:])
        self.played.append((command, done.output))
        assert done.exit_code == expected(words), f"{command}: {done.output} {done.exception!r}"

    def printed(self, *words: str) -> str:
        """What the commands that hold these words printed, one after the other."""
        return "".join(text for command, text in self.played if set(words) <= set(command.words))


def show_plugins(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """The plugins that the pages show whole, where the packages find them."""
    families = {"(Policy):": "seekerdata.policies", "(Benchmark):": "seekereval.benchmarks"}
    for block in (block for page in PAGES for block in blocks(page) if block.language == "python"):
        for kind, family in families.items():
            if kind in block.text:
                name = block.text.removeprefix('"""').partition(":")[0]
                (folder / family).mkdir(exist_ok=True)
                (folder / family / f"{name}.py").write_text(block.text)
                package = importlib.import_module(family)
                patch.setattr(package, "__path__", [*package.__path__, str(folder / family)])
                patch.delitem(sys.modules, f"{family}.{name}", raising=False)


def small(command: Command) -> list[str]:
    """The words that are typed for a command of a page."""
    words = [command.program, *command.words[1:]]
    for name, stand_in in STAND_INS.items():
        words = [re.sub(name, stand_in, word) for word in words]
    if "--data" not in words:
        words = ["world:clips=1,level=1" if word == "world" else word for word in words]
    changes = [change for word in words for change in SMALLER.get(word, ())]
    if words[:2] == ["seekerdata", "build"]:
        changes.append("engine.workers=1")
    if any(word.startswith("hf/") for word in words):
        words += ["--max-tokens", "4"]  # the model that stands in is not trained, and would never end
    if any("use: weights" in word for word in words):
        changes.append("solve.by.max_new_tokens=4")
    return [*words, *(part for change in changes for part in ("--set", change))]


def expected(words: Sequence[str]) -> int:
    """The exit code: 1 where a folder lacks what is published, as a small one does."""
    return int({"data", "--check"} <= set(words))


def lines(text: str) -> str:
    """JSON of a page as one line for each value."""
    try:
        return json.dumps(json.loads(text)) + "\n"
    except ValueError:
        return text


def block_of(page: Path, language: str, word: str = "") -> Block:
    """The first block of a language that holds a word."""
    return next(b for b in blocks(page) if b.language == language and word in b.text)


def agree(printed: str, block: Block) -> list[str]:
    """Lines of an output in a page that were not printed so, `...` apart."""
    said = {" ".join(line.split()) for line in printed.splitlines()}
    told = [" ".join(line.split()) for line in block.text.splitlines()]
    return [line for line in told if line not in said | {"...", ""}]
