"""Manifest: everything that makes a run of training reproducible, and the card of the model that it made.

Written when a run begins, so that a folder says whose it is, and once more when it ends.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from seekerdata.card import template
from seekerdata.errors import SeekerError
from seekerdata.sample import digest
from seekerdata.versions import versions
from seekerdata.workspace import write_atomically
from seekertrain.parts import parameters

if TYPE_CHECKING:
    from seekertrain.questions import Questions
    from seekertrain.rl import RlRecipe
    from seekertrain.rows import Data, Rows
    from seekertrain.sft import SftRecipe

MANIFEST = "manifest.json"
KINDS = ("sft", "rl")
PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "tokenizers",
    "torchvision",
    "deepspeed",
    "flash_attn",
)
UNDECISIVE = {
    *("report_to", "run_name", "project", "logging_steps", "logging_strategy", "logging_first_step", "log_level"),
    *("save_steps", "save_strategy", "save_total_limit", "eval_steps", "eval_strategy", "eval_on_start"),
    *("dataloader_num_workers", "dataloader_prefetch_factor", "dataloader_persistent_workers"),
    *("per_device_eval_batch_size", "push_to_hub", "hub_model_id", "hub_token", "hub_strategy", "hub_private_repo"),
}
"""Keys of `trainer` that do not decide what is trained: a run may go on with others."""
UNTRAINED = {"name", "out", "rollouts", "record_every", "alarm", "look_timeout_s", "trainer"}
"""Keys of a recipe that decide nothing either; of `trainer` some do."""


def settings_of(recipe: "SftRecipe | RlRecipe") -> dict[str, Any]:
    """All that decides what is trained: a folder goes on only with equal settings."""
    facts = recipe.model_dump(mode="json", exclude=UNTRAINED)
    return facts | {
        "trainer": {k: v for k, v in recipe.model_dump(mode="json")["trainer"].items() if k not in UNDECISIVE}
    }


def finished(recipe: "SftRecipe | RlRecipe") -> bool:
    """Whether the run's folder holds this very run, trained to its end.

    Raises:
        SeekerError: it holds a run of other settings.
    """
    known = _known(recipe.out)
    if known is None:
        return False
    if known["kind"] != recipe.kind:
        raise SeekerError(f"{recipe.out} holds a run of {known['kind']}; name another folder with --out")
    before, now = known["settings"], settings_of(recipe)
    if differs := sorted(_differing(before, now)):
        raise SeekerError(f"{recipe.out} holds a run with another {', '.join(differs)}; name another folder with --out")
    return known["finished"] is not None


def begin(recipe: "SftRecipe | RlRecipe", trainer: Any) -> dict[str, Any]:
    """The manifest of a run that begins or goes on, written into its folder."""
    rows, held = trainer.rows, trainer.held
    manifest = {
        "kind": recipe.kind,
        "name": recipe.name,
        "recipe": public(recipe.model_dump(mode="json")),
        "settings": settings_of(recipe),
        "trainer": public(trainer.args.to_dict()),
        "model": {
            "path": recipe.model.path,
            "revision": getattr(trainer.model.config, "_commit_hash", None) or recipe.model.revision,
            "parameters": parameters(trainer.model),
        },
        "data": data_facts(recipe.data, rows),
        "held_out": data_facts(recipe.held_out or recipe.data, held) if held else None,
        "machine": machine(trainer.args),
        "versions": versions(PACKAGES),
        "started": (_known(recipe.out) or {}).get("started") or _now(),
        "finished": None,
    }
    write(recipe.out, manifest)
    return manifest


def finish(recipe: "SftRecipe | RlRecipe", trainer: Any, result: Any, seconds: float) -> None:
    """The manifest with what only a finished run knows, and the model's card beside its weights."""
    known = _known(recipe.out)
    assert known is not None, "begin wrote it"
    history = trainer.state.log_history
    last = {key: next((entry[key] for entry in reversed(history) if key in entry), None) for key in LAST}
    known |= {
        "steps": trainer.state.global_step,
        "epochs": trainer.state.epoch,
        "tokens": trainer.state.num_input_tokens_seen,
        "seconds_of_last_start": round(seconds, 1),
        "last": {key: value for key, value in last.items() if value is not None},
        "replaced": dict(Counter(note["code"] for note in _lines(recipe.out / "replaced.jsonl"))),
        "finished": _now(),
    }
    write(recipe.out, known)
    write_card(recipe.out, known)


LAST = (
    *("loss", "eval_loss", "mean_token_accuracy", "eval_mean_token_accuracy", "reward", "eval_reward"),
    *("tools/call_frequency", "plays_right", "plays_looked"),
)
"""Logged numbers whose last value the manifest and the card tell."""


def write_card(out: Path, manifest: Mapping[str, Any]) -> None:
    """`model/README.md` from the manifest, with the curve beside it."""
    shown = _without_folders({k: v for k, v in manifest["recipe"].items() if k != "out"})
    recipe = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=100)
    base = manifest["model"]["path"]
    card = template("model.md.jinja").render(
        m=_without_folders(manifest), recipe=recipe, base=None if Path(base).exists() else base
    )
    for name in ("loss.png", "curves.png"):
        if (out / name).exists():
            write_atomically(out / "model" / name, (out / name).read_bytes())
    write_atomically(out / "model" / "README.md", card.encode())


def data_facts(data: "Data", rows: "Rows | Questions") -> dict[str, Any]:
    """Which rows: where from, how many, and a hash of their names in order."""
    return {
        "path": data.path,
        "revision": data.revision or _commit(rows),
        "rows_sha256": digest(list(rows.data["id"]), length=64),
        **rows.facts(),
    }


def machine(settings: Any) -> dict[str, Any]:
    """What it runs on."""
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    return {"processes": settings.world_size, "device": str(settings.device.type), "gpu": gpu}


def public(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without a token."""
    return {
        k: public(v) if isinstance(v, dict) else v for k, v in facts.items() if not k.endswith("token") or v is None
    }


def _without_folders(facts: Any) -> Any:
    """Settings as a card shows them: of an absolute path its last two names, for the rest is this machine's."""
    if isinstance(facts, dict):
        return {key: _without_folders(value) for key, value in facts.items()}
    absolute = isinstance(facts, str) and facts.startswith("/")
    return "/".join(Path(facts).parts[-2:]) if absolute else facts


def write(out: Path, manifest: Mapping[str, Any]) -> None:
    text = json.dumps(manifest, ensure_ascii=False, indent=2, default=str)
    write_atomically(out / MANIFEST, f"{text}\n".encode())


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], place: str = "") -> set[str]:
    """Keys whose values differ, dotted."""
    found: set[str] = set()
    for key in before.keys() | now.keys():
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found |= _differing(old, new, f"{place}{key}.")
        elif old != new:
            found.add(place + key)
    return found


def _commit(rows: "Rows | Questions") -> str | None:
    """The commit of a dataset of the hub, read off the addresses that its files were read from."""
    import re

    sums = rows.data.info.download_checksums or {}
    return next((found[1] for name in sums if (found := re.search(r"@([0-9a-f]{40})/", name))), None)


def _known(out: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("kind") not in KINDS:
        raise SeekerError(f"{out / MANIFEST}: not a manifest of training; name another folder with --out")
    return found


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
