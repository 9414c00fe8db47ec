"""verify, segment, render, select: each verdict with its reason, on made samples."""

from typing import Any

import numpy as np
import pytest
from clips import make_clip

from seekerdata.instance import Instance, Sighting, decode_mask, encode_mask, mask_box
from seekerdata.sample import Sample, Target, VideoRef
from seekerdata.segmenters.annotated import ellipse_inside, whole_box
from seekerdata.stage import Drop, Item
from seekerdata.stages.render import Render
from seekerdata.stages.segment import Segment
from seekerdata.stages.select import Select
from seekerdata.stages.solve import Solve
from seekerdata.stages.verify import Verify
from seekerdata.workspace import Workspace

SIZE = (160, 120)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("stages")
    make_clip(root / "videos" / "a.mp4", seconds=10, size=SIZE)
    return Workspace(root=root, video_root=root / "videos")


def sighting(time_s: float, box: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> Sighting:
    mask = np.zeros(size[::-1], bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return Sighting(time_s=time_s, box_xyxy=box, mask=encode_mask(mask))


def item(sightings: list[Sighting] | None = None, **changes: Any) -> Item:
    target = Target(tag="white square", unique=True, window_s=(2.0, 6.0), needs_mark=False)
    sample = Sample(
        id="q",
        video=VideoRef(path="a.mp4", sha256="0", duration_s=10.0, size_wh=SIZE, fps=10.0),
        question="Where does the white square go?",
        options=("The white square stays.", "It goes right."),
        answer="B",
        target=target.model_copy(update=changes.pop("target", {})),
        instance=Instance(tag="white square", sightings=tuple(sightings)) if sightings else None,
    )
    return Item(sample=sample.model_copy(update=changes))


def kept(result: Item | Drop) -> Sample:
    assert isinstance(result, Item), result
    return result.sample


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ({"unique": None}, "missing: nobody says whether the target is unique"),
        ({"unique": False, "reason": "two of them"}, "ambiguous: two of them"),
        ({"unique": False}, "ambiguous: several things fit the words"),
        ({"tag": " "}, "missing: no tag"),
        ({"window_s": None}, "missing: no window, and no box or mask to take one from"),
    ],
)
def test_verify_drops_with_the_reason(target: dict[str, Any], reason: str, workspace: Workspace) -> None:
    assert Verify().process(item(target=target), workspace) == Drop(reason=reason)


def test_verify_rewrites_question_and_the_options_that_name_the_target(workspace: Workspace) -> None:
    target = kept(Verify().process(item(), workspace)).target
    assert target.vp_question == "Where does <vp> go?"
    assert target.vp_options == ("<vp> stays.", "It goes right.")


def test_verify_prefixes_a_question_that_does_not_name_the_target(workspace: Workspace) -> None:
    target = kept(Verify().process(item(question="What happens here?"), workspace)).target
    assert target.vp_question == "About <vp>: What happens here?"


def test_verify_takes_a_window_around_a_box_when_none_is_given(workspace: Workspace) -> None:
    boxed = item([sighting(1.0, (10, 10, 40, 40)), sighting(9.0, (10, 10, 40, 40))], target={"window_s": None})
    sample = kept(Verify().process(boxed, workspace))
    assert sample.target.window_s == (0.0, 10.0)
    assert sample.provenance["verify"]["window_from"] == "box"


def test_segment_chooses_the_largest_free_mask_inside_the_window_and_outside_the_event(workspace: Workspace) -> None:
    sightings = [
        sighting(1.0, (5, 5, 120, 100)),  # outside the window
        sighting(2.0, (30, 30, 60, 60)),
        sighting(3.0, (30, 30, 70, 70)),  # the largest that is free
        sighting(4.0, (0, 0, 90, 90)),  # touches the edge
        sighting(5.0, (5, 5, 110, 100)),  # during the event
    ]
    sample = kept(Segment().process(item(sightings, target={"event_s": (4.8, 5.2)}), workspace))
    assert sample.target.mark_s == 3.0


def test_segment_takes_a_mask_at_the_edge_if_all_are(workspace: Workspace) -> None:
    sightings = [sighting(2.0, (0, 30, 60, 60)), sighting(3.0, (0, 30, 80, 60)), sighting(4.0, (0, 30, 80, 60))]
    assert kept(Segment().process(item(sightings), workspace)).target.mark_s == 3.0


