"""mark: a real server over loopback; what it saves is read by `sources/jsonl`, and a build's stages make of it what
the page showed."""

import base64
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from clips import make_clip
from servers.openai_server import Called, ChatServer, Said, in_turn

from seekerdata.errors import SeekerError
from seekerdata.instance import decode_mask
from seekerdata.mark import Told, marking
from seekerdata.marking import Marked, outline_mask
from seekerdata.plugin import make
from seekerdata.stage import Item
from seekerdata.stages.render import Render
from seekerdata.stages.segment import Segment
from seekerdata.stages.verify import Verify
from seekerdata.video import Video
from seekerdata.visual_prompt import SHAPES
from seekerdata.workspace import Workspace, encode_jpeg

BOX = {"time_s": 1.0, "box": [14, 14, 38, 36], "shape": "arrow"}
ASKED = {**BOX, "tag": "white square", "question": "Where does the white square go?", "answer": "To the right."}
LINE = [(10, 10), (30, 10), (30, 20), (10, 20)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    make_clip(folder / "videos" / "clip.mp4", seconds=3)
    return folder


@pytest.fixture
def served(place: Path) -> Iterator[Told]:
    (place / "marks.jsonl").unlink(missing_ok=True)
    with marking(place / "videos" / "clip.mp4") as told:
        yield told


def ask(told: Told, name: str, value: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """One request, a POST if there is a value; headers may be overwritten (`Content_Type`)."""
    url = urlsplit(told.url)
    connection = http.client.HTTPConnection(url.hostname or "", url.port or 0, timeout=20)
    sent = {"Content-Type": "application/json"} | {key.replace("_", "-"): text for key, text in headers.items()}
    path = name if name.startswith("/") else url.path + name
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    connection.request("GET" if value is None else "POST", path, None if value is None else data, sent)
    reply = connection.getresponse()
    found = reply.status, reply.read(), dict(reply.getheaders())
    connection.close()
    return found


@pytest.mark.parametrize("told", [{}, {"box": [0, 0, 9, 9], "outline": LINE}, {"box": [0, 0, 1, float("nan")]}])
def test_a_mark_is_drawn_once_and_in_numbers(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Marked.model_validate({"time_s": 1.0, "shape": "point", **told})


def test_a_drawing_becomes_an_annotation() -> None:
    corners = Marked.model_validate({**BOX, "box": [70.2, 9.6, -3, 50]}).row("a", "v.mp4", (64, 48))
    assert corners["annotations"]["box"] == {"time": 1.0, "xyxy": [0, 10, 64, 48]}
    drawn = Marked.model_validate({"time_s": 1.0, "outline": LINE, "shape": "point", "window": [0, 2]})
    marks = drawn.row("a", "v.mp4", (64, 48))["annotations"]
    mask = decode_mask(marks["mask"]["mask"])
    assert mask.sum() == 21 * 11 and mask[10:21, 10:31].all() and marks["window"] == {"start": 0, "end": 2}
    assert outline_mask(((-5, -5), (5, -5), (5, 5)), (64, 48))[0, 5] and not outline_mask(((1, 1),), (4, 4)).any()


def test_a_stranger_is_told_nothing(served: Told) -> None:
    token = urlsplit(served.url).path
    refused = [
        ask(served, "/"),
        ask(served, token[:-2] + "x/"),
        ask(served, "", Host="evil.example"),
        ask(served, "frame?time=1", Origin="http://evil.example"),
        ask(served, "save", ASKED, Origin="null"),
        ask(served, "/save", ASKED),
    ]
    assert {status for status, _, _ in refused} == {403}
    assert ask(served, "save", ASKED, Content_Type="text/plain")[0] == 415
    assert ask(served, "save", b"{", Content_Length="99999999")[0] == 413
    assert ask(served, "save", b"{")[0] == 400
    assert ask(served, "../../etc/passwd")[0] == ask(served, "ask", ASKED)[0] == 404
    assert ask(served, "save", {**ASKED, "video": "/etc/passwd"})[0] == 422
    status, page, headers = ask(served, "", Host="localhost:9", Origin="http://localhost:9")
    assert status == 200 and b"clip.mp4" in page and "default-src 'none'" in headers["Content-Security-Policy"]
    assert not any(name.lower().startswith("access-control") for name in headers) and not served.out.exists()


def test_a_frame_is_our_decoders(served: Told, place: Path) -> None:
    _, data, headers = ask(served, "frame?time=1.04")
    (frame,) = Video(place / "videos" / "clip.mp4").frames([1.04])
    assert data == encode_jpeg(frame.rgb) and float(headers["X-Time"]) == frame.time_s == 1.0
    assert [float(headers[f"X-{name}"]) for name in ("Before", "After")] == pytest.approx([0.9, 1.1])
    assert [ask(served, f"frame?time={time}")[0] for time in ("nan", "x", "1e9")] == [422, 422, 200]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_build_makes_of_a_row_what_was_shown(served: Told, place: Path, tmp_path: Path, shape: str) -> None:
    drawn = {"box": None, "outline": LINE} if shape == "scribble" else {}
    status, said, _ = ask(served, "preview", {**ASKED, **drawn, "shape": shape})
    assert status == 200, said
    assert ask(served, "save", {**ASKED, **drawn, "shape": shape})[0] == 200
    source = make("sources", {"use": "jsonl", "path": str(place)})
    workspace = Workspace(root=tmp_path, video_root=source.video_root(tmp_path))
    (entry,) = source.entries()
    item, render = Item(sample=source.read(entry, workspace)), Render()
    for stage in (Verify(), Segment(), render):
        item = stage.process(item, workspace, render.assign([item])["clip-0"])
    prompt, shown = item.sample.visual_prompts[0], json.loads(said)
    assert (prompt.shape, prompt.time_s, shown["question"]) == (shape, 1.0, item.sample.question)
    assert base64.b64decode(shown["image"].partition(",")[2]) == workspace.read_bytes(prompt.image)


def test_rows_are_added_and_a_bad_one_is_not(served: Told) -> None:
    served.out.write_text('{"id": "clip-0"}')
    assert json.loads(ask(served, "save", ASKED)[1]) == {"id": "clip-1", "file": "marks.jsonl", "rows": 2}
    for change, why in [({"answer": ""}, "answer"), ({"tag": ""}, "no tag"), ({"window": [2, 3]}, "outside_window")]:
        status, said, _ = ask(served, "save", {**ASKED, **change})
        assert status == 422 and why in said.decode()
    assert len(served.out.read_text().splitlines()) == 2


def test_a_model_plays_the_question(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_API_KEY", "sk-local-0123456789")
    look = Said("<think>Where?</think>", (Called("view_visual_prompt", {"frame_path": "prompt_1"}),))
    replies = (look, Said("<answer>To the right.</answer>"), Said("<think>a</think><answer>Down.</answer>"))
    with ChatServer(in_turn(*replies)) as server:
        monkeypatch.setenv("LOCAL_BASE_URL", server.url)
        with marking(place / "videos" / "clip.mp4", ask="openai-api/local/any") as told:
            status, said, _ = ask(told, "ask", ASKED)
            facts = json.loads(said)
            assert (status, facts["answer"], facts["correct"]) == (200, "To the right.", True)
            _, page, headers = ask(told, facts["page"])
            assert b"Where?" in page and headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")
            assert b"right answer" in page and ask(told, "answer?number=2")[0] == 422
            facts = json.loads(ask(told, "ask", {**ASKED, "answer": ""})[1])
            page = ask(told, facts["page"])[1]
            assert facts["correct"] is None and b"Down." in page and b"right answer" not in page
    pictures = [len(request.images) for request in server.requests]
    assert pictures[1] == pictures[0] + 1


def test_what_cannot_be_marked_is_said_in_one_line(place: Path, tmp_path: Path) -> None:
    clip = place / "videos" / "clip.mp4"
    for video, more in [
        (place / "no.mp4", {}),
        (clip, {"out": tmp_path / "x.jsonl"}),
        (clip, {"ask": "nobody"}),
        (clip, {"port": 99999}),
    ]:
        with pytest.raises(SeekerError), marking(video, **more):
            pass


def test_a_person_marks_and_saves_in_a_browser(chromium: Any, place: Path) -> None:
    (place / "marks.jsonl").unlink(missing_ok=True)
    faults, asked = list[str](), list[str]()
    with marking(place / "videos" / "clip.mp4") as told, chromium.new_context() as context:
        tab = context.new_page()
        tab.on("console", lambda message: faults.append(message.text))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(told.url)
        tab.wait_for_selector("#clock:text-is('0.000 s')")
        tab.keyboard.press("Shift+ArrowRight")
        tab.wait_for_selector("#clock:text-is('1.000 s')")
        tab.keyboard.press("ArrowRight")
        tab.wait_for_selector("#clock:text-is('1.100 s')")
        box = tab.locator("canvas").bounding_box()
        for n, (x, y) in enumerate([(14, 14), (30, 25), (40, 36)]):
            tab.mouse.move(box["x"] + x / 64 * box["width"], box["y"] + y / 48 * box["height"])
            if n == 0:
                tab.mouse.down()
        tab.mouse.up()
        tab.wait_for_selector("#seen", state="visible")
        tab.fill("[name=tag]", "white square")
        tab.check("[name=shape][value=ellipse]", force=True)
        tab.fill("[name=question]", "Where does the white square go?")
        tab.fill("[name=answer]", "To the right.")
        tab.click(".main")
        tab.wait_for_selector("#said:has-text('Saved as clip-0')")
    row = json.loads((place / "marks.jsonl").read_text())
    assert row["annotations"]["shape"] == "ellipse" and row["annotations"]["box"]["time"] == 1.1
    assert np.allclose(row["annotations"]["box"]["xyxy"], [14, 14, 40, 36], atol=1)
    assert faults == [] and [url for url in asked if not url.startswith((told.url, "data:"))] == []
