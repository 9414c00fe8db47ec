"""Answer text: a reply as it was said to the asker, and the place in it that holds the answer.

Thoughts, tool calls, other turns and markup are blanked, not cut, so that offsets stay true; where lengths do
change, the way back to the reply comes along. Everything takes linear time.
"""

import re
import string
import unicodedata
from collections.abc import Iterable, Sequence

from seekerdata import answer_phrases as say

_HEAD_CHARS, _TAIL_CHARS = 2_000, 6_000  # a commitment stands near one end of what is said

_COMBINING = "\u0300-\u036f\u0483-\u0487\u3099\u309a\u1160-\u11ff"
_CLUSTER = re.compile(
    # what NFKC leaves as it is; full-width signs, which it maps one to one; any other sign with its marks
    r"(?P<same>[\x00-\x7f\u00c0-\u0131\u0400-\u0482\u048a-\u04ff\u2013\u2014\u3001\u3002\u3008-\u3011\u3041-\u3096"
    rf"\u30a1-\u30fa\u3400-\u9fff\uac00-\ud7a3]+(?![{_COMBINING}]))"
    rf"|(?P<wide>[\uff01-\uff5e]+(?![{_COMBINING}]))|.[{_COMBINING}]*",
    re.S,
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]+")
_PLAINER = str.maketrans(
    {"’": "'", "‘": "'", "´": "'", "“": '"', "”": '"', "„": '"'}
    | {chr(0x1F170 + place): letter for place, letter in enumerate(string.ascii_uppercase)}
)
"""Curly quotes, and the emoji letters that NFKC leaves alone."""

_HIDDEN_NAMES = (
    "think|thinking|thoughts?|analysis|reasoning|reason|reflection|scratchpad|seed:think|tool_calls?"
    "|tool_responses?|tool_code|tool_results?|function_calls?|function_results?"
)
_HIDDEN = re.compile(
    rf"(?P<open><\s*(?:{_HIDDEN_NAMES})\b[^<>\n]{{0,80}}>|◁think▷|\[THINK\]|<\|think(?:ing)?\|>"
    r"|<\|channel\|>\s*(?:analysis|commentary)|<\|begin_of_thought\|>)"
    rf"|<\s*/\s*(?:{_HIDDEN_NAMES})\s*>|◁/think▷|\[/THINK\]|<\|/think(?:ing)?\|>|<\|end_of_thought\|>"
    r"|<\|channel\|>\s*final(?:\s*<\|message\|>)?",
    re.I,
)
_ASSISTANT_TURN = re.compile(
    r"<\|im_start\|>\s*assistant|<start_of_turn>\s*model|<\|assistant\|>"
    r"|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>",
    re.I,
)
_END_OF_TURN = re.compile(
    r"</s>|<eos>|<end_of_turn>|<im_end>|<\|(?:im_end|im_start|eot_id|eom_id|endoftext|end_of_text|end|eos|return"
    r"|end▁of▁sentence|user|observation)\|>",
    re.I,
)
_SPECIAL = re.compile(
    r"<\|(?!(?:begin|end)_of_box)[^|<>\n]{1,40}\|>|\[/?(?:INST|EOS|BOS|PAD)\]|<<?/?SYS>?>"
    r"|</?(?:s|eos|bos|pad|unk|image|video|im_end|im_start|end_of_turn|start_of_turn)>",
    re.I,
)
_ANSWER_NAMES = "answer|final_?answer|final|conclusion|choice|ans|solution|output|response"
_MARKUP = re.compile(
    r"~~[^~\n]{1,200}~~|[*`]+|(?<![^\W_])_+|_+(?![^\W_])|^[ \t]*[#>]+(?=\s)|(?<=```)\w+|\$(?!\d)"
    r"|\\(?:text\w*|math\w+|operatorname|bf|rm|left|right|displaystyle|large|quad)\b|\\[()\[\],;!_%]"
    rf"|</(?!(?:{_ANSWER_NAMES})\b)[a-z_]{{2,20}}>"
    r"|</?(?:strong|em|br|span|code|div|center|font|big|p)\b[^<>\n]{0,80}>|\\boxed(?=\s+[A-Z]\b)|<([biu])>(?=[^<\n]{0,200}</\1>)|</[biu]>",
    re.I | re.M,
)
ANSWER_TAG = re.compile(
    rf"(?P<open><\s*(?:{_ANSWER_NAMES})\b[^<>\n]{{0,40}}>|\[ANSWER\]|<\|begin_of_box\|>)"
    rf"|<\s*/\s*(?:{_ANSWER_NAMES})\s*>?|\[/ANSWER\]|<\|end_of_box\|>",
    re.I,
)
_LAST_BLOCK = re.compile(
    r"<\s*answer\s*>(?:[^<]|<(?!\s*/?\s*answer))*+<\s*/\s*answer\s*>"
    rf"(?:\s|</?(?!answer)\w+>|{_SPECIAL.pattern})*+\Z",
    re.I,
)
_BOX = re.compile(r"\\?\b(?:boxed|fbox|framebox)\s*\{")
_JSON_ANSWER = re.compile(
    r"[\"'](?:(?:final|correct|best|my|model|selected|chosen|predicted|your|the)[_ -]?)?"
    r"(?:answers?|choice|option|letter|prediction|pred|response|selection|selected|答案)"
    r"(?:[_ -](?:letter|choice|option|text|key))?[\"']\s*:\s*"
    r"(?P<value>\"(?:[^\"\\]|\\.)*+\"|'[^'\n]*+'|\[[^\]]*+\]|[^,}\n\"']++)",
    re.I,
)
_QUESTION_AND_ANSWER = re.compile(
    r"(?:\A|\n)\s*+(?:Q|Question)\s*\d*\s*[:.](?:(?!\bA\s*:)[^\0]){0,600}?(?<![A-Za-z])A\s*:"
)

