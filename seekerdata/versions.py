"""Versions: what decides pixels and rows on this machine: packages, the git revision if there is one, its kind."""

import importlib.metadata
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

PACKAGES = (
    "videoseeker-toolkit",
    "av",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "datasets",
    "pyarrow",
    "pydantic",
)


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Versions by package, ours and those that decide pixels first, then `more`; what is not installed says so."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in (*PACKAGES, *more):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        found["git"] = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        found["git"] = "not a git checkout"
    return found
