"""Command: what a user typed after `seekereval run`, as an evaluation and a model. A mistake is one line."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seekerdata.budget import Price
from seekerdata.errors import SeekerError
from seekerdata.models import ModelSettings
from seekerdata.peer_decoder import decoder_version
from seekerdata.plugin import near
from seekereval.benchmark import benchmark, data_folder
from seekereval.evaluation import Evaluation
from seekereval.presets import Preset, preset_of

PATIENT = 8
"""Attempts after the first: their pauses sum up to more than three minutes, so that a server may be started anew."""
SET = ("fps", "frames", "sampler", "max_pixels", "prompt_max_pixels", "timestamps", "rounds")
"""Keys of a preset that `--set` changes; the others have options of their own."""
_LOCAL = ("--out", "--base-url")


def evaluation_of(
    bench: str,
    data: Path | None,
    preset: str,
    changes: dict[str, Any],
    baselines: dict[str, bool],
    asks: dict[str, Any],
    judge: str | None,
) -> Evaluation:
    """What is to be asked.

    Raises:
        SeekerError: no such benchmark, preset, tool, mode or decoder; two baselines at once.
    """
    chosen = [name for name, wanted in baselines.items() if wanted]
    if len(chosen) > 1:
        raise SeekerError(f"one baseline at a time, not {' and '.join(chosen)}")
    bench, data = _built(bench, data)
    tools = changes["tools"]
    how = preset_of(preset, **changes | {"tools": tuple(name.strip() for name in tools.split(",")) if tools else None})
    decoder_version(how.decoder)
    asks = asks | {"judge": _model(model=judge, retries=PATIENT) if judge else None}
    return Evaluation(
        benchmark=bench, data=data_folder(benchmark(bench), data), preset=how, baseline="".join(chosen), **asks
    )


def _built(bench: str, data: Path | None) -> tuple[str, Path | None]:
    """A dataset of `seekerdata build` is asked by `built`, whose data is the folder around it, with the videos."""
    name, _, settings = bench.partition(":")
    if data is None or name not in ("world", "built") or not (data.expanduser() / "qa").is_dir():
        return bench, data
    if name == "world" and settings:
        raise SeekerError(f"{bench} --data {data}: the questions of a dataset are made already; leave {settings} out")
    folder = data.expanduser()
    folder = folder if folder.name not in ("", "..") else folder.resolve()
    more = [] if folder.name == "dataset" else [f"dataset={folder.name}"]
    return ":".join(filter(None, ["built", ",".join([*filter(None, [settings]), *more])])), folder.parent


def overrides(words: Sequence[str]) -> dict[str, Any]:
    """`fps=0.2` and the like as keys of a preset.

    Raises:
        SeekerError: no such key.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in SET:
            raise SeekerError(f"--set {word}: expected key=value with a key of the preset{near(key, [*SET])}")
        found[key] = value
    return found


def settings_of(model: str, base_url: str | None, concurrency: int, preset: Preset) -> ModelSettings:
    """Who is to be asked, and how: as the preset says."""
    how = {"temperature": preset.temperature, "max_tokens": preset.max_tokens, "retries": PATIENT}
    return _model(model=model, base_url=base_url, concurrency=concurrency, **how)


def price_of(written: str | None) -> Price | None:
    """`2.5,10` as the dollars for a million tokens of input and of output."""
    if written is None:
        return None
    try:
        paid, earned = (float(part) for part in written.split(","))
        return Price(input=paid, output=earned)
    except ValueError:
        raise SeekerError(f"--price {written}: write the dollars for a million tokens, such as 2.5,10") from None


def typed(words: Sequence[str]) -> str:
    """The command for the manifest, without what only concerns this machine: the run's folder, the server's address."""
    kept, left = [], [*words]
    while left:
        word = left.pop(0)
        if word in _LOCAL:
            del left[:1]
        elif not word.startswith(tuple(f"{name}=" for name in _LOCAL)):
            kept.append(word)
    return shlex.join(["seekereval", *kept])


def _model(**values: Any) -> ModelSettings:
    try:
        return ModelSettings(**values)
    except ValidationError as error:
        raise SeekerError(f"{values['model']}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