FINAL_TEXT = re.compile(
    r"\b(?:(?:final |the |my |correct |short ){0,3}answer(?: is)?|réponse|respuesta|antwort|ответ)[\s*_]*:[\s*_]*"
    r"|(?:最终)?答案(?:是|为)?[\s*_]*:[\s*_]*|정답[\s*_]*:[\s*_]*",
    re.I,
)

# A server's words where a model's should be.
_SERVER_WORDS = (
    r"(?:maximum )?context[ _]length|traceback \(most recent|cuda (?:error|out of)|failed to obtain answer via api"
)
SERVER_FAILED = re.compile(rf"{_SERVER_WORDS}|RateLimitError|BadRequestError", re.I)
ERROR_TEXT = re.compile(
    rf"\W*(?:{_SERVER_WORDS}|(?:\w+\.)*\w*(?:error|exception)(?: code| occurred|\W*\d|[\"']?\s*[:\-(]|\W*\Z)"
    r"|https?[ /]?(?:error)?\W*[45]\d\d|http/\d|[45]\d\d (?:bad|internal|too|service|unauth|forbidden|not found|server"
    r"|client|gateway|error)|request (?:timed|failed|time)|timed out\b|timeout\W*\Z|rate ?limit|out of memory"
    r"|failed to (?:obtain|get|fetch|generate|parse|load|connect|decode|process|call|read)\b|internal server"
    r"|bad (?:request|gateway)|connection (?:error|refused|reset|timed|aborted|failed)|too many requests|api error"
    r"|service (?:is )?(?:temporarily )?unavailable"
    r"|(?:nan|none|null|undefined|nil|n/?a|unknown error|no (?:answer|response|output))\W*\Z)",
    re.I,
)


def normalise(reply: str) -> tuple[str, Sequence[int]]:
    """NFKC without invisible signs, and for each character (and the end) its place in the reply."""
    if reply.isascii():
        return reply, range(len(reply) + 1)
    parts: list[str] = []
    origin: list[int] = []
    for cluster in _CLUSTER.finditer(reply):
        if cluster["same"] or cluster["wide"]:
            parts.append(cluster["same"] or unicodedata.normalize("NFKC", cluster[0]))
            origin.extend(range(*cluster.span()))
        elif not _INVISIBLE.fullmatch(cluster[0]):
            part = unicodedata.normalize("NFKC", cluster[0].translate(_PLAINER))
            parts.append(part)
            origin.extend([cluster.start()] * len(part))
    return "".join(parts), [*origin, len(reply)]


def hear(reply: str) -> tuple[str, Sequence[int]]:
    """What a reply says in plain words: no thoughts, no markup, single spaces, its two ends if it is long;
    and for each character (and the end) its place in the reply."""
    text, origin = normalise(reply)
    text = plain(spoken(text))
    parts: list[str] = []
    places: list[int] = []
    done = 0
    for gap in re.finditer(r"\s{2,}|\Z", text):
        space = "" if not gap[0] else "\n" if "\n" in gap[0] else " "
        parts += [text[done : gap.start()], space]
        places += origin[done : gap.start() + len(space)]
        done = gap.end()
    text = "".join(parts)
    if len(text) > _HEAD_CHARS + _TAIL_CHARS:
        text = text[:_HEAD_CHARS] + "\n" + text[-_TAIL_CHARS:]
        places = [*places[: _HEAD_CHARS + 1], *places[-_TAIL_CHARS:]]
    return text, [*places, origin[-1]]


