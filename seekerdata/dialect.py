"""Dialect: how a model writes tool calls inside its text. Hermes: `<tool_call>{"name", "arguments"}</tool_call>`.

Reading never fails: what cannot be read becomes a call with an error, which is told to the model.
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from seekerdata.trajectory import Block, Text, ToolCall

_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", flags=re.DOTALL)


def read_calls(text: str, first_id: int = 1) -> tuple[str, tuple[ToolCall, ...]]:
    """Split a reply into its text without calls and the calls, numbered `call_<n>` from `first_id`."""
    outside, inside = _thoughts_apart(text)
    calls = [_read_call(match, f"call_{first_id + n}") for n, match in enumerate(_CALL.findall(inside))]
    return (outside + _CALL.sub("", inside)).strip(), tuple(calls)


def write_call(call: ToolCall) -> str:
    """A call in Hermes form, for chat formats without structured calls."""
    body = json.dumps({"name": call.name, "arguments": call.arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def offer_tools(schemas: Sequence[dict[str, Any]]) -> list[str]:
    """The paragraph that offers tools to a model without structured calls; empty if there are none."""
    if not schemas:
        return []
    listed = "\n".join(json.dumps(schema["function"], ensure_ascii=False) for schema in schemas)
    form = '<tool_call>\n{"name": "the tool", "arguments": {...}}\n</tool_call>'
    return [f"The tools, one in each line:\n<tools>\n{listed}\n</tools>\nTo call one, write\n{form}\nand stop there."]


def tool_response(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """What a tool showed, between the tags in which a model without structured calls reads it."""
    return Text(text="<tool_response>"), *blocks, Text(text="</tool_response>")


def _thoughts_apart(text: str) -> tuple[str, str]:
    """A call named inside <think> is a thought, not a call."""
    end = text.rfind("</think>")
    return (text[: end + 8], text[end + 8 :]) if end >= 0 else ("", text)


def _read_call(body: str, call_id: str) -> ToolCall:
    try:
        value = json.loads(body, parse_constant=str, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        fault = str(error) if isinstance(error, ValueError) else "nested too deeply"
        return ToolCall(id=call_id, name="", error=f"the tool call is not valid JSON: {fault}")
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return ToolCall(id=call_id, name="", error="a tool call must be an object with name and arguments")
    arguments = value.get("arguments", {})
    if not isinstance(arguments, dict):
        return ToolCall(id=call_id, name=value["name"], error="the arguments must be an object")
    return ToolCall(id=call_id, name=value["name"], arguments=arguments)


def _finite(text: str) -> Any:
    """NaN and infinities stay words, so that a recorded call is valid JSON and the tool can name them."""
    value = float(text)
    return value if math.isfinite(value) else text
