"""The page in a real Chromium: from a file and over http, one file and many; nothing asked of anyone, nothing run."""

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter
from typing import Any

import PIL.Image
import pytest
from exhibits import EVIL, conversation, with_mark

from seekerdata.exhibit import Exhibit
from seekerdata.page import LeftOut, write_page
from seekerdata.sample import Sample
from seekerdata.trajectory import StopReason

ALL_ELEMENTS = "document.querySelectorAll('*').length"
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"
LOADED = "performance.getEntriesByType('navigation')[0]"
PAPER = "getComputedStyle(document.documentElement).backgroundColor"
BLUE = PIL.Image.new("RGB", (64, 36), "navy")
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(19, 21, 24)"


@pytest.fixture(scope="module")
def tab(chromium: Any) -> Any:
    return chromium.new_page()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pages of the same 25 items, two of them hostile: `whole.html` is one file, `split.html` has a folder."""
    folder = tmp_path_factory.mktemp("site")
    for name, limit in (("whole", 30_000_000), ("split", 9_000)):
        write_page(folder / f"{name}.html", EVIL, {EVIL: EVIL}, [], _exhibits(25), _left(), embed_limit_bytes=limit)
    assert (folder / "split_files").is_dir() and not (folder / "whole_files").exists()
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """The address of a plain file server, as a static Space is one."""
    handler = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


class Visit:
    """A page in the tab: everything that it asks for, logs, raises or pops up is kept, and must be nothing."""

    def __init__(self, tab: Any, url: str, opens: str = "1", width: int = 1280, theme: str = "light") -> None:
        self.tab = tab
        self.asked: list[str] = []
        self.faults: list[str] = []
        self.heard = {
            "request": lambda request: self.asked.append(request.url),
            "console": lambda message: self.faults.append(message.text),
            "pageerror": lambda error: self.faults.append(str(error)),
            "dialog": lambda dialog: (self.faults.append(dialog.message), dialog.dismiss()),
        }
        tab.goto("about:blank")  # what an earlier page still asks for is not this one's
        for event, hear in self.heard.items():
            tab.on(event, hear)
        tab.set_viewport_size({"width": width, "height": 800})
        tab.emulate_media(color_scheme=theme)
        tab.goto(url)
        self.wait_for(opens)

    def until(self, condition: str) -> None:
        """Wait until something is so; playwright's `wait_for_function` needs eval, which the page's policy forbids."""
        poll = f"const look = () => ({condition}) ? done() : setTimeout(look, 20); look()"
        self.tab.evaluate(f"new Promise(done => {{ {poll} }})")

    def wait_for(self, number: str) -> None:
        self.tab.wait_for_selector(f"#item-{number}", state="attached")

    @property
    def question(self) -> str:
        return self.tab.text_content("#item .question")

    @property
    def counted(self) -> str:
        return self.tab.text_content(".shown")

    def close(self, home: str) -> None:
        """Nothing went wrong, and nothing was asked but files of the site at `home`."""
        for event, hear in self.heard.items():
            self.tab.remove_listener(event, hear)
        assert self.faults == []
        assert [url for url in self.asked if not url.startswith((home, "data:"))] == []


def _sample(n: int) -> Sample:
    from seekerdata.sample import Target, VideoRef

    video = VideoRef(path="v.mp4", sha256="0" * 64, duration_s=20.0, size_wh=(96, 64), fps=10.0)
    facts = {"question": f"Question {n}?", "options": ("red", "white"), "answer": "B", "dimension": ("OA", "FT")[n % 2]}
    target = Target(tag=f"thing {n}", window_s=(8.0, 11.0))
    return with_mark(Sample(id=f"q{n}", video=video, target=target, **facts)).model_copy(update=facts)


def _exhibits(count: int) -> Iterator[Exhibit]:
    """Right and wrong ones in turn; the second and the last are hostile, and a word stands in a thought of the last."""
    stopped = conversation().model_copy(update={"stop": StopReason.MAX_ROUNDS, "answer": ""})
    for n in range(count):
        sample, last = _sample(n), n == count - 1
        if n == 1 or last:
            sample = sample.model_copy(update={"question": EVIL, "id": EVIL, "options": (EVIL, EVIL)})
        words = f"zebra {EVIL} {'x' * 900}" if last else ""
        played = stopped if n == 2 else conversation(words=words, answer="BA"[n % 2], correct=n % 2 == 0)
        yield Exhibit(sample, played, "kept", lambda image: BLUE, BLUE, BLUE)


def _left() -> list[LeftOut]:
    return [LeftOut(EVIL, EVIL, EVIL, EVIL)]


@pytest.mark.parametrize(("by", "name"), [("file", "whole"), ("file", "split"), ("http", "split")])
def test_it_opens_and_asks_nobody(tab: Any, folder: Path, server: str, by: str, name: str) -> None:
    home = f"file://{folder}" if by == "file" else server
    visit = Visit(tab, f"{home}/{name}.html#item-23-call-2", opens="23")
    assert visit.question == "Question 22?" and visit.tab.text_content(".place") == "23 of 25"
    assert visit.tab.evaluate("scrollY") > 500
    shown = "i => i.loading !== 'lazy' || i.complete && i.naturalWidth > 0"
    visit.until(f"[...document.querySelectorAll('#item .tool img, .list img')].every({shown})")
    chunks = [url for url in visit.asked if url.endswith(".js")]
    assert bool(chunks) == (name == "split") and visit.tab.evaluate("document.scripts.length") == 2
    visit.close(home)


def test_keys_and_buttons_step_through(tab: Any, folder: Path) -> None:
    visit = Visit(tab, f"file://{folder}/split.html")
    for key, question in [("j", EVIL), ("ArrowRight", "Question 2?"), ("k", EVIL), ("ArrowLeft", "Question 0?")]:
        visit.tab.keyboard.press(key)
        visit.until(f"document.querySelector('#item .question').textContent === {json.dumps(question)}")
    assert visit.tab.url.endswith("#item-1") and visit.tab.is_disabled(".previous")
    assert visit.tab.get_attribute("a[href='#item-1']:not(.number)", "aria-current") == "true"
    visit.tab.click(".next")
    visit.wait_for("2")
    visit.tab.keyboard.press("?")
    assert visit.tab.is_visible("dialog") and "next item" in visit.tab.text_content("dialog")
    visit.tab.keyboard.press("Escape")
    visit.tab.keyboard.press("/")
    visit.tab.keyboard.type("j")  # a letter of a search, not a key of the page
    assert not visit.tab.is_visible("dialog") and visit.tab.input_value(".filters input") == "j"
    assert visit.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert visit.tab.evaluate("[...document.querySelectorAll('input, select')].every(field => field.labels.length)")
    visit.close("file:")


@pytest.mark.parametrize("name", ["whole", "split"])
def test_filters_and_search(tab: Any, folder: Path, name: str) -> None:
    visit = Visit(tab, f"file://{folder}/{name}.html")
    assert visit.counted == "25 items"
    visit.tab.select_option("[name=answer]", "wrong")
    assert visit.counted == "12 of 25 items" and visit.question == EVIL
    visit.tab.select_option("[name=dimension]", "OA")
    assert visit.counted == "0 of 25 items" and visit.tab.is_visible(".nothing")
    visit.tab.click(".reset")
    visit.tab.fill(".filters input", "  THING   7 ")
    assert visit.counted == "1 of 25 items"
    visit.wait_for("8")
    visit.tab.fill(".filters input", "zebra </script>")  # said in a thought of the last item
    if name == "split":
        assert visit.counted == "0 of 25 items"
        visit.tab.click(".depth button")
    visit.wait_for("25")
    assert visit.counted == "1 of 25 items" and not visit.tab.is_visible(".depth")
    visit.close("file:")


@pytest.mark.parametrize("name", ["whole", "split"])
def test_what_anyone_wrote_does_nothing(tab: Any, folder: Path, name: str) -> None:
    visit = Visit(tab, f"file://{folder}/{name}.html#item-25", opens="25")
    assert visit.question == visit.tab.title() == EVIL
    assert visit.tab.text_content("h1") == EVIL and visit.tab.text_content("#left-out b") == EVIL
    assert visit.tab.text_content("#item .thought >> nth=1").startswith(f"near zebra {EVIL}")
    assert (
        visit.tab.evaluate(
            "document.querySelectorAll('#item article article, iframe, object, embed, [onerror]').length"
        )
        == 0
    )
    assert visit.tab.evaluate(
        "[...document.images].every(i => /^(data:image.jpeg|[^:]+_files)/.test(i.getAttribute('src')))"
    )
    # Were a text ever taken for a document after all, the policy would still let nothing run and ask for nothing.
    visit.tab.evaluate(
        "document.querySelector('#item').insertAdjacentHTML('beforeend', '<img src=x onerror=alert(9)>')"
    )
    visit.until("document.querySelector('#item > img').complete")
    assert all("Content Security Policy" in fault or "ERR_FILE_NOT_FOUND" in fault for fault in visit.faults)
    assert not [fault for fault in visit.faults if fault == "9"]
    visit.faults.clear()
    visit.close("file:")


def test_dark_and_light(tab: Any, folder: Path) -> None:
    visit = Visit(tab, f"file://{folder}/whole.html", theme="dark")
    assert visit.tab.evaluate(PAPER) == DARK
    visit.tab.select_option("#theme", "light")
    assert visit.tab.evaluate(PAPER) == LIGHT
    visit.tab.reload()
    assert visit.tab.evaluate(PAPER) == LIGHT and visit.tab.input_value("#theme") == "light"
    visit.tab.select_option("#theme", "")
    assert visit.tab.evaluate(PAPER) == DARK
    visit.close("file:")


def test_a_phone_never_scrolls_sideways(tab: Any, folder: Path) -> None:
    visit = Visit(tab, f"file://{folder}/split.html", width=360)
    assert not visit.tab.is_visible(".list") and visit.tab.evaluate(OVERFLOW) <= 0
    visit.tab.click(".fold")
    assert visit.tab.is_visible(".list a") and visit.tab.evaluate(OVERFLOW) <= 0
    visit.tab.goto(f"{visit.tab.url.partition('#')[0]}#item-25")  # long words without a gap
    visit.wait_for("25")
    visit.tab.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert visit.tab.evaluate(OVERFLOW) <= 0
    visit.close("file:")


def test_a_page_without_its_folder_says_so(tab: Any, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "split.html", tmp_path)
    tab.goto(f"file://{tmp_path}/split.html")
    assert "belong together" in tab.text_content("#item .failed")


def test_without_scripts_one_file_shows_all(chromium: Any, folder: Path) -> None:
    with chromium.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        tab.goto(f"file://{folder}/whole.html")
        assert tab.locator("article").count() == 25 and not tab.is_visible("nav")


def test_what_opens_does_not_grow_with_the_run(tab: Any, tmp_path: Path) -> None:
    """Why a page of thousands opens at once: it has the elements of a page of thirty."""
    counts = []
    for many in (25, 250):
        plain = (Exhibit(_sample(n), None) for n in range(many))
        write_page(tmp_path / "p.html", "run", {}, [], plain, _left() * many, embed_limit_bytes=9_000)
        visit = Visit(tab, f"file://{tmp_path}/p.html")
        visit.tab.wait_for_selector(".list a")
        counts.append(visit.tab.evaluate(ALL_ELEMENTS) - visit.tab.locator("#left-out tr").count() * 4)
        visit.close("file:")
    assert abs(counts[0] - counts[1]) < 20 and max(counts) < 600


@pytest.mark.slow
def test_five_thousand_rows_open_and_filter_at_once(
    tab: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "p.html"
    began = perf_counter()
    write_page(page, "five thousand", {}, [], _exhibits(5000), embed_limit_bytes=1_000_000)
    written_s = perf_counter() - began
    visit = Visit(tab, f"file://{page}")
    visit.until(f"{LOADED}.loadEventEnd > 0")
    open_s = visit.tab.evaluate(f"{LOADED}.loadEventEnd") / 1000  # the first item's chunk and the list are there
    assert visit.tab.is_visible(".list a") and visit.question == "Question 0?"
    timed = """([name, value]) => new Promise(done => {
        const field = document.querySelector(name), began = performance.now();
        field.value = value;
        field.dispatchEvent(new Event('input', {bubbles: true}));
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
    })"""
    wanted = {"[name=answer]": "wrong", "[name=dimension]": "FT", ".filters input": "question 77"}
    filter_ms = {name: visit.tab.evaluate(timed, [name, value]) for name, value in wanted.items()}
    assert visit.counted == "6 of 5000 items"
    visit.tab.click(".depth button")
    visit.tab.wait_for_selector(".depth", state="hidden", timeout=60_000)
    filter_ms["every word"] = visit.tab.evaluate(timed, [".filters input", "zebra"])
    elements, size = visit.tab.evaluate(ALL_ELEMENTS), page.stat().st_size / 1e6
    told = ", ".join(f"{name} {ms:.0f} ms" for name, ms in filter_ms.items())
    with capsys.disabled():
        print(f"\n5,000 rows ({size:.1f} MB, {elements} elements, written in {written_s:.0f} s)", end=" ")
        print(f"open in {open_s:.2f} s, filter in {told}")
    visit.close("file:")
    assert open_s < 2 and max(filter_ms.values()) < 200
