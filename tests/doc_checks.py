"""Check: what can be said of a documented command without running it, by its program. A fault is an AssertionError.

A command of ours is read by its own parser, its recipe loaded with every `--set`; others by what they name.
"""

import ast
import importlib.util
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pytest
from doc_commands import OWN, Command, simple
from material import ROOT
from packaging.requirements import Requirement
from typer.main import get_command
from typer.testing import CliRunner

from seekerdata.recipe import load_recipe

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VLLM = {"--enable-auto-tool-choice", "--tool-call-parser", "--model", "--tensor-parallel-size"}
"""Options of `vllm serve` and `trl vllm-serve` that the documentation uses."""


def own(command: Command) -> None:
    """One of ours: its options exist and have values that they take, its recipe loads with every `--set`."""
    program, verb, *words = command.program, *command.words[1:]
    group: Any = get_command(importlib.import_module(f"{program}.cli").app)
    assert verb in group.commands, f"{command}: no such command"
    given = group.commands[verb].make_context(verb, words).params
    if "recipe" in given:
        load_recipe(recipe_kind(program, verb, given), given["recipe"], given["changes"] or ())
    elif program == "seekereval" and verb == "run":
        evaluation(given)


def recipe_kind(program: str, verb: str, given: dict[str, Any]) -> Any:
    from seekerdata.build import BuildRecipe

    if program == "seekerdata":
        return BuildRecipe
    from seekertrain.rl import RlRecipe, kind_of
    from seekertrain.sft import SftRecipe

    kinds: dict[str, Any] = {"sft": SftRecipe, "rl": RlRecipe}
    return kinds.get(verb) or kind_of(given["recipe"], given["changes"] or ())


def evaluation(given: dict[str, Any]) -> None:
    """The benchmark, its preset with what is changed of it, and the model's settings can be what is asked for."""
    from seekereval.benchmark import benchmark
    from seekereval.command import overrides, price_of, settings_of
    from seekereval.presets import preset_of

    benchmark(given["bench"])
    named = {key: given[key] for key in ("mode", "calls", "decoder", "temperature", "max_tokens")}
    preset = preset_of(given["preset"], **named, **overrides(given["sets"] or ()))
    settings_of(given["model"], given["base_url"], given["concurrency"], preset)
    price_of(given["price"])


def make(command: Command) -> None:
    """A target of the Makefile; what it would run of ours is checked, too."""
    for inner in made(command):
        own(inner)


def made(command: Command) -> list[Command]:
    """Our commands that make would run for a target."""
    done = subprocess.run(["make", "-n", *command.words[1:]], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    lines = done.stdout.replace("\\\n", " ").splitlines()
    found = [inner for line in lines for inner in simple(command.where, line, {})]
    return [Command(c.where, (c.program, *c.words[1:]), c.env) for c in found if c.words and c.program in OWN]


def pip(command: Command) -> None:
    """Files that it is given exist, what it names of this project has the extras, other requirements can be read."""
    assert command.words[1] == "install", command
    words = list(command.words[2:])
    while words:
        word = words.pop(0)
        if word in ("-c", "-r"):
            assert Path(words.pop(0)).is_file(), command
        elif not word.startswith("-"):
            extras = re.fullmatch(r"\.(?:\[(.*)\])?", word)
            wanted = Requirement(PROJECT["project"]["name"] + word[1:] if extras else word)
            if wanted.name == PROJECT["project"]["name"]:
                assert wanted.extras <= set(PROJECT["project"]["optional-dependencies"]), command
        else:
            assert word in ("-e", "--no-deps", "--no-build-isolation"), command


def python(command: Command) -> None:
    """A script of the repository that knows the options, or a module."""
    script, *words = command.words[1:]
    if script == "-m":
        assert importlib.util.find_spec(words[0]), command
        return
    source = Path(script).read_text()
    ast.parse(source)
    for word in words:
        assert not word.startswith("--") or f'"{word}"' in source, f"{command}: {word}"


def tests(command: Command) -> None:
    """pytest: the files exist, so do the marks."""
    words = list(command.words[1:])
    marks = [mark.partition(":")[0] for mark in PROJECT["tool"]["pytest"]["ini_options"]["markers"]]
    while words:
        word = words.pop(0)
        if word == "-m":
            assert words.pop(0) in marks, command
        else:
            assert word == "-s" or Path(word).is_file(), command


def accelerate(command: Command) -> None:
    """Its own parser reads it, its file of settings exists, and what it launches is a command of ours."""
    pytest.importorskip("accelerate", reason="needs the train extra")
    from accelerate.commands.launch import launch_command_parser

    assert command.words[1] == "launch", command
    words = ["recipes/sft/videoseeker.yaml" if w == "RECIPE" else w for w in command.words[2:]]
    if "rl" in words:
        words = [word.replace("recipes/sft", "recipes/rl") for word in words]
    asked = launch_command_parser().parse_args(words)
    assert Path(asked.config_file).is_file() and asked.module and asked.training_script == "seekertrain.cli", command
    own(Command(command.where, ("seekertrain", *asked.training_script_args)))


def hub(command: Command) -> None:
    """The hub's command line."""
    from huggingface_hub.cli.hf import app

    helped(command, CliRunner().invoke(app, [*verbs(command), "--help"]))


def inspect(command: Command) -> None:
    """inspect_ai's command line."""
    pytest.importorskip("inspect_ai", reason="needs the models extra")
    from inspect_ai._cli.main import inspect as app

    helped(command, click.testing.CliRunner().invoke(app, [*verbs(command), "--help"]))


def verbs(command: Command) -> list[str]:
    return [word for word in command.words[1:3] if re.fullmatch("[a-z]+", word)]


def helped(command: Command, shown: click.testing.Result) -> None:
    """Its help is there and names the options."""
    assert shown.exit_code == 0, f"{command}: {shown.output}"
    for option in (word for word in command.words if word.startswith("--")):
        assert option in shown.output, f"{command}: {option}"


def served(command: Command) -> None:
    """vLLM's server, which is not installed here: the verb, and options that its manual has."""
    assert command.words[1] == {"vllm": "serve", "trl": "vllm-serve"}[command.program], command
    assert {word for word in command.words if word.startswith("--")} <= VLLM, command


def nothing(command: Command) -> None:
    """What needs no check of its own: words of the shell, and what the stories run."""


CHECKS: dict[str, Callable[[Command], None]] = {
    **dict.fromkeys(OWN, own),
    **{"make": make, "pip": pip, "python": python, "pytest": tests, "accelerate": accelerate},
    **{"hf": hub, "inspect": inspect, "vllm": served, "trl": served},
    **dict.fromkeys(("export", "mkdir", "cp", "wait"), nothing),
}