def original_span(origin: Sequence[int], start: int, end: int) -> tuple[int, int] | None:
    """Where text[start:end] stands in the reply; None if it is empty."""
    return (origin[start], max(origin[end], origin[end - 1] + 1)) if end > start else None


def blank(text: str, spans: Iterable[tuple[int, int]], sign: str = " ") -> str:
    """The text with `spans` overwritten by `sign`, as long as before."""
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if end > done:
            parts += [text[done : max(start, done)], sign * (end - max(start, done))]
            done = end
    return "".join([*parts, text[done:]])


def plain(text: str) -> str:
    """Markdown, LaTeX and HTML marks blanked; the boxes and tags that hold answers stay."""
    return blank(text, (mark.span() for mark in _MARKUP.finditer(text)))


def spoken(text: str) -> str:
    """What was said to the asker: thoughts, tool calls, other turns and special tokens blanked."""
    turns = list(_ASSISTANT_TURN.finditer(text))
    first = turns[-1].end() if turns else 0
    text = blank(text, [(0, first), *_hidden(text, first)], "\n")
    clean = blank(text, (mark.span() for mark in _SPECIAL.finditer(text)))
    begun = len(clean) - len(clean.lstrip())
    over = _END_OF_TURN.search(text, begun)
    return blank(clean, [(over.start(), len(text))]) if over else clean


def _hidden(text: str, first: int) -> list[tuple[int, int]]:
    """Spans of thoughts and tool calls. A thought inside a call, or the reverse, opens nothing."""
    hidden: list[tuple[int, int]] = []
    family, since = "", first
    for mark in _HIDDEN.finditer(text, first):
        kind = "tool" if re.search("tool|function", mark[0], re.I) else "think"
        if mark["open"]:
            family, since = (family, since) if family else (kind, mark.start())
        elif family == kind:
            hidden.append((since, mark.end()))
            family = ""
        elif not family:  # only the closing mark is there: the template had opened the thought
            hidden.append((first if kind == "think" else mark.start(), mark.end()))
    if family:  # an unclosed thought ends where the reply's last words are a whole answer block
        answer = _LAST_BLOCK.search(text, since)
        hidden.append((since, answer.start() if answer else len(text)))
    return hidden


def conclusion(text: str, max_words: int) -> int:
    """Where a long text's short last line, or else its last sentence that concludes (`so ...`), begins; its end
    if there is neither."""
    lines = text.rstrip().rsplit("\n", 1)
    if len(lines) == 2 and len(lines[1].split()) < max_words:
        return len(lines[0])
    sentences = list(re.finditer(r"[^.!?\n。]*\w[^.!?\n。]*", text))
    return sentences[-1].start() if sentences and say.CONCLUDES.search(sentences[-1][0]) else len(text)


def held_answer(text: str) -> tuple[int, int, str] | None:
    """Where the answer proper stands, and in what: an answer tag, a box in it, a JSON value in that, or what
    follows `A:` after a repeated `Q:`; None if the text holds it openly."""
    start, end, rule = 0, len(text), ""
    for find in (answer_block, _box, _json, _reply_line):
        if place := find(text[start:end]):
            start, end, rule = start + place[0], start + place[1], rule or place[2]
    return (start, end, rule) if rule else None


def answer_block(text: str) -> tuple[int, int, str] | None:
    """The last answer tag's content that is not empty; a lone opening or closing tag counts."""
    found: tuple[int, int] | None = None
    since: int | None = None
    last = 0
    for tag in ANSWER_TAG.finditer(text):
        if tag["open"]:
            since = tag.end()
            continue
        span = (last if since is None else since, tag.start())
        if text[slice(*span)].strip():
            found = span
        since, last = None, tag.end()
    if since is not None and text[since:].strip():
        found = (since, len(text))
    return (*found, "answer_tag") if found else None


def _box(text: str) -> tuple[int, int, str] | None:
    """The last LaTeX box's content that is not empty."""
    for box in reversed(list(_BOX.finditer(text))):
        depth, end = 1, box.end()
        while end < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        closed = end - (depth == 0)
        if text[box.end() : closed].strip():
            return box.end(), closed, "boxed"
    return None


def _json(text: str) -> tuple[int, int, str] | None:
    values = list(_JSON_ANSWER.finditer(text))
    return (*values[-1].span("value"), "json") if values else None


def _reply_line(text: str) -> tuple[int, int, str] | None:
    lines = list(_QUESTION_AND_ANSWER.finditer(text))
    return (lines[-1].end(), len(text), "statement") if lines else None
