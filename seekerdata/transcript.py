"""Transcript: a conversation as plain text with one `<image>` for each picture, as other trainers read it.

Every `<image>` in it stands for a picture: one that somebody wrote is escaped, in text and inside a call's arguments.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from seekerdata.dialect import offer_tools, write_call
from seekerdata.errors import ItemError
from seekerdata.instructions import escape_markers
from seekerdata.trajectory import Text, Turn

PLACEHOLDER = "<image>"
RESPONSE = "<tool_response>\n{}\n</tool_response>"
"""How Qwen's chat template shows a tool's words to a model, inside a user turn."""
_CALL = re.compile(r"<tool_call>\n(.*)\n</tool_call>", flags=re.DOTALL)


class Message(NamedTuple):
    """One turn as text."""

    role: str
    text: str
    loss: bool


def transcript(turns: Sequence[Turn]) -> list[Message]:
    """The turns as text: thoughts kept, calls written in Hermes form, what several tools showed in one message.

    Raises:
        ItemError: bad_turns if it is not system, user, then assistant and tool in turn, as trainers want it.
    """
    told = list[Message]()
    for turn in turns:
        message = Message(turn.role, _text(turn), turn.loss and turn.role == "assistant")
        if told and turn.role == told[-1].role == "tool":
            both = f"{told[-1].text}\n</tool_response>\n<tool_response>\n{message.text}"
            told[-1] = told[-1]._replace(text=both)
        else:
            told.append(message)
    roles = [message.role for message in told]
    wanted = ["system", "user", *(("assistant", "tool")[n % 2] for n in range(len(roles) - 2))]
    if roles != wanted:
        raise ItemError("bad_turns", f"turns are {', '.join(roles)}; trainers want assistant and tool to alternate")
    return told


def tools_as_text(told: Sequence[Message], schemas: Sequence[dict[str, Any]]) -> list[Message]:
    """For a format without tools and tool turns: the tools offered in the system turn, what they show as user turns."""
    first = told[0]._replace(text="\n".join([told[0].text, *offer_tools(schemas)]))
    shown = [m._replace(role="user", text=RESPONSE.format(m.text)) if m.role == "tool" else m for m in told[1:]]
    return [first, *shown]


def check_placeholders(texts: Sequence[str], pictures: int) -> None:
    """Raises ItemError: there are not as many placeholders as pictures, or one for a video."""
    found = sum(text.count(PLACEHOLDER) for text in texts)
    if found != pictures or any("<video>" in text or "<audio>" in text for text in texts):
        raise ItemError("placeholders", f"{found} placeholders for {pictures} pictures")


def _text(turn: Turn) -> str:
    """Blocks stand together without a space, as chat templates set them."""
    pieces = [escape_markers(block.text) if isinstance(block, Text) else PLACEHOLDER for block in turn.content]
    calls = [_CALL.sub(_harmless, write_call(call)) for call in turn.tool_calls]
    return "\n".join(["".join(pieces), *calls]) if pieces else "\n".join(calls)


def _harmless(call: re.Match[str]) -> str:
    """A call whose arguments hold a marker, written so that JSON reads the same and nobody else sees a marker."""
    body = call[1]
    if escape_markers(body) != body:
        body = json.dumps(json.loads(body)).replace("<", "\\u003c")
    return f"<tool_call>\n{body}\n</tool_call>"
