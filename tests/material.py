"""What tests read that is not theirs: the repository, and graded material that may lie beside it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"


def shared(name: str) -> Path:
    """A folder of graded material beside the repository; the test is skipped, and says so, where it is absent."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"no folder ../shared/{name} beside the repository")
    return SHARED / name
