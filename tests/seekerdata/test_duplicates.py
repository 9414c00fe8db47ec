"""Duplicates: exact, near, and the look-alikes that only their mark tells apart."""

from collections.abc import Sequence
from typing import Any

import pytest

from seekerdata.duplicates import Asking, asks_the_same, box_iou, duplicates
from seekerdata.instance import Instance, Sighting
from seekerdata.sample import Sample, VideoRef

HERE, SHIFTED, ELSEWHERE = (10.0, 10.0, 50.0, 50.0), (15.0, 10.0, 55.0, 50.0), (80.0, 10.0, 120.0, 50.0)
QUESTION = "What does the tall man in the blue coat pick up from the table?"


def asking(name: str = "a", boxes: Sequence[Any] = ((1.0, HERE),), video: str = "v", **changes: Any) -> Asking:
    seen = tuple(Sighting(time_s=time_s, box_xyxy=box) for time_s, box in boxes)
    values = {"question": QUESTION, "options": ("A cup.", "A hat."), "answer": "A"} | changes
    ref = VideoRef(path=f"{video}.mp4", sha256=video, duration_s=9.0, size_wh=(160, 120), fps=10.0)
    return Asking.of(Sample(id=name, video=ref, instance=Instance(tag="man", sightings=seen), **values))


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"question": "what does the tall man in the blue coat pick up, from the table"}, True),
        ({"question": "What is in the red ellipse?", "text_question": QUESTION}, True),
        ({"question": QUESTION.replace("coat", "jacket")}, True),
        ({"question": QUESTION.replace("coat", "jacket"), "boxes": ((1.4, SHIFTED),)}, True),
        ({"question": QUESTION.replace("coat", "jacket"), "boxes": ((1.0, ELSEWHERE),)}, False),
        ({"question": QUESTION.replace("coat", "jacket"), "boxes": ((3.0, HERE),)}, False),
        ({"question": QUESTION.replace("coat", "jacket"), "boxes": ()}, False),
        ({"question": QUESTION.replace("the table", "table 2")}, False),
        ({"question": "What does the man do?"}, False),
        ({"boxes": ((3.0, ELSEWHERE),)}, True),
        ({"boxes": ()}, True),
        ({"boxes": ((1.0, ELSEWHERE),)}, False),
        ({"boxes": ((1.0, ELSEWHERE), (7.0, HERE))}, False),
        ({"options": ("A hat.", "A cup."), "answer": "B"}, True),
        ({"options": (), "answer": "a cup"}, True),
        ({"answer": "B"}, False),
        ({"video": "w"}, False),
    ],
)
def test_what_asks_the_same(changes: dict[str, Any], same: bool) -> None:
    assert asks_the_same(asking("a"), asking("b", **changes)) is same
    assert asks_the_same(asking("b", **changes), asking("a")) is same


def test_one_of_each_is_kept_whatever_the_order() -> None:
    rows = [asking(f"q{n}", video=f"v{n % 2}") for n in range(8)]
    found = duplicates(rows)
    assert len(found) == 6 and not set(found) & set(found.values())
    assert all(int(name[1:]) % 2 == int(of[1:]) % 2 for name, of in found.items())
    assert duplicates(rows[::-1]) == found


def test_nothing_is_a_duplicate_of_a_duplicate() -> None:
    chain = [QUESTION, QUESTION.replace("coat", "jacket"), QUESTION.replace("coat", "jacket").replace("up", "off")]
    rows = [asking(f"q{n}", question=words) for n, words in enumerate(chain)]
    found = duplicates(rows)
    assert found and all(of not in found for of in found.values())


def test_box_iou() -> None:
    assert box_iou(HERE, HERE) == 1.0 and box_iou(HERE, ELSEWHERE) == 0.0
    assert box_iou((0, 0, 2, 1), (1, 0, 3, 1)) == pytest.approx(1 / 3)
    assert box_iou((1, 1, 1, 1), (1, 1, 1, 1)) == 0.0
