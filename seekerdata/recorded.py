"""Recorded: a conversation with video tools that somebody published, read as question, replies and looks in our words.

Ends with the ImportFormat contract, which every file of `seekerdata/imports/` fulfils.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import PIL.Image

from seekerdata.errors import ItemError
from seekerdata.mistakes import shown
from seekerdata.observation import Observation, picture_hash
from seekerdata.plugin import Plugin
from seekerdata.rollout import Reply
from seekerdata.row import part_options, without_letters
from seekerdata.transcript import PLACEHOLDER

_KEYS = ("image_url", "video_url", "image", "video", "url", "path")
"""Under which a block of a message, or what it holds, says where its picture or video lies."""


class Piece(NamedTuple):
    """A part of a message: words, or the place of a picture or video."""

    kind: Literal["text", "image", "video"]
    value: Any


class Message(NamedTuple):
    """One turn as it was published."""

    role: str
    pieces: Sequence[Piece]

    @property
    def text(self) -> str:
        return "".join(piece.value for piece in self.pieces if piece.kind == "text")

    def places(self, kind: str) -> list[Any]:
        """Of its pictures or videos."""
        return [piece.value for piece in self.pieces if piece.kind == kind]


class Recorded(NamedTuple):
    """A published conversation."""

    id: str
    """Its own name; empty if it has none."""
    question: str
    options: tuple[str, ...]
    replies: tuple[Reply, ...]
    """What the model said, calls as ours; the last answers."""
    video: str = ""
    """The place of its video, whose frames are looked at anew; empty if only its pictures are at hand."""
    opening: Observation = Observation(())
    looks: tuple[Observation, ...] = ()
    """What stood before the question and what each call showed, if its pictures are at hand."""
    files: Mapping[str, bytes] = {}
    """Files of those pictures by the hash of their pixels."""
    lost: tuple[str, ...] = ()
    """What was said and cannot be said in our words."""


class Media:
    """The folder of published videos and pictures, and those of them that were opened.

    Published rows hold places of their authors' machines; the longest end of one that exists in the folder is meant.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}

    def find(self, place: str) -> Path:
        """Raises ItemError: nothing lies there."""
        parts = PurePosixPath(place.removeprefix("file://").replace("\\", "/")).parts
        parts = tuple(part for part in parts if part not in ("/", "..", "."))
        for path in (self.folder.joinpath(*parts[start:]) for start in range(len(parts))):
            with suppress(OSError, ValueError):  # no name that this system knows: too long, or with a zero in it
                if path.is_file():
                    return path
        raise ItemError("missing", f"{self.folder}: holds no {shown(place)}")

    def picture(self, place: Any) -> PIL.Image.Image:
        """The picture at a place, or inside the row, as RGB; its file is kept.

        Raises:
            ItemError: missing, bad_picture.
        """
        data = place if isinstance(place, bytes) else self._read(place)
        try:
            with PIL.Image.open(io.BytesIO(data)) as opened:
                kind, picture = opened.format, opened.convert("RGB")
        except (OSError, ValueError, PIL.Image.DecompressionBombError) as error:
            raise ItemError("bad_picture", f"{shown(place)}: cannot be read: {error}") from None
        if kind == "JPEG":
            self.files[picture_hash(picture)] = data
        return picture

    def _read(self, place: str) -> bytes:
        if place.startswith("data:"):
            try:
                return base64.b64decode(place.partition("base64,")[2], validate=True)
            except ValueError:
                raise ItemError("bad_picture", "a picture inside the row is not base64") from None
        return self.find(place).read_bytes()


