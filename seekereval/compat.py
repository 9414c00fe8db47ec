"""Rule: how a peer's published evaluation reads a reply, written anew from what it does, its faults included.

One set of replies is so read as each of them reads it. None of these is our own reading (`seekerdata/answers.py`); a
rule never guesses, and where its peer draws at random or ends with an error it reads nothing.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import NamedTuple

from seekerdata.errors import SeekerError
from seekereval.item import Graded, State


@dataclass(frozen=True)
class Rule:
    """What a peer reads in a reply, and how it counts."""

    reads: Callable[[str, Sequence[str]], str]
    """The text that is compared with the gold letter, from the reply and the options' texts; empty: nothing."""
    drops: bool = False
    """A reply in which it reads nothing leaves its denominator."""
    hears: Callable[[str], str] = str
    """What its evaluation does to a reply before this rule is given it."""
    without_reply: str = ""
    """What it reads where there is no reply. A server's words are given to no rule, although some peers read them."""
    last_equal: bool = False
    """Of options with the gold's text only the last is right."""
    mean_over: str = ""
    """A grouping of the items: its accuracy is the mean of this grouping's accuracies, not that of the items."""


class Column(NamedTuple):
    """One peer's count over a run: `accuracy` in percent, over the `n` replies it counts; None if it counts none."""

    accuracy: float | None
    n: int
    right: int


def read(rule: str, reply: str, options: Sequence[str]) -> str | None:
    """What a peer reads in a reply, as it compares it with the gold letter: not always a letter, `(` where it takes
    the first sign of `(C)`. None where it reads nothing, refuses to (`Z`), draws at random or fails.

    Raises:
        SeekerError: no such rule.
    """
    found = _rule(rule).reads(reply or "", options)
    return None if found in ("", "Z") else found


def is_right(rule: str, row: Graded) -> bool | None:
    """Whether a peer counts this reply as right; None if it leaves it out. Open questions are not for these rules.

    Raises:
        SeekerError: no such rule.
    """
    chosen, item = _rule(rule), row.item
    if item.scoring != "choice":
        return None
    reply = chosen.without_reply if row.state is State.ERROR else chosen.hears(row.reply)
    found = read(rule, reply, item.options)
    if found is None and chosen.drops:
        return None
    return found == (_last_equal(item.answer, item.options) if chosen.last_equal else item.answer)


def column(rule: str, graded: Iterable[Graded]) -> Column:
    """A peer's accuracy over a run, with its own denominator.

    Raises:
        SeekerError: no such rule.
    """
    over = _rule(rule).mean_over
    counts: dict[str, list[bool]] = {}
    for row in graded:
        right = is_right(rule, row)
        if right is not None:
            counts.setdefault(row.item.groups.get(over, ""), []).append(right)
    n, hits = sum(map(len, counts.values())), sum(map(sum, counts.values()))
    if not n:
        return Column(None, 0, 0)
    return Column(100 * sum(sum(rights) / len(rights) for rights in counts.values()) / len(counts), n, hits)


def _rule(name: str) -> Rule:
    if name not in RULES:
        raise SeekerError(f"{name}: no such rule; there are {', '.join(RULES)}")
    return RULES[name]


def _last_equal(gold: str, options: Sequence[str]) -> str:
    """The last letter whose option has the gold letter's very text; the gold itself if it is no option's letter."""
    texts = dict(zip(ascii_uppercase, options, strict=False))
    return max(letter for letter, text in texts.items() if text == texts[gold]) if gold in texts else gold


# -- V2P-Bench and VideoSeeker ---------------------------------------------------------------------
def _first_sign(reply: str, options: Sequence[str]) -> str:
    """V2P-Bench, `eval.py`: the reply's first sign, whatever it is; an empty reply ends its script."""
    return reply[:1]


def _answer_tag(reply: str, options: Sequence[str]) -> str:
    """VideoSeeker, `eval_all.py`, with thoughts: the first answer tag, if its content begins with a letter."""
    tag = re.search(r"<answer>(.*?)</answer>", reply, flags=re.DOTALL | re.IGNORECASE)
    content = tag[1].strip()[:1] if tag else ""
    return content.upper() if re.fullmatch("[A-Za-z]", content) else ""


def _all_of_it(reply: str, options: Sequence[str]) -> str:
    """VideoSeeker, `eval_all.py`, direct: the whole reply in capitals."""
    return reply.strip().upper()


# -- MLVU ------------------------------------------------------------------------------------------
def _before_bracket(reply: str, options: Sequence[str]) -> str:
    """MLVU's dev set: the sign before the first closing bracket, else the whole reply."""
    place = reply.find(")")
    return reply if place < 0 else reply[max(place - 1, 0) : place]


def _up_to_bracket(reply: str, options: Sequence[str]) -> str:
    """MLVU's test set: all before the first closing bracket; its prompt ends with the opening one."""
    return reply.strip().partition(")")[0].strip()


# -- the first capital: Video-MME, LongVideoBench, VLMEvalKit --------------------------------------
def _first_capital(capitals: str, *openings: str) -> Callable[[str, Sequence[str]], str]:
    """The first of some capitals anywhere in the reply, thoughts and words too, once these openings are taken out.

    The peers take out more (`The answer is`), which holds none of the capitals and so changes nothing.
    """

    def reads(reply: str, options: Sequence[str]) -> str:
        for opening in openings:
            reply = reply.replace(opening, "")
        found = re.search(f"[{capitals}]", reply)
        return found[0] if found else ""

    return reads


