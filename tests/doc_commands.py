"""Command: what the documentation tells a person to type, read out of README.md and docs/*.md in its order.

A command stands in a fenced block of `sh` or `bash`, or behind `$ ` in front of what it prints.
"""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from material import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OWN = ("seekerdata", "seekertrain", "seekereval")
LANGUAGES = ("sh", "bash", "python", "json", "yaml", "")
PROGRAMS = (
    *(*OWN, "make", "pip", "pytest", "python", "accelerate", "hf", "vllm", "trl", "inspect", "export"),
    *("mkdir", "cp", "wait"),
)
"""Every program that the documentation may name; another one is a command that no test knows."""
_FENCE = re.compile(r"```(\S*)\n(.*?)```\n", re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)[^}]*\}")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_BETWEEN = {"&&", "||", "&", "|", ";"}


class Block(NamedTuple):
    """A fenced block."""

    page: Path
    line: int
    """Of its first line, from 1."""
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_script(self) -> bool:
        """Whether it is a file of its own, to be saved and started, and not lines to type."""
        return self.text.startswith("#!")


@dataclass(frozen=True)
class Command:
    """One command with its words as a shell hands them over."""

    where: str
    words: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    """What was exported before it, or stands in front of it."""

    @property
    def program(self) -> str:
        """Its first word, without the folder of an environment: `.venv/bin/pip` is `pip`, `python3.11` is `python`."""
        return re.sub(r"^python[\d.]+$", "python", Path(self.words[0]).name)

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.words)}"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text()
    found = _FENCE.finditer(text)
    return [Block(page, text[: m.start(2)].count("\n") + 1, m[1], m[2]) for m in found]


def prose(page: Path) -> list[tuple[str, str]]:
    """The lines outside of blocks, each with its place."""
    text = _FENCE.sub(lambda m: "\n" * m[0].count("\n"), page.read_text())
    return [(f"{page.relative_to(ROOT)}:{n}", line) for n, line in enumerate(text.split("\n"), start=1)]


def commands(page: Path) -> list[Command]:
    """What a page says to type, in its order, variables replaced by what the page gave them. Scripts are left out.

    Raises:
        ValueError: a line that no shell reads, or a variable that the page never set.
    """
    env: dict[str, str] = {}
    found = []
    for block in blocks(page):
        for line, text in [] if block.is_script else typed(block):
            for command in simple(f"{page.relative_to(ROOT)}:{line}", text, env):
                if command.words[0] == "export":
                    env |= dict(word.split("=", 1) for word in command.words[1:])
                found.append(command)
    return found


def inside(script: Block, env: dict[str, str]) -> list[Command]:
    """Our commands in a script, whoever starts them (`srun`), with the variables that its scheduler gives it."""
    lines = [(line, text.partition("srun ")[2]) for line, text in typed(script) if "srun " in text]
    return [c for line, text in lines for c in simple(f"{script.page.relative_to(ROOT)}:{line}", text, env)]


def typed(block: Block) -> Iterator[tuple[int, str]]:
    """The lines of a block that are typed, each with its number; what a backslash or an open quote continues is one."""
    shell, whole, start = block.language in ("sh", "bash"), "", 0
    for number, line in enumerate(block.text.split("\n"), start=block.line):
        if not shell and not whole and not line.startswith("$ "):
            continue
        start = start if whole else number
        whole += line.removeprefix("$ ") if not shell else line
        if whole.endswith("\\") or is_open(whole):
            whole = whole.removesuffix("\\") + " "
            continue
        if whole.strip():
            yield start, whole
        whole = ""


def is_open(line: str) -> bool:
    """Whether a quote of a line is not closed yet."""
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return True
    return False


def simple(where: str, line: str, env: dict[str, str]) -> Iterator[Command]:
    """The commands of a line, one after the other."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _BETWEEN:
            words.append(word)
        elif words:
            yield _command(where, words, env)
            words = []


def _command(where: str, words: list[str], env: dict[str, str]) -> Command:
    def known(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in {**os.environ, **env}:
            raise ValueError(f"{where}: ${name} was never set")
        return {**os.environ, **env}[name]

    words = [_VARIABLE.sub(known, word) for word in words]
    first = next((n for n, word in enumerate(words) if not _ASSIGNMENT.fullmatch(word)), len(words))
    given = dict(word.split("=", 1) for word in words[:first])
    return Command(where, tuple(words[first:]), {**env, **given})


def mentions(page: Path) -> list[Command]:
    """Commands in the middle of a sentence. Of ours the brackets around what is optional are taken off."""
    found = []
    for where, line in prose(page):
        for span in _SPAN.findall(line):
            program, _, more = span.partition(" ")
            if more and program in PROGRAMS:
                words = re.sub(r"[\[\]]|\\?\|\S*|\.\.\.", " ", more).split() if program in OWN else shlex.split(more)
                found.append(Command(where, (program, *words)))
    return found
