"""Manifest: everything that makes a run's number reproducible. It holds no secret and no path but the user's own data.

Written when a run begins, so that a folder says whose it is, and once more when it ends.
"""

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seekerdata.errors import SeekerError
from seekerdata.models import ModelSettings, without_secrets
from seekerdata.peer_decoder import decoder_version
from seekerdata.sample import digest
from seekerdata.versions import versions
from seekerdata.workspace import write_atomically
from seekereval import own_weights
from seekereval.benchmark import benchmark
from seekereval.evaluation import Evaluation
from seekereval.item import Graded, Item
from seekereval.results import MANIFEST

PACKAGES = ("inspect_ai", "openai", "google-genai")
"""Beside those that decide pixels."""


def begin(
    evaluation: Evaluation, model: ModelSettings, out: Path, command: str, items: Sequence[Item]
) -> dict[str, Any]:
    """The manifest of a run that begins or goes on, written into its folder.

    Raises:
        SeekerError: the folder holds a run that asks something else, or the decoder is not here.
    """
    asks, here = settings_of(evaluation, model), model.model.startswith(own_weights.HF)
    asks |= {"weights": own_weights.weights_of(model)} if here else {}
    known = _known(out)
    if known and (differs := sorted(key for key in asks if known.get("settings", {}).get(key) != asks[key])):
        raise SeekerError(f"{out} holds a run with another {', '.join(differs)}; name another folder with --out")
    which = benchmark(evaluation.benchmark)
    manifest = {
        "kind": "run",
        "command": without_secrets(command),
        "settings": asks,
        "model": {"asked": model.model, "served": []} | ({"device": own_weights.device_of()} if here else {}),
        "generation": model.model_dump(mode="json", exclude={"model", "base_url"}, exclude_none=True)
        | {"temperature": evaluation.preset.temperature, "max_tokens": evaluation.preset.max_tokens},
        "prompts": evaluation.prompt_hashes(),
        "benchmark": {
            "name": which.plugin_name(),
            "hub_id": which.hub_id,
            "revision": which.revision,
            "licence": which.licence,
            "items": len(items),
            "videos": len({item.video for item in items}),
            "items_sha256": digest([item.model_dump(mode="json") for item in items], length=64),
            "defects": dict(Counter(defect for item in items for defect in item.defects)),
        },
        "decoder": decoder_version(evaluation.preset.decoder),
        "versions": versions((*PACKAGES, *own_weights.PACKAGES * here)),
        "started": (known or {}).get("started") or _now(),
        "finished": None,
    }
    _write(out, manifest)
    return manifest


def finish(
    manifest: dict[str, Any], rows: Sequence[Graded], played: Sequence[dict[str, Any]], unanswered: int
) -> dict[str, Any]:
    """The manifest with what only a finished run knows: what the server says it is, what was read, what it took, and
    how many plays met an error that another run may mend."""
    from seekereval.scoring import VERSION

    usage: Counter[str] = Counter()
    for row in rows:
        usage.update(row.usage)
    files = {p["path"]: p["video"]["sha256"] for p in played if p.get("video")}
    return manifest | {
        "model": manifest["model"] | {"served": sorted({name for p in played for name in p.get("served", ())})},
        "videos_sha256": digest(dict(sorted(files.items())), length=64),
        "scorer": VERSION,
        "states": dict(Counter(row.state for row in rows)),
        "unanswered": unanswered,
        "usage": dict(usage),
        "finished": _now(),
    }


def settings_of(evaluation: Evaluation, model: ModelSettings) -> dict[str, Any]:
    """All that decides what is asked and who answers: two runs with equal settings are the same run."""
    asks = evaluation.model_dump(mode="json", exclude={"judge": {"base_url"}})
    decisive = model.model_dump(mode="json", exclude=set(model.undecisive), exclude_none=True)
    return asks | {"data": str(evaluation.data), "model": decisive}


def _known(out: Path) -> dict[str, Any] | None:
    try:
        return json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise SeekerError(f"{out / MANIFEST}: not a manifest; name another folder with --out") from None


def _write(out: Path, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest, ensure_ascii=False, indent=2)
    write_atomically(out / MANIFEST, f"{text}\n".encode())


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
