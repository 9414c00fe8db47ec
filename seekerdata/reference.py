"""Reference: the words of a question that name its target, and their exchange for `<vp>` and then for a phrase.

Offline the words are found from the target's tag: its head noun with the determiner and adjectives before it and
the description after it ("the woman in the white shirt").
"""

import re

VP = "<vp>"

_DETERMINERS = {
    "the",
    "a",
    "an",
    "this",
    "that",
    "these",
    "those",
    "his",
    "her",
    "its",
    "their",
    "one",
    "another",
}
_ASKING = {"which", "what", "whose", "many", "much", "each", "every", "any"}
_JOINERS = {
    "in",
    "on",
    "with",
    "of",
    "at",
    "from",
    "near",
    "by",
    "wearing",
    "holding",
    "and",
    "who",
    "is",
    "to",
}
_PERSON = {
    "person",
    "man",
    "woman",
    "boy",
    "girl",
    "child",
    "kid",
    "guy",
    "lady",
    "player",
    "player's",
    "baby",
}
_PRONOUNS = {"he", "him", "his", "she", "her", "hers", "it", "its", "they", "them", "their"}
_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")


def find_reference(question: str, tag: str) -> str:
    """The words of `question` that name the thing called `tag`; empty if none do."""
    words = [(m.group(), m.start(), m.end()) for m in _WORD.finditer(question)]
    lowered = [word.lower() for word, _, _ in words]
    tag_words = [word.lower() for word in _WORD.findall(tag)]
    heads = _heads(tag_words)
    best, best_score = "", 0
    for at, word in enumerate(lowered):
        if word not in heads:
            continue
        start = _left(lowered, at)
        if start is None:
            continue
        end = _right(lowered, at, set(tag_words))
        score = 1 + sum(word in tag_words for word in lowered[start : end + 1])
        if score > best_score:
            best, best_score = question[words[start][1] : words[end][2]], score
    return best


def put_vp(text: str, reference: str) -> str:
    """`text` with every whole-word occurrence of `reference` replaced by `<vp>`."""
    if not reference:
        return text
    return re.sub(rf"(?<!\w){re.escape(reference)}(?!\w)", VP, text, flags=re.IGNORECASE)


def words_of(text: str) -> list[str]:
    """The words in lower case, each without a possessive 's."""
    return [re.sub(r"['’]s$", "", word.lower()) for word in _WORD.findall(text)]


def content_words(name: str) -> set[str]:
    """The words of a name that say what is meant: no articles, pronouns or joining words."""
    return set(words_of(name)) - _DETERMINERS - _JOINERS


def name_words(name: str) -> set[str]:
    """Words that may stand for the thing of this name: its own, its pronouns, and for a person any word for one."""
    return content_words(name) | _heads(words_of(name)) | _PRONOUNS


def put_phrase(text: str, phrase: str) -> str:
    """`text` with `<vp>` replaced by a phrase, capitalised where a sentence starts."""

    def words(match: re.Match[str]) -> str:
        before = text[: match.start()].rstrip()
        starts = not before or before[-1] in ".!?"
        return phrase[0].upper() + phrase[1:] if starts else phrase

    return re.sub(re.escape(VP), words, text)


def _heads(tag_words: list[str]) -> set[str]:
    """The tag's head noun (last word before the first joining word); any word for a person if it is one."""
    stop = next(
        (n for n, w in enumerate(tag_words) if n and (w in _JOINERS - {"and"} or w.endswith("ing") or w == "held")),
        len(tag_words),
    )
    head = tag_words[stop - 1] if tag_words else ""
    return _PERSON if head in _PERSON else {head} - {""}


def _left(words: list[str], at: int) -> int | None:
    """Where the noun phrase ending in the head begins; None if it asks ("which cup") or has no determiner."""
    for start in range(at - 1, max(at - 7, -1), -1):
        if words[start] in _ASKING:
            return None
        if words[start] in _DETERMINERS:
            return start
    return None


def _right(words: list[str], at: int, tag_words: set[str]) -> int:
    """The last word of the description after the head: a joining word, then words of the tag, with one stranger
    allowed before a word of the tag ("in the bright orange top")."""
    content = tag_words - _JOINERS - _DETERMINERS - {words[at]}
    end = at
    if at + 1 == len(words) or words[at + 1] not in _JOINERS:
        return end
    for step in range(at + 1, len(words)):
        word, following = words[step], words[step + 1] if step + 1 < len(words) else ""
        if word in content:
            end = step
        elif word == words[at] or (word not in _JOINERS | _DETERMINERS and following not in content):
            break
    return end
