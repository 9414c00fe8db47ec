"""Check: what can be said of a documented command without running it, by its program. A fault is an AssertionError.

A command of ours is read by its own parser, its recipe loaded with every `--set`; others by what they name.
"""

import ast
import importlib.util
import re
import subprocess
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from doc_commands import OWN, Command, simple
from material import ROOT
from packaging.requirements import Requirement
from typer.main import get_command

from seekerdata.build import BuildRecipe
from seekerdata.recipe import load_recipe, read_values

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VLLM = {"--enable-auto-tool-choice", "--tool-call-parser", "--model", "--tensor-parallel-size"}
"""Options of `vllm serve` and `trl vllm-serve` that the documentation uses."""


def own(command: Command) -> None:
    """One of ours: its options exist and have values that they take, its recipe loads with every `--set`. What TRL says
    of a recipe of training is asked by `trained`, since it takes seconds to load."""
    given = parsed(command)
    if "recipe" in given and command.program == "seekerdata":
        load_recipe(BuildRecipe, given["recipe"], given["changes"] or ())
    elif "recipe" in given:
        read_values(given["recipe"], given["changes"] or ())
    elif command.words[:2] == ("seekereval", "run"):
        evaluation(given)


@cache
def app_of(program: str) -> Any:
    """Our command line as click has it."""
    return get_command(importlib.import_module(f"{program}.cli").app)


def parsed(command: Command) -> dict[str, Any]:
    """What our own parser makes of the words."""
    verb, *words = command.words[1:]
    group = app_of(command.program)
    assert verb in group.commands, f"{command}: no such command"
    return dict(group.commands[verb].make_context(verb, words).params)


def trained(command: Command) -> None:
    """A recipe of training loads, and accelerate's own parser reads what launches it."""
    from accelerate.commands.launch import launch_command_parser

    from seekertrain.rl import RlRecipe, kind_of
    from seekertrain.sft import SftRecipe

    if command.program == "accelerate":
        asked = launch_command_parser().parse_args(named(command)[2:])
        command = Command(command.where, ("seekertrain", *asked.training_script_args))
    given, kinds = parsed(command), {"sft": SftRecipe, "rl": RlRecipe}
    if "recipe" in given:
        kind: Any = kinds.get(command.words[1]) or kind_of(given["recipe"], given["changes"] or ())
        load_recipe(kind, given["recipe"], given["changes"] or ())


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
    """Its file of settings exists, and what it launches is a command of ours."""
    words = named(command)
    settings, module = words.index("--config_file"), words.index("-m")
    assert words[1] == "launch" and Path(words[settings + 1]).is_file() and settings < module, command
    assert words[module + 1] == "seekertrain.cli", command
    own(Command(command.where, ("seekertrain", *words[module + 2 :])))


def named(command: Command) -> list[str]:
    """Its words with a recipe of the kind that it trains where a page says `RECIPE`."""
    kind = "rl" if "rl" in command.words else "sft"
    return [f"recipes/{kind}/videoseeker.yaml" if word == "RECIPE" else word for word in command.words]


def hub(command: Command) -> None:
    """The hub's command line."""
    in_source(command, "huggingface_hub", "cli")


def inspect(command: Command) -> None:
    """inspect_ai's command line."""
    in_source(command, "inspect_ai", "_cli")


def in_source(command: Command, package: str, folder: str) -> None:
    """A command of a package that takes seconds to import: the file of its verb is there and knows the other words."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"{command} needs {package}")
    files = Path(spec.origin).parent / folder
    assert (files / f"{command.words[1]}.py").is_file(), f"{command}: no such command"
    known = "".join(path.read_text() for path in files.glob("*.py"))
    for word in command.words[2:]:
        if word.startswith("--"):
            assert word in known or word[2:].replace("-", "_") in known, f"{command}: {word}"


def options_exist(command: Command, app: Any) -> None:
    """A command of click's, or of typer's, has this verb and these options."""
    words = list(command.words[1:])
    while hasattr(app, "get_command"):
        verb = words.pop(0)
        app = app.get_command(app.context_class(app), verb)
        assert app, f"{command}: no such command"
    options = {option for parameter in app.params for option in parameter.opts}
    asked = {word for word in words if re.fullmatch("--[a-z-]+", word)}
    assert asked <= options, f"{command}: {asked - options}"


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