def messages(raw: Mapping[str, Any]) -> list[Message]:
    """The turns of a row from its first question on: user, assistant, user, ..., assistant.

    Raises:
        ItemError: bad_turns, bad_block, placeholders.
    """
    given = raw.get("messages")
    if not isinstance(given, list) or not all(isinstance(turn, dict) for turn in given):
        raise ItemError("bad_turns", f"messages is {shown(given)}, must be a list of turns")
    listed = raw.get("images") or []
    if not isinstance(listed, list):
        raise ItemError("bad_block", f"images is {shown(listed)}, must be a list of places")
    places = [_place(image) for image in listed]
    if None in places:
        raise ItemError("bad_block", f"picture {places.index(None) + 1} of {len(places)} has no place")
    images = iter(places)
    told = [Message(str(turn.get("role")), list(_pieces(turn, images))) for turn in given]
    if spare := len(list(images)):
        raise ItemError("placeholders", f"{spare} pictures more than {PLACEHOLDER}")
    told = [message._replace(role="user") if message.role == "tool" else message for message in told]
    told = told[1:] if told and told[0].role == "system" else told
    roles = [message.role for message in told]
    if not roles or roles != ["user", "assistant"] * (len(roles) // 2):
        raise ItemError("bad_turns", f"turns are {', '.join(roles) or 'none'}; user and assistant must alternate")
    return told


def asked(text: str) -> tuple[str, tuple[str, ...]]:
    """A question and its options without letters; fewer than two are words of the question.

    Raises:
        ItemError: bad_question if there are no words.
    """
    question, lines = part_options(text.strip())
    if len(lines) < 2:
        question, lines = text.strip(), []
    if not question:
        raise ItemError("bad_question", "no words of a question")
    return question, without_letters(lines)


def ended(replies: Sequence[Reply]) -> tuple[Reply, ...]:
    """The replies of a conversation that came to its end: all call a tool but the last.

    Raises:
        ItemError: bad_turns.
    """
    if any(not reply.tool_calls for reply in replies[:-1]) or replies[-1].tool_calls:
        raise ItemError("bad_turns", "a turn before the last calls nothing, or the last one does")
    return tuple(replies)


def _pieces(turn: Mapping[str, Any], images: Iterator[Any]) -> Iterator[Piece]:
    """Words and media in order. Where blocks stand for the media, and in the model's own words, a placeholder is a word
    like any other."""
    content = turn.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise ItemError("bad_block", f"content is {shown(content)}, must be text or a list of blocks")
    for block in blocks:
        kind = str(block.get("type", "")).removesuffix("_url")
        if kind in ("image", "video"):
            place = _place(block)
            yield Piece("image" if kind == "image" else "video", _next(images) if place is None else place)
        elif kind != "text" or not isinstance(block.get("text"), str):
            raise ItemError("bad_block", f"a block of type {shown(block.get('type'))}, must be text, image or video")
        elif turn.get("role") == "assistant" or blocks is content:
            yield Piece("text", block["text"])
        else:
            first, *rest = block["text"].split(PLACEHOLDER)
            yield Piece("text", first)
            for words in rest:
                yield Piece("image", _next(images))
                yield Piece("text", words)


def _next(images: Iterator[Any]) -> Any:
    try:
        return next(images)
    except StopIteration:
        raise ItemError("placeholders", f"more {PLACEHOLDER} than pictures") from None


def _place(value: Any) -> Any:
    """Where a picture or video lies, or its bytes; None if the block does not say."""
    for _ in range(3):  # a block, what it holds, a place
        if not isinstance(value, dict):
            break
        inside = value.get("bytes")
        value = inside if isinstance(inside, bytes) else next((value[k] for k in _KEYS if value.get(k)), None)
    if value is None or isinstance(value, str | bytes):
        return value
    raise ItemError("bad_block", f"{shown(value)} is no place of a picture or video")


class ImportFormat(Plugin):
    """Contract of `seekerdata/imports/<name>.py`: reads the rows of one published set. The file name is its name."""

    origin: str = ""
    """The set's own name, for the rows' `video_origin`."""

    def read(self, raw: Mapping[str, Any], media: Media) -> Recorded:
        """One row.

        Raises:
            ItemError: it is no conversation of this form, or a picture is not at hand.
        """
        raise NotImplementedError
