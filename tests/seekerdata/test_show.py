"""show of a dataset: every row of every configuration, from the rows alone; frames where they are at hand."""

import shutil
from pathlib import Path

import pytest
from exhibits import listed

from seekerdata.errors import SeekerError
from seekerdata.show import show


def test_a_dataset_is_shown_row_by_row(run: Path, tmp_path: Path) -> None:
    """Pulled, alone in its folder: embedded frames are in it, and a configuration without rows has no folder."""
    alone = tmp_path / "me" / "small"
    shutil.copytree(run / "dataset", alone)
    page = show(alone, None, 100)
    assert page == tmp_path / "me" / "small.html"
    of = [item["of"] for item in listed(page.read_text())]
    assert [o["group0"] for o in of] == [*["qa"] * 10, *["sft"] * 10, *["rl"] * 3]
    assert {o["answer"] for o in of[10:20]} == {"right"} and {o["answer"] for o in of[:10] + of[20:]} == {"not played"}
    text = page.read_text()
    assert "not at hand" in text and "no picture" not in text
    with_run = show(run, tmp_path / "run.html", 100).read_text()
    shown = with_run.count("<img") + 13 * 2 + 3 * 10  # looks; marked and raw frames; the openings of `rl`
    assert text.count("<img") == shown

    shutil.rmtree(alone / "rl")
    assert len(listed(show(alone, None, 4).read_text())) == 8 and "the first 4 of each" in page.read_text()


def test_what_is_no_dataset_and_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(SeekerError, match="not a run folder"):
        show(tmp_path, None, 1)
