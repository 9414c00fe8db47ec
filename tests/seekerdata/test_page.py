"""The page: whole, complete, asking nobody for anything, and text stays text whoever wrote it."""

import base64
import gc
import hashlib
import io
import json
import re
import urllib.parse
import weakref
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import PIL.Image
import pytest
from exhibits import EVIL, conversation, exhibit, picture, with_mark

from seekerdata.exhibit import Exhibit
from seekerdata.page import MOST_LEFT_OUT, STRIP_FRAMES, LeftOut, write_page
from seekerdata.sample import Sample
from seekerdata.site import CHUNK_ITEMS
from seekerdata.trajectory import Image, StopReason

VOID = {"meta", "link", "img", "input"}
STAGES = [
    {"name": "source", "kept": 3, "dropped": 0, "failed": 1},
    {"name": "solve", "kept": 1, "dropped": 1, "failed": 1},
]


class Read(HTMLParser):
    """A page and the items beside it taken apart; fails on a tag that is never closed or closed in the wrong place."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.source = path, path.read_text("utf-8")
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.scripts: list[str] = []
        self.data = "{}"
        self.feed(self.source)
        self.index: dict[str, Any] = json.loads(self.data)
        self.chunks = [path.parent / urllib.parse.unquote(name) for name in self.index.get("chunks", [])]
        for chunk in self.chunks:
            self.feed("".join(json.loads(chunk.read_text("ascii").removeprefix("var chunk = "))))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            kind = next(attrs.get("type") for tag, attrs in reversed(self.tags) if tag == "script")
            if kind == "application/json":
                self.data = data
            else:
                self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
            self.words += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        """Attributes of every such tag; `class` is spelled `class_` and need only hold the word."""
        fits = lambda a: all(v in a.get(k.rstrip("_"), "").split(" ") for k, v in wanted.items())  # noqa: E731
        return [attrs for name, attrs in self.tags if name == tag and fits(attrs)]

    @property
    def items(self) -> list[dict[str, Any]]:
        return cast(list[dict[str, Any]], self.index["items"])

    def picture(self, src: str) -> PIL.Image.Image:
        if src.startswith("data:image/jpeg;base64,"):
            return PIL.Image.open(io.BytesIO(base64.b64decode(src.partition(",")[2], validate=True)))
        return PIL.Image.open(self.path.parent / urllib.parse.unquote(src))


@pytest.fixture
def marked(sample: Sample) -> Sample:
    return with_mark(sample)


def page(path: Path, *exhibits: Exhibit, **more: Any) -> Read:
    write_page(path, more.pop("title", "run"), more.pop("facts", {}), more.pop("stages", STAGES), exhibits, **more)
    return Read(path)


def test_everything_is_on_the_page(tmp_path: Path, marked: Sample) -> None:
    kept, names = exhibit(marked, conversation()), {"OA": "object attribute"}
    left = [("q7", "verify", "dropped", "missing: no window"), LeftOut("q8", "verify", "dropped", "missing: no tag")]
    read = page(tmp_path / "p.html", kept, left_out=left, facts={"seed": "0"}, dimensions=names)
    for words in (
        marked.question, "object attribute", "aqua set of mark", "white square", "right answer", "not in the loss",
        "too late", "Error: past the end", 'crop_video(video_path="video", start_time=8, end_time=9)', "8.03 s",
        "Answered B white", "1,234 output tokens", "window 8–11 s", "3 crop_video, 2 frames", "1 crop_video, refused",
        "Left out, 2 items", "2 dropped", "missing: no window", "missing: no tag", "seed",
    ):  # fmt: skip
        assert words in " ".join(read.words.split()), words
    # the marked and the raw frame; the overview; what the calls returned
    images = read.all("img")
    assert len(images) == 2 + 3 + 1 + 2 and all(image["loading"] == "lazy" for image in images)
    sizes = [max(read.picture(image["src"]).size) for image in images]
    assert sizes == [960, 640, 160, 160, 160, 320, 320, 320]
    assert [(int(i["width"]), int(i["height"])) for i in images] == [read.picture(i["src"]).size for i in images]
    assert max(read.picture(read.items[0]["picture"]).size) == 128
    assert len(read.all("div", class_="unlearned")) == 1 and len(read.all("div", class_="refusal")) == 1
    assert len(read.all("li", class_="gold")) == 1 and len(read.all("details", class_="more")) == 1
    for link in read.all("a"):
        assert link["href"][1:] in {attrs.get("id") for _, attrs in read.tags}


def test_what_anyone_wrote_stays_text(tmp_path: Path, marked: Sample) -> None:
    target = marked.target.model_copy(update={"tag": EVIL, "evidence": EVIL})
    prompt = marked.visual_prompts[0].model_copy(update={"shape": EVIL, "colour": EVIL, "phrase": EVIL})
    video = marked.video.model_copy(update={"origin": EVIL, "licence": EVIL})
    fields = {"question": EVIL, "text_question": f"{EVIL}!", "options": (EVIL, EVIL), "dimension": EVIL, "id": EVIL}
    evil = marked.model_copy(
        update={**fields, "answer": "A", "target": target, "video": video, "visual_prompts": (prompt,)}
    )
    played = conversation(words=EVIL, answer=EVIL, correct=False)
    played = played.model_copy(update={"policy": EVIL, "kind": EVIL, "usage": {EVIL: 1}})
    left = [LeftOut(EVIL, EVIL, EVIL, EVIL)]
    stages = [{"name": EVIL, "kept": 1, "dropped": 0, "failed": 0}]
    plain = page(tmp_path / "plain.html", exhibit(marked, conversation()), left_out=[LeftOut("a", "b", "c", "d")])
    read = page(
        tmp_path / "evil.html", exhibit(evil, played, f"failed at {EVIL}"), left_out=left, title=EVIL,
        facts={EVIL: EVIL, "lone surrogate": "\ud800"}, stages=stages, dimensions={EVIL: EVIL},
    )  # fmt: skip
    assert read.scripts == plain.scripts and len(read.scripts) == 1
    assert read.words.count(EVIL) > 20
    assert {tag for tag, _ in read.tags} <= {tag for tag, _ in plain.tags}
    known = {key for _, attrs in plain.tags for key in attrs}
    assert {key for _, attrs in read.tags for key in attrs} <= known
    assert not [key for key in known if key.startswith("on")]
    assert all(re.fullmatch(r"[-\w:;.%,() ]*", attrs.get("style", "")) for _, attrs in read.tags)
    # A browser that runs scripts takes <noscript> for text up to the first closing tag, and parses it later.
    (inside,) = re.findall(r'<noscript id="bodies">(.*?)</noscript>', read.source, flags=re.DOTALL)
    (tmp_path / "inside.html").write_text(inside)
    assert Read(tmp_path / "inside.html").words.strip().endswith(f"odd{EVIL}")
    assert inside.count("<!-- next -->") == 0 and read.items[0]["asks"] == EVIL


def test_only_its_own_script_runs_and_nothing_is_asked_of_a_server(tmp_path: Path, marked: Sample) -> None:
    read = page(tmp_path / "p.html", exhibit(marked, conversation()))
    (script,) = read.scripts
    (policy,) = [m["content"] for m in read.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and policy.startswith("default-src 'none'")
    code = re.sub('base64,[^"]*', "", read.source)
    assert not re.search(r"https?:|//[a-z]|url\(|@import|fetch|XMLHttp|WebSocket", code)
    for _, attrs in read.tags:
        links = [attrs.get("src", "data:"), attrs.get("href", "#")]
        assert all(link.startswith(("data:", "#")) for link in links)


def test_a_large_run_keeps_what_it_shows_in_a_folder(tmp_path: Path, marked: Sample) -> None:
    path = tmp_path / "pages" / "a #1 %ü.html"
    mine, stale = path.parent / "a #1 %ü_files", f"{'0' * 24}.jpg"
    for name in (f"00/{stale}", "00/holiday.jpg", "notes.txt"):
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text("x")
    read = page(path, exhibit(marked, conversation()), exhibit(marked, conversation()), embed_limit_bytes=9_000)
    images = read.all("img")
    assert len(images) == 2 * 8 and all(read.picture(image["src"]).size for image in images)
    assert all(not image["src"].startswith("data:") for image in images)
    left = {f.relative_to(mine).as_posix() for f in mine.rglob("*") if f.is_file()}
    named = [i["src"] for i in images] + [item["picture"] for item in read.items] + read.index["chunks"]
    assert left == {urllib.parse.unquote(n).partition("/")[2] for n in named} | {"00/holiday.jpg", "notes.txt"}
    assert len(read.chunks) == 1
    for name in left - {"00/holiday.jpg", "notes.txt"}:
        assert hashlib.sha256((mine / name).read_bytes()).hexdigest()[:24] == Path(name).stem
    page(path, exhibit(marked, conversation()))
    assert {f.name for f in mine.rglob("*") if f.is_file()} == {"holiday.jpg", "notes.txt"}


def test_same_input_same_bytes(tmp_path: Path, marked: Sample) -> None:
    pages = [page(tmp_path / name, exhibit(marked, conversation())).source for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.html", "b.html"]


def test_exhibits_are_taken_one_at_a_time(tmp_path: Path, marked: Sample) -> None:
    made: list[weakref.ref[PIL.Image.Image]] = []
    most = 0

    def exhibits() -> Iterator[Exhibit]:
        nonlocal most
        for _ in range(6):
            one = exhibit(marked, conversation())
            made.extend(weakref.ref(p) for p in (one.marked, one.raw) if p)
            gc.collect()
            most = max(most, sum(ref() is not None for ref in made))
            yield one

    gc.freeze()  # what other tests have left is not looked at
    write_page(tmp_path / "p.html", "run", {}, [], exhibits())
    gc.unfreeze()
    assert most <= 4  # the one before may still be in hand


def test_a_frame_shown_before_is_not_made_again(tmp_path: Path, marked: Sample) -> None:
    asked: list[Image] = []

    def counted(image: Image) -> PIL.Image.Image:
        asked.append(image)
        return picture(image)

    twice = [Exhibit(marked, conversation(), picture=counted) for _ in range(2)]
    read = page(tmp_path / "p.html", *twice)
    assert len(asked) == len(set(asked)) == 6
    assert len(read.all("img")) == 12


def test_what_cannot_be_shown_says_so(tmp_path: Path, marked: Sample) -> None:
    lost = exhibit(marked, conversation(overview=14))
    read = page(tmp_path / "p.html", lost, Exhibit(marked, conversation()))
    assert read.words.count("not_reproduced: pixels differ") == 1
    assert read.words.count("no picture") == 2  # its marked and raw frame; the rest is known from the first
    assert len(read.all("img")) == (2 + 13 + 3) + 6


def test_long_overviews_are_thinned_and_closed(tmp_path: Path, marked: Sample) -> None:
    read = page(tmp_path / "p.html", exhibit(marked, conversation(overview=256)))
    strip = [image for image in read.all("img") if max(read.picture(image["src"]).size) == 160]
    assert len(strip) == STRIP_FRAMES
    assert f"256 frames, 0.0 to 255.0 s, {STRIP_FRAMES} of them here" in read.words
    assert "0.00 s" in read.words and "255.00 s" in read.words
    assert not [d for d in read.all("details") if "open" in d and "class" not in d]


def test_filters_know_every_item(tmp_path: Path, marked: Sample) -> None:
    other = marked.model_copy(update={"visual_prompts": (), "dimension": "", "options": (), "answer": "white"})
    stopped = conversation().model_copy(update={"stop": StopReason.MAX_ROUNDS, "answer": ""})
    read = page(
        tmp_path / "p.html",
        exhibit(marked, conversation()),
        exhibit(marked, conversation(answer="A", correct=False), "dropped at solve: wrong: A"),
        exhibit(marked, stopped, "dropped at solve: max_rounds"),
        Exhibit(other, None, "failed at solve: missing: gone"),
    )
    values = [item["of"] for item in read.items]
    assert [of["outcome"] for of in values] == ["kept", *["dropped at solve"] * 2, "failed at solve"]
    assert [of["answer"] for of in values] == ["right", "wrong", "no answer", "not played"]
    assert [of["shape"] for of in values] == [*["set_of_mark"] * 3, "no mark"]
    assert [of["calls"] for of in values] == ["3", "3", "3", "not played"]
    assert len(read.all("li", class_="chosen")) == 2
    offered = {option["value"] for option in read.all("option")} - {"", "light", "dark"}
    assert offered == {value for of in values for value in of.values()}
    assert {field["name"] for field in read.all("select") if "name" in field} == set(values[0])
    assert "dropped at solve (2)" in read.words and "ended with max rounds" in read.words


def test_words_and_items_without_end_are_not_in_the_page(tmp_path: Path, marked: Sample) -> None:
    """What the page holds besides its list does not grow with the run; all the rest is beside it, in order."""
    gone = [LeftOut(f"q{n}", "verify", "dropped", "missing: no tag") for n in range(MOST_LEFT_OUT + 7)]
    many = 2 * CHUNK_ITEMS + 1
    samples = [marked.model_copy(update={"question": f"Question {n}?"}) for n in range(many)]
    exhibits = [Exhibit(sample, None) for sample in samples]
    read = page(tmp_path / "p.html", *exhibits, left_out=gone, embed_limit_bytes=9_000)
    assert len(read.chunks) == 3 and not re.search("<article", read.source)
    asked = [f"Question {n}?" for n in range(many)]
    assert [item["asks"] for item in read.items] == asked == re.findall(r"Question \d+\?", read.words)
    assert f"Left out, {len(gone)} items" in read.words and "and 7 more" in read.words and "q106" not in read.words


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    read = page(tmp_path / "p.html", stages=[], left_out=[LeftOut("q1", "source", "failed", "")])
    assert "There are no items to show." in read.words and "no reason given" in read.words
    assert read.index == {}
