"""Annotator: a script that fills every role of a build truthfully. Faults: each at one request in twenty.

Which role is asked shows in the system message; which question, in the words that only its row has.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from seekerdata.prompts import FILTER, JUDGE, RENDER, VERIFY, Prompt
from servers.loopback import Dropped, Refused, Stalled
from servers.openai_server import NO_CHOICES, TRUNCATED, Called, Reply, Request, Said, Script


@dataclass(frozen=True)
class Known:
    """What the annotator knows of a question."""

    id: str
    question: str
    words: str
    """Those of the question that name the target."""
    tag: str
    window_s: tuple[float, float]
    answer: str
    """As it is said: a letter, or free text."""
    rejected_by: str = ""
    """`filter` or `verify`, if one of them should."""


class Annotator:
    """Knows every question; `said` counts its replies by role."""

    def __init__(self, known: Sequence[Known], native: bool = True) -> None:
        self._known = {row.question: row for row in known}
        self._rendered: dict[str, Known] = {}
        self._lock = Lock()
        self._native = native
        self.said: Counter[str] = Counter()

    def __call__(self, request: Request) -> Said:
        role = role_of(request)
        with self._lock:
            self.said[role] += 1
        return getattr(self, f"_{role}")(request)

    def known(self, request: Request) -> Known:
        """The row that a request is about."""
        if role_of(request) == "solve":
            return next(row for words, row in self._rendered.items() if words in request.text)
        item = item_of(request)
        found = self._known.get(item["question"]) or self._rendered.get(item["question"])
        return found or next(row for row in self._known.values() if _rewritten(row) == item["question"])

    def _probe(self, request: Request) -> Said:
        return Said("OK")

    def _filter(self, request: Request) -> Said:
        if self.known(request).rejected_by == "filter":
            return _json(is_valid=False, category="other", reason="no one thing is meant")
        return _json(is_valid=True, category="none", reason="one thing is meant")

    def _verify(self, request: Request) -> Said:
        row, item = self.known(request), item_of(request)
        if row.rejected_by == "verify":
            nothing = {"description": "", "tag": "", "window": None, "question": "", "options": [], "shape": "none"}
            return _json(is_valid=False, category="ambiguous", reason="several fit", **nothing)
        start_s, end_s = row.window_s
        return _json(
            is_valid=True,
            category="none",
            reason="it is seen throughout",
            description=row.words,
            tag=row.tag,
            window={"start_s": start_s, "end_s": end_s},
            question=_rewritten(row),
            options=[option.replace(row.words, "<vp>") for option in item["options"]],
            shape="rectangle",
        )

    def _render(self, request: Request) -> Said:
        row, item = self.known(request), item_of(request)
        question = item["question"].replace("<vp>", item["phrase"])
        with self._lock:
            self._rendered[question] = row
        return _json(question=question, options=[o.replace("<vp>", item["phrase"]) for o in item["options"]])

    def _judge(self, request: Request) -> Said:
        return _json(score=1, reason="the same")

    def _solve(self, request: Request) -> Said:
        row, (start_s, end_s) = self.known(request), self.known(request).window_s
        looks = (
            ("The mark must be seen first.", Called("view_visual_prompt", {"frame_path": "prompt_1"})),
            (
                "I look closely.",
                Called("crop_video", {"video_path": "video", "start_time": start_s, "end_time": end_s}),
            ),
        )
        if request.replies >= len(looks):
            return Said(f"<think>The clip shows it.</think>\n<answer>{row.answer}</answer>")
        thought, call = looks[request.replies]
        if self._native:
            return Said(f"<think>{thought}</think>", (call,))
        written = json.dumps({"name": call.name, "arguments": call.arguments})
        return Said(f"<think>{thought}</think>\n<tool_call>\n{written}\n</tool_call>")


def role_of(request: Request) -> str:
    """`filter`, `verify`, `render`, `judge`, `probe`, or `solve` for whatever plays the tools."""
    if request.text == "Say OK.":
        return "probe"
    prompts: dict[str, Prompt] = {"filter": FILTER, "verify": VERIFY, "render": RENDER, "judge": JUDGE}
    system = request.messages[0]["content"]
    return next((role for role, prompt in prompts.items() if prompt.text == system), "solve")


def item_of(request: Request) -> dict[str, Any]:
    """The JSON that a decision is about."""
    texts = (part["text"] for part in request.parts if part["type"] == "text")
    return json.loads(next(text for text in texts if text.startswith("{")))


def _rewritten(row: Known) -> str:
    return row.question.replace(row.words, "<vp>")


def _json(**fields: Any) -> Said:
    return Said(json.dumps(fields))


FAULTS: dict[str, Callable[[Said], Reply]] = {
    "429 with Retry-After": lambda said: Refused(429, retry_after="0.1"),
    "500": lambda said: Refused(500),
    "dropped connection": lambda said: Dropped(),
    "stall": lambda said: Stalled(),
    "truncated JSON": lambda said: TRUNCATED,
    "empty choices": lambda said: NO_CHOICES,
    "content filter": lambda said: Said(None, finish="content_filter"),
    "wrong tool name": lambda said: Said("<think>Hm.</think>", (Called("zoom_in", {}),)),
    "two calls in one turn": lambda said: Said(said.text, said.calls * 2) if said.calls else said,
    "arguments that are not JSON": lambda said: Said("<think>Hm.</think>", (Called("crop_video", '{"start_time": 8'),)),
    "reasoning content": lambda said: Said(said.text, said.calls, reasoning="Let me think."),
    "very slow first byte": lambda said: said,
}
"""Each makes of the right reply what a server or a model might send instead."""


class Faults:
    """A script with every fault of `FAULTS` at one request in twenty, drawn by the hash of the conversation; asked the
    same again, it answers."""

    def __init__(self, script: Script, slow_s: float = 0.3) -> None:
        self._script, self._slow_s = script, slow_s
        self._asked: Counter[str] = Counter()
        self._lock = Lock()
        self.happened: Counter[str] = Counter()
        self.stalled: list[Request] = []

    def __call__(self, request: Request) -> Reply:
        said = self._script(request)
        assert isinstance(said, Said)
        draw = int(request.content_hash, 16) % 20
        with self._lock:
            self._asked[request.content_hash] += 1
            if draw >= len(FAULTS) or self._asked[request.content_hash] > 1:
                return said
            name = list(FAULTS)[draw]
            self.happened[name] += 1
            self.stalled += [request] if name == "stall" else []
        if name == "very slow first byte":
            time.sleep(self._slow_s)
        return FAULTS[name](said)
