"""mark: a person marks one thing on one frame of a video and asks about it; each question becomes a row of a file.

What is shown of a mark is what a build makes of the row: the same stages, the same id, the same pixels.
"""

import asyncio
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, NamedTuple

from pydantic import ValidationError

from seekerdata.card import template
from seekerdata.chat_model import HF, place
from seekerdata.dataset import shown
from seekerdata.errors import ItemError, SeekerError
from seekerdata.exhibit import Exhibit, looker
from seekerdata.grade import grade_by_rule, needs_judge
from seekerdata.local_page import HEADERS, LocalPage, Sent
from seekerdata.marking import Marked
from seekerdata.models import ModelSettings, connect
from seekerdata.observation import PromptFrame
from seekerdata.page import write_page
from seekerdata.plugin import make
from seekerdata.rollout import Policy, RolloutSettings, rollout
from seekerdata.row import read_row
from seekerdata.sample import Sample
from seekerdata.stage import Drop, Item
from seekerdata.stages.render import Render
from seekerdata.stages.segment import Segment
from seekerdata.stages.verify import Verify
from seekerdata.trajectory import Trajectory
from seekerdata.visual_prompt import SHAPES
from seekerdata.workspace import Workspace, encode_jpeg, jpeg_uri

MOST_PIXELS = 1 << 26
"""A larger frame is not sent to a browser."""


class Told(NamedTuple):
    """Where the page is, and the file that rows are added to."""

    url: str
    out: Path


@contextmanager
def marking(video: Path, out: Path | None = None, ask: str | None = None, port: int = 0) -> Iterator[Told]:
    """Serve the page as long as the `with` lasts.

    Args:
        video: the one file that is shown.
        out: the .jsonl file; `marks.jsonl` beside the videos by default.
        ask: a model that plays each question on request, by inspect_ai's name; `hf/FOLDER` in this process.
        port: where; 0: any that is free.

    Raises:
        SeekerError: no such video, it cannot be read, the file cannot stand there, the model cannot be asked.
    """
    policy = policy_of(ask) if ask else None
    with TemporaryDirectory(prefix="seekerdata-mark-") as scratch:
        desk = Desk(video, out, policy, ask or "", Path(scratch))
        gets = {"": desk.page, "mark.css": _card("css"), "mark.js": _card("javascript", "js")}
        gets |= {"frame": desk.frame, "answer": desk.answer}
        posts = {"preview": desk.preview, "save": desk.save} | ({"ask": desk.ask} if policy else {})
        with LocalPage(gets, posts, port) as served:
            yield Told(served.url, desk.out)