def _without_thoughts(reply: str) -> str:
    """As VLMEvalKit takes thoughts out; one that is not closed stays."""
    return re.sub(r"<think>.*?<\\?/think>", "", reply, flags=re.DOTALL)


def _cut(text: str, opening: str = "<think>", closing: str = "</think>") -> str:
    """As lmms-eval takes thoughts out: one pair of marks after the other."""
    while (start := text.find(opening)) >= 0 and (end := text.find(closing, start)) >= 0:
        text = text[:start] + text[end + len(closing) :]
    return text


# Commas are missing in Video-MME's list, so that it looks for these two openings in one and never finds either.
_videomme = _first_capital("ABCD", "Best answer:Best option:", "Answer:")
_longvideobench = _first_capital("ABCDE", "Best answer:", "Best option:")
_v2pbench = _first_capital("ABCD", "Best answer:", "Best option:", "Answer:")


# -- lmms-eval -------------------------------------------------------------------------------------
_WHAT_IS = ("answer", "correct answer", "best answer", "correct option", "best option", "choice", "correct choice")
_STATEMENTS = (
    *(f"{article}{noun} is" for noun in _WHAT_IS for article in ("the ", "")),
    *("my answer is", "my choice is", "i choose", "i select", "i pick"),
    *("옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)
_START, _END, _STATED, _ANYWHERE = 10, 9, 7, 0
_FORMS = {6: "({})", 5: "{}.", 4: "{}:", 3: "{})", 2: "{} "}
"""How a letter may stand in the text, by rank."""


def _ranked(reply: str, options: Sequence[str]) -> str:
    """lmms-eval's shared extractor: of all places where a letter may be meant the one of the highest rank, of those
    the last. Any letter after a statement counts as stated, however far behind."""
    said = _cut(reply).strip()
    for sign in ",.!?;:'\"":
        said = said.strip(sign)
    text, said = f" {said} ", said.strip()
    letters = ascii_uppercase[: len(options) or 8]
    places = [(rank, text.rfind(form.format(a)), a) for rank, form in _FORMS.items() for a in letters]
    lowered = text.lower()
    for statement in _STATEMENTS:
        begins = lowered.find(statement)
        if begins >= 0:
            places += [(_STATED, text.find(a, begins + len(statement)), a) for a in letters]
    if said[:1] in letters and not said[1:2].isalpha():
        places.append((_START, 0, said[:1]))
    if said[-1:] in letters and not said[-2:-1].isalpha():
        places.append((_END, len(text) - 1, said[-1:]))
    found = [place for place in places if place[1] >= 0] or [(_ANYWHERE, text.rfind(a), a) for a in letters]
    _, where, letter = max(found)
    return letter if where >= 0 and said else ""


# -- VLMEvalKit's exact matching -------------------------------------------------------------------
_FAILED = "Failed to obtain answer via API"
_DECLINED = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_LAST_WORDS = 4


def _inferred(reply: str, options: Sequence[str]) -> str:
    """VLMEvalKit's `can_infer` without a judge: the only letter among the words, if it is one of the last four; else
    `answer is` with a letter; else the only option whose text the reply holds, unless the reply is far longer than
    all options."""
    choices = dict(zip(ascii_uppercase, map(str, options), strict=False))
    if _FAILED not in reply:
        if any(phrase in reply for phrase in _DECLINED):
            return ""
        words = re.sub(r"[.()\[\],:;!*#{}]", " ", reply).split()
        named = [letter for letter in choices if letter in words]
        if len(named) == 1 and words.index(named[0]) >= len(words) - _LAST_WORDS:
            return named[0]
        if not named and "Z" in words:
            return ""
        stated = re.search(r"answer\s+is\s+\**([A-D])", reply, flags=re.IGNORECASE)
        if stated and stated[1].upper() in choices:
            return stated[1].upper()
    if len(reply.lower()) > 2 * sum(map(len, choices.values())):
        return ""
    held = [letter for letter, text in choices.items() if text.lower() in reply.lower()]
    return held[0] if len(held) == 1 else ""


RULES: dict[str, Rule] = {
    "v2pbench_official": Rule(_first_sign),
    # Its files have null where a question failed; read as text that is no letter, and a wrong one when direct.
    "videoseeker_eval_all": Rule(_answer_tag, drops=True, without_reply="None"),
    "videoseeker_direct": Rule(_all_of_it, drops=True, without_reply="None"),
    "mlvu_official_dev": Rule(_before_bracket, hears=str.strip, last_equal=True, mean_over="task"),
    "mlvu_official_test": Rule(_up_to_bracket, last_equal=True, mean_over="task"),
    "videomme_official": Rule(_videomme, drops=True),
    "lmms_eval_mcq": Rule(_ranked),
    "lmms_eval_longvideobench": Rule(lambda reply, options: _longvideobench(_cut(reply), options)),
    "vlmevalkit_v2pbench": Rule(lambda reply, options: _v2pbench(_without_thoughts(reply), options)),
    "vlmevalkit_can_infer": Rule(_inferred),
}
"""By the names under which the peers' answers are known."""
