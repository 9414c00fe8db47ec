"""ChatModel: a Qwen-VL model as a folder or the hub holds it: which files these are, and its weights in memory.

Weights are complete or refused: a part that is missing would be filled with random numbers.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

from seekerdata.errors import SeekerError
from seekerdata.vision_model import UNUSABLE, check_complete

Kept = Literal["float32", "bfloat16", "auto"]
"""The number type that weights are kept in; `auto` is the one of their files."""

HF = "hf/"
"""How the name of a model begins whose weights are loaded here."""

DECISIVE = {".safetensors", ".bin", ".json", ".jinja", ".txt", ".model"}
"""Endings of a folder's files that decide what a model says: weights, settings, tokenizer, template."""


def load_model(path: str, revision: str | None = None, dtype: Kept = "auto", attention: str = "sdpa") -> Any:
    """The weights, on the CPU.

    Args:
        path: a hub id or a folder.
        revision: of a hub id.
        dtype: what they are kept in.
        attention: sdpa, eager, flash_attention_2, or a kernel of the hub.

    Raises:
        SeekerError: they cannot be found or read, or parts are missing.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText
    from transformers.utils import logging

    logging.disable_progress_bar()
    number = dtype if dtype == "auto" else getattr(torch, dtype)
    asked = {"revision": revision, "dtype": number, "attn_implementation": attention, "output_loading_info": True}
    try:
        model, info = AutoModelForImageTextToText.from_pretrained(path, **asked)
    except (*UNUSABLE, ImportError, SafetensorError) as error:
        raise SeekerError(f"{path}: cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    check_complete(model, info["missing_keys"], path, model.config.model_type, others=len(info["mismatched_keys"]))
    return model


def identity(path: str, revision: str | None = None) -> dict[str, str]:
    """What tells these weights from others: a hash of a folder's files, or the commit of a hub id."""
    if not Path(path).is_dir():
        return {"revision": commit(path, revision) or "unknown"}
    whole = hashlib.sha256()
    for file in sorted(Path(path).iterdir()):
        if file.suffix in DECISIVE and file.is_file():
            with file.open("rb") as opened:
                whole.update(f"{file.name} {hashlib.file_digest(opened, 'sha256').hexdigest()}\n".encode())
    return {"files_sha256": whole.hexdigest()}


def commit(path: str, revision: str | None = None) -> str | None:
    """The commit that a hub id stands for here, by its config as it was downloaded; None for a folder."""
    from transformers.utils import cached_file
    from transformers.utils.hub import extract_commit_hash

    if Path(path).is_dir():
        return None
    file = cached_file(path, "config.json", revision=revision, local_files_only=True)
    found: str | None = extract_commit_hash(file, None)
    return found


def place(name: str) -> tuple[str, str | None]:
    """Folder or hub id of a model named `hf/...`, and the revision behind `@` of the latter."""
    path = name.removeprefix(HF)
    if Path(path).expanduser().is_dir():
        return str(Path(path).expanduser()), None
    path, _, revision = path.partition("@")
    return path, revision or None
