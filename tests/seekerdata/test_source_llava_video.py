"""llava_video: the published layout is read pair by pair; captions are left alone, oddities are named."""

import json
from pathlib import Path
from typing import Any

import pytest
from clips import make_clip

from seekerdata.errors import ItemError, SeekerError
from seekerdata.sample import Sample
from seekerdata.sources.llava_video import LlavaVideo, split_question
from seekerdata.stage import Entry
from seekerdata.workspace import Workspace

LETTER = "Please respond with only the letter of the correct answer."
FULL = "Please provide your answer by stating the letter followed by the full option."
FIVE = ["run", "sit", "eat", "nap", "train"]
ACADEMIC, NEXT = "0_30_s_academic_v0_1", "30_60_s_nextqa"


def talk(id: Any, video: Any, *turns: str) -> dict[str, Any]:
    speakers = ("human", "gpt")
    said = [{"from": speakers[n % 2], "value": turn} for n, turn in enumerate(turns)]
    return {"id": id, "conversations": said, "data_source": "x", "video": video}


def put(folder: Path, name: str, content: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A small copy of the data set: two subsets, multiple choice, open-ended, captions and prompts."""
    clip = "academic_source/Charades/AB12C.mp4"
    make_clip(tmp_path / ACADEMIC / clip)
    make_clip(tmp_path / NEXT / "NextQA/NExTVideo/1006/896.mp4")
    choice = talk(
        "AB12C",
        clip,
        f"<image>\nWhat is the man holding?\nA. A cup\nB. A book\nC. A phone\nD. A shoe\n{LETTER}",
        "B.",
        f"What color is the book?\nA. Red\nB. Blue\nC. Green\nD. Black\n{FULL}",
        "A. Red.",
    )
    put(tmp_path / ACADEMIC, "0_30_s_academic_mc_v0_1_qa_processed.json", [choice])
    open_ended = talk("AB12C", clip, "<image>\nWhat does he open?", "The door.", "And then?", "The window.")
    put(tmp_path / ACADEMIC, "0_30_s_academic_oe_v0_1_qa_processed.json", [open_ended])
    caption = talk("AB12C", clip, "<image>\nDescribe it.", "A man reads.")
    put(tmp_path / ACADEMIC, "0_30_s_academic_v0_1_cap_processed.json", [caption])
    video = "NextQA/NExTVideo/1006/896.mp4"
    five = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCDE", FIVE, strict=True))
    next_choice = talk("1006-896", video, f"<image>\nwhy did he jump\nOptions:\n{five}\n{FULL}", "E. train.")
    put(tmp_path / NEXT, "30_60_s_nextqa_mc_qa_processed.json", [next_choice])
    tail = "Answer the question using a single word or phrase."
    next_open = talk("1006-896", video, f"<image>\nwhere is the boy\n{tail}", "park")
    put(tmp_path / NEXT, "30_60_s_nextqa_oe_qa_processed.json", [next_open])
    put(tmp_path / "gpt4o_qa_prompt", "prompt.json", {"not": "questions"})
    return tmp_path


def read(source: LlavaVideo, entry: Entry) -> Sample:
    root = source.video_root(Path())
    return source.read(entry, Workspace(root=root, video_root=root))


def test_the_published_layout(hub: Path) -> None:
    source = LlavaVideo(path=hub)
    entries = list(source.entries())
    assert list(source.entries()) == entries and not any(entry.problem for entry in entries)
    samples = {entry.id: read(source, entry) for entry in entries}
    assert list(samples) == [
        "AB12C-mc-1",
        "AB12C-mc-2",
        "AB12C-oe-1",
        "AB12C-oe-2",
        "1006-896-mc-1",
        "1006-896-oe-1",
    ]
    first, second = samples["AB12C-mc-1"], samples["AB12C-mc-2"]
    assert (first.question, first.answer) == ("What is the man holding?", "B")
    assert first.options == ("A cup", "A book", "A phone", "A shoe")
    assert (second.question, second.answer_text) == ("What color is the book?", "Red")
    third = samples["AB12C-oe-2"]
    assert (third.question, third.options, third.answer) == ("And then?", (), "The window.")
    fifth, sixth = samples["1006-896-mc-1"], samples["1006-896-oe-1"]
    assert (fifth.question, fifth.answer, len(fifth.options)) == ("why did he jump", "E", 5)
    assert (sixth.question, sixth.answer) == ("where is the boy", "park")
    assert first.video.path == f"{ACADEMIC}/academic_source/Charades/AB12C.mp4"
    assert first.video.origin == f"LLaVA-Video-178K {ACADEMIC}" and "Apache-2.0" in first.video.licence
    assert second.provenance["source"] == {"use": "llava_video", "kind": "mc"}


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({"kinds": ["oe"]}, ["AB12C-oe-1", "AB12C-oe-2", "1006-896-oe-1"]),
        ({"subsets": "*_nextqa"}, ["1006-896-mc-1", "1006-896-oe-1"]),
        ({"subsets": "0_30_s_*", "kinds": ["mc"]}, ["AB12C-mc-1", "AB12C-mc-2"]),
    ],
)
def test_a_part_of_it(hub: Path, settings: dict[str, Any], ids: list[str]) -> None:
    assert [entry.id for entry in LlavaVideo(path=hub, **settings).entries()] == ids


def test_one_subset_alone(hub: Path) -> None:
    source = LlavaVideo(path=hub / NEXT)
    samples = [read(source, entry) for entry in source.entries()]
    assert [s.video.path for s in samples] == ["NextQA/NExTVideo/1006/896.mp4"] * 2
    assert samples[0].video.origin == f"LLaVA-Video-178K {NEXT}"


def test_videos_unpacked_in_the_root(hub: Path) -> None:
    (hub / NEXT / "NextQA").rename(hub / "NextQA")
    source = LlavaVideo(path=hub, subsets=NEXT)
    assert {read(source, entry).video.path for entry in source.entries()} == {"NextQA/NExTVideo/1006/896.mp4"}


def test_repeated_ids_stay_apart(hub: Path) -> None:
    clip = "academic_source/Charades/AB12C.mp4"
    again = [talk("AB12C", clip, "What else?", "This."), talk("AB12C", clip, "What else?", "This.")]
    put(hub / ACADEMIC, "1_academic_oe_v0_1_qa_processed.json", again)
    entries = list(LlavaVideo(path=hub, subsets=ACADEMIC, kinds=("oe",)).entries())
    assert len({entry.id for entry in entries}) == 4
    other, same = entries[2:]
    assert other.id.startswith("AB12C-oe-1-") and not other.problem
    assert same.id == f"{other.id}#2"
    assert same.problem.endswith("the same pair as " + other.where)


def test_odd_conversations_are_named_and_the_others_go_on(hub: Path) -> None:
    good = talk("good", "academic_source/Charades/AB12C.mp4", "<image>\nWhat?", "This.")
    odd = [
        "text",
        {"id": "none"},
        talk("empty", "a.mp4"),
        talk("half", "a.mp4", "What?"),
        talk("turned", "a.mp4", "What?", "This.", "Why?", "So.")
        | {"conversations": [{"from": "gpt", "value": "x"}, {"from": "human", "value": "y"}]},
        talk("value", "a.mp4", "What?") | {"conversations": [{"from": "human"}, {"from": "gpt", "value": "y"}]},
        talk("half a pair", "a.mp4", "\ud800", "x"),
        good,
    ]
    put(hub / NEXT, "30_60_s_nextqa_oe_qa_processed.json", odd)
    source = LlavaVideo(path=hub, subsets=NEXT, kinds=("oe",))
    entries = list(source.entries())
    assert len({entry.id for entry in entries}) == len(entries) == 8
    for entry, words in zip(
        entries,
        [
            "must be an object with a list",
            "must be an object with a list",
            "a question without an answer",
            "a question without an answer",
            "expected a turn from 'human'",
            "'value' is None",
            "surrogate",
        ],
        strict=False,
    ):
        assert words in entry.problem and f"qa_processed.json[{entries.index(entry)}]" in entry.problem
        with pytest.raises(ItemError, match="qa_processed"):
            source.read(entry, Workspace(root=hub, video_root=hub))
    assert not entries[-1].problem


@pytest.mark.parametrize(
    ("human", "gpt", "code", "words"),
    [
        ("<image>\nWhat?\nA. x\nB. y", "C.", "bad_answer", "beyond the 2 options"),
        ("<image>\nWhat?\nA. x\nB. y", "A. y", "bad_answer", "not among the 2 options"),
        ("<image>\nWhat?\nA. x\nB. x", "A.", "bad_options", "option 2 repeats option 1"),
        (f"<image>\nWhat?\n{LETTER}", "A.", "bad_options", "no lines 'A. ...'"),
        ("<image>\nA. x\nB. y", "A.", "bad_question", "question is ''"),
    ],
)
def test_bad_pairs(hub: Path, human: str, gpt: str, code: str, words: str) -> None:
    pair = talk("p", "NextQA/NExTVideo/1006/896.mp4", human, gpt)
    put(hub / NEXT, "30_60_s_nextqa_mc_qa_processed.json", [pair])
    source = LlavaVideo(path=hub, subsets=NEXT, kinds=("mc",))
    (entry,) = source.entries()
    with pytest.raises(ItemError) as caught:
        read(source, entry)
    assert caught.value.code == code and words in caught.value.message
    assert caught.value.message.startswith(f"{NEXT}/30_60_s_nextqa_mc_qa_processed.json[0].conversations[0]: ")


@pytest.mark.parametrize("video", ["gone.mp4", "../x.mp4", "/etc/passwd", None])
def test_bad_videos(hub: Path, video: Any) -> None:
    put(hub / NEXT, "30_60_s_nextqa_oe_qa_processed.json", [talk("p", video, "What?", "This.")])
    source = LlavaVideo(path=hub, subsets=NEXT, kinds=("oe",))
    (entry,) = source.entries()
    with pytest.raises(ItemError) as caught:
        read(source, entry)
    assert caught.value.code == ("missing" if video == "gone.mp4" else "bad_path")


def test_the_users_mistakes(hub: Path) -> None:
    def said(path: Path, **settings: Any) -> str:
        with pytest.raises(SeekerError) as caught:
            list(LlavaVideo(path=path, **settings).entries())
        return str(caught.value)

    assert "no such folder" in said(hub / "gone")
    assert "folders 'nothing*'" in said(hub, subsets="nothing*")
    assert "no *_mc_*qa_processed.json or *_oe_*" in said(hub / "gpt4o_qa_prompt")
    put(hub / NEXT, "30_60_s_nextqa_oe_qa_processed.json", "version https://git-lfs.github.com/spec/v1")
    assert "Git LFS pointer" in said(hub)
    put(hub / NEXT, "30_60_s_nextqa_oe_qa_processed.json", [talk("p", "packed.mp4", "What?", "This.")])
    put(hub / NEXT, "30_60_s_nextqa_videos_1.tar.gz", "")
    assert "still packed" in said(hub, kinds=("oe",)) and NEXT in said(hub, kinds=("oe",))


@pytest.mark.parametrize(
    ("text", "question", "options"),
    [
        (f"<image>\nQ?\nA. x\nB. y\n{LETTER}", "Q?", ["A. x", "B. y"]),
        (f"<image>\nQ?\n(A) x\n(B) y\n{FULL} ", "Q?", ["(A) x", "(B) y"]),
        ("<video>\nQ?\n\nOptions:\nA. x\nB. y goes\non", "Q?", ["A. x", "B. y goes on"]),
        ("Q one.\nQ two?\nA. x\nB. y", "Q one.\nQ two?", ["A. x", "B. y"]),
        ("Q?\nB. x", "Q?\nB. x", []),
    ],
)
def test_options_are_taken_out_of_the_text(text: str, question: str, options: list[str]) -> None:
    assert split_question(text, "mc") == (question, options)