def policy_of(name: str) -> Policy:
    """Who plays a question, found out to be at hand; weights are not loaded yet.

    Raises:
        SeekerError: no such model, no key, a package is missing.
    """
    policy: Policy
    if name.startswith(HF):
        path, revision = place(name)
        policy = make("policies", {"use": "weights", "path": path, "revision": revision})
        policy.check_ready()
        return policy
    try:
        settings = ModelSettings(model=name)
    except ValidationError as error:
        raise SeekerError(f"--ask {name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
    connect(settings)
    policy = make("policies", {"use": "model", "model": {"model": name}})
    return policy


class Desk:
    """One video, the file of its rows, and whom to ask. Requests come from several threads."""

    def __init__(self, video: Path, out: Path | None, policy: Policy | None, asks: str, scratch: Path) -> None:
        file = video.expanduser().resolve()
        beside = file.parent.parent if file.parent.name == "videos" else file.parent
        self.out = (out.expanduser() if out else beside / "marks.jsonl").resolve()
        folder = _videos_of(self.out, file)
        self.path = file.relative_to(folder).as_posix()
        self.workspace = Workspace(root=scratch, video_root=folder)
        self.video = self.workspace.video(self.path)
        self.policy, self.asks, self.answers = policy, asks, 0
        self._saving, self._asking = Lock(), Lock()
        try:
            self.info = self.video.info
        except ItemError as error:
            raise SeekerError(error.message) from None
        if math.prod(self.info.size_wh) > MOST_PIXELS:
            raise SeekerError(f"{video}: frames of {self.info.size_wh} are too large for a browser")
        self._ids()

    def page(self, _: dict[str, str]) -> Sent:
        """The page itself."""
        facts = {"duration_s": self.info.duration_s, "size_wh": self.info.size_wh, "shapes": SHAPES}
        words = {"name": Path(self.path).name, "out": self.out.name, "asks": self.asks, "facts": facts}
        return Sent(template("mark.html.jinja").render(words).encode(), "text/html; charset=utf-8")

    def frame(self, asked: dict[str, str]) -> Sent:
        """The frame on screen at `time`, with its true time and those of the frames before and after it."""
        try:
            time_s = float(asked.get("time", ""))
        except ValueError:
            time_s = math.nan
        if not math.isfinite(time_s):
            raise ItemError("bad_time", "time is a number of seconds")
        (frame,) = self.video.frames([time_s])
        times, (number,) = self.video.shown_s, self.video.numbers([time_s])
        near = {"Before": times[max(0, number - 1)], "After": times[min(len(times) - 1, number + 1)]}
        told = {"X-Time": repr(frame.time_s)} | {f"X-{name}": repr(float(value)) for name, value in near.items()}
        return Sent(encode_jpeg(frame.rgb), "image/jpeg", told)

    def preview(self, value: Any) -> dict[str, Any]:
        """The marked frame as a model will see it, and the question in its words."""
        sample = self._rendered(self._sample(Marked.model_validate(value).filled()))
        prompt = sample.visual_prompts[0]
        facts = {"image": jpeg_uri(self.workspace.read_bytes(prompt.image)), "question": sample.question}
        return facts | {"options": sample.options, "mask_from": sample.provenance["segment"]["mask_from"]}

    def save(self, value: Any) -> dict[str, Any]:
        """Add the row to the file, if a build would take it."""
        with self._saving:
            marked = Marked.model_validate(value)
            row = self._row(marked)
            self._rendered(self._sample(marked))
            line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            try:
                self.out.parent.mkdir(parents=True, exist_ok=True)
                with open(self.out, "a+b") as file:
                    if file.tell() and (file.seek(-1, 2), file.read(1))[1] != b"\n":
                        line = b"\n" + line
                    file.write(line)
            except OSError as error:
                raise SeekerError(f"{self.out}: cannot be written: {error.strerror}") from None
            return {"id": row["id"], "file": self.out.name, "rows": len(self._ids())}

    def ask(self, value: Any) -> dict[str, Any]:
        """Let the model play the question; `page` is where its looks are shown."""
        assert self.policy is not None, "only offered with a model"
        marked = Marked.model_validate(value)
        if not marked.question.strip():
            raise ItemError("bad_question", "write a question first")
        if not self._asking.acquire(blocking=False):
            raise ItemError("busy", "the model is still playing another question")
        try:
            sample = self._rendered(self._sample(marked.filled()))
            if not marked.answer.strip():
                sample = sample.model_copy(update={"answer": ""})
            played = self._played(self.policy, sample)
            self.answers += 1
            self._write(self.answers, sample, played)
            said = {"answer": played.answer, "stop": str(played.stop), "correct": played.correct}
            return said | {"page": f"answer?number={self.answers}"}
        finally:
            self._asking.release()

    def answer(self, asked: dict[str, str]) -> Sent:
        """The page of one answer. Its own policy lets its script run; it is kept apart from this one's origin."""
        number = asked.get("number", "")
        if number not in map(str, range(1, self.answers + 1)):
            raise ItemError("missing", "there is no such answer")
        apart = {**HEADERS, "Content-Security-Policy": "sandbox allow-scripts; frame-ancestors 'self'"}
        return Sent(self.workspace.read_bytes(f"answer-{number}.html"), "text/html; charset=utf-8", apart)

    def _row(self, marked: Marked) -> dict[str, Any]:
        taken = self._ids()
        name = Path(self.path).stem
        free = next(f"{name}-{n}" for n in count() if f"{name}-{n}" not in taken)
        return marked.row(free, self.path, self.info.size_wh)

    def _ids(self) -> set[str]:
        """The ids in the file; of a line that is no row, the reader of the file will tell."""
        try:
            lines = self.out.read_text("utf-8", "replace").splitlines() if self.out.exists() else []
        except OSError as error:
            raise SeekerError(f"{self.out}: cannot be read: {error.strerror}") from None
        found = set()
        for number, line in enumerate(filter(str.strip, lines)):
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            found.add(str(row["id"]) if isinstance(row, dict) and row.get("id") else f"line {number}")
        return found

    def _sample(self, marked: Marked) -> Sample:
        row = self._row(marked)
        return read_row(row, self.workspace, id=row["id"], where="this mark", provenance={"use": "jsonl"})

    def _rendered(self, sample: Sample) -> Sample:
        """The sample as a build's stages leave it.

        Raises:
            ItemError: they would leave it out; says which and why.
        """
        item, render = Item(sample=sample), Render()
        given = render.assign([item])[sample.id]
        for stage in (Verify(), Segment(), render):
            done = stage.process(item, self.workspace, given)
            if isinstance(done, Drop):
                raise ItemError("dropped", f"a build would leave it out at {stage.plugin_name()}: {done.reason}")
            item = done
        return item.sample

    def _played(self, policy: Policy, sample: Sample) -> Trajectory:
        prompts = [PromptFrame(self.workspace.picture(p.image), p.time_s) for p in sample.visual_prompts]
        played = asyncio.run(rollout(policy, sample, self.video, prompts, RolloutSettings()))
        if not sample.answer or not played.answer or needs_judge(played.answer, sample):
            return played
        return played.model_copy(update={"correct": grade_by_rule(played.answer, sample)})

    def _write(self, number: int, sample: Sample, played: Trajectory) -> None:
        prompt, workspace = sample.visual_prompts[0], self.workspace
        exhibit = Exhibit(
            sample,
            played,
            picture=looker(played.images, partial(shown, sample, played.turns, workspace)),
            marked=workspace.picture(prompt.image),
            raw=workspace.picture(prompt.raw_image),
        )
        write_page(workspace.root / f"answer-{number}.html", self.asks, {}, (), [exhibit], embed_limit_bytes=1 << 30)


def _videos_of(out: Path, video: Path) -> Path:
    """The folder where `sources/jsonl` looks for the videos of `out`; this one is in it."""
    folder = out.parent / "videos" if (out.parent / "videos").is_dir() else out.parent
    if not video.is_file():
        raise SeekerError(f"{video}: no such file")
    if out.is_dir() or out == video:
        raise SeekerError(f"{out}: is not a file for rows; name a .jsonl file with --out")
    if not video.is_relative_to(folder):
        raise SeekerError(f"{out}: its videos are read from {folder}, where {video.name} is not; correct --out")
    return folder


def _card(kind: str, ending: str = "") -> Any:
    def give(_: dict[str, str]) -> Sent:
        return Sent(template(f"mark.{ending or kind}").render().encode(), f"text/{kind}; charset=utf-8")

    return give