@pytest.mark.parametrize(
    ("sightings", "word"),
    [
        ([sighting(3.0, (10, 10, 11, 11))], "mask_small"),
        ([sighting(3.0, (0, 0, 160, 115))], "mask_large"),
        ([sighting(3.0, (10, 10, 40, 40), size=(80, 60))], "mask_size"),
        ([sighting(8.0, (10, 10, 40, 40))], "outside_window"),
    ],
)
def test_segment_drops_with_the_reason(sightings: list[Sighting], word: str, workspace: Workspace) -> None:
    result = Segment().process(item(sightings), workspace)
    assert isinstance(result, Drop) and result.reason.startswith(f"{word}: ")


def test_a_box_becomes_a_mask_inside_it(workspace: Workspace) -> None:
    square = Sighting(time_s=3.0, box_xyxy=(55.0, 50.0, 76.0, 70.0))  # the white square at 3 s is (60..72, 54..66)
    sample = kept(Segment().process(item([square]), workspace))
    assert sample.instance is not None
    (found,) = sample.instance.sightings
    assert found.mask is not None and found.mask_from in {"grabcut", "ellipse in the box"}
    box = mask_box(decode_mask(found.mask))
    assert box is not None and box[0] >= 55 and box[1] >= 50 and box[2] <= 76 and box[3] <= 70
    again = kept(Segment().process(item([square]), workspace))
    assert again.instance == sample.instance


def test_segment_without_any_annotation_fails_by_name(workspace: Workspace) -> None:
    from seekerdata.errors import ItemError

    with pytest.raises(ItemError, match="neither box nor mask"):
        Segment().process(item(), workspace)


def test_boxes_become_whole_and_stay_inside() -> None:
    assert whole_box((10.4, 10.6, 10.4, 300.0), (120, 160)) == (10, 11, 11, 120)
    mask = ellipse_inside((10, 20, 50, 60), (120, 160))
    assert mask_box(mask) == (10, 20, 50, 60) and 0.7 < mask.sum() / 1600 < 0.85


def test_render_marks_says_so_and_keeps_the_raw_frame(workspace: Workspace) -> None:
    ready = Segment().process(
        kept_item(Verify().process(item([sighting(3.0, (30, 30, 70, 70))]), workspace)), workspace
    )
    render = Render()
    for n, shape in enumerate(render.shapes):
        sample = kept(render.process(kept_item(ready), workspace, n))
        (prompt,) = sample.visual_prompts
        assert prompt.shape == shape.plugin_name() and prompt.time_s == 3.0
        assert prompt.phrase in sample.question and "white square" not in sample.question
        assert sample.options[0].startswith("The target") and sample.text_question == "Where does the white square go?"
        marked, raw = workspace.picture(prompt.image), workspace.picture(prompt.raw_image)
        assert marked.size == raw.size == SIZE and marked.tobytes() != raw.tobytes()
        names = (prompt.image, prompt.raw_image)
        assert not any(word in name for name in names for word in (prompt.shape, prompt.colour, "3.0"))


def kept_item(result: Item | Drop) -> Item:
    assert isinstance(result, Item), result
    return result


def test_render_shares_differ_by_one_and_do_not_depend_on_order() -> None:
    items = [item(id=f"q{n}") for n in range(21)]
    shares = Render().assign(items)
    counts = [list(shares.values()).count(n) for n in range(8)]
    assert max(counts) - min(counts) == 1
    assert Render().assign(items[::-1]) == shares
    assert Render(seed=1).assign(items) != shares


@pytest.mark.parametrize(
    ("target", "direct"),
    [
        ({}, True),
        ({"needs_mark": True}, False),
        ({"window_s": (2.0, 4.0)}, False),
        ({"event_s": (3.2, 3.6)}, False),
        ({"event_s": (3.2, 3.6), "needs_crop": False}, True),
        ({"window_s": None}, False),
    ],
)
def test_direct_rows_are_those_whose_words_and_overview_are_enough(target: dict[str, Any], direct: bool) -> None:
    assert Solve().may_be_direct(item(target=target).sample) is direct


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"question": "Which of the following does it do?"}, False),
        ({"options": ("None of these", "All of the above"), "answer": "B"}, False),
        ({"options": (), "answer": "red"}, True),
        ({"options": (), "answer": "a very long answer " * 5}, False),
    ],
)
def test_open_ended_rows_can_be_asked_without_options(changes: dict[str, Any], fits: bool) -> None:
    assert Select().may_open(item(**changes).sample) is fits
