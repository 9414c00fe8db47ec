"""Site: what a page shows, its pictures and the bodies of its items: inside the page while they fit, else files beside.

Files are named by their content, so that a page never meets what another one left; only those it names are kept.
"""

import base64
import hashlib
import io
import json
import math
import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import PIL.Image

from seekerdata.errors import ItemError
from seekerdata.exhibit import Exhibit
from seekerdata.trajectory import Image
from seekerdata.workspace import write_atomically

FINE_PX = 640
"""From this longest side on a picture keeps its full colour: 4:2:0 smears coloured marks, which people look at."""
CHUNK_ITEMS = 20
"""So many items' bodies share a file: few enough to be read in a blink, many enough to make few files."""

_NAME = re.compile(r"[0-9a-f]{24}\.(jpg|js)")


class Shot(NamedTuple):
    """A picture on the page: its file name and size, or why there is none."""

    name: str = ""
    width: int = 0
    height: int = 0
    fault: str = "no picture"


class Site:
    """Takes in pictures and bodies one at a time; what is held is never more than `room_bytes`.

    Args:
        folder: where files go once there is no room left.
        room_bytes: how much may stand inside the page.
    """

    def __init__(self, folder: Path, room_bytes: int) -> None:
        self.folder, self.room_bytes = folder, room_bytes
        self.names: set[str] = set()
        self.chunks: list[str] = []
        """The files of bodies, in order; empty for a page that is one file."""
        self._jpegs: dict[str, bytes] = {}
        self._bodies: list[str] = []
        self._known: dict[tuple[str, tuple[int, int], int], Shot] = {}
        self._prefix = urllib.parse.quote(os.fsencode(folder.name))

    @property
    def whole(self) -> bool:
        """Whether the page is still one file."""
        return self.room_bytes >= 0

    def shot(self, picture: PIL.Image.Image | None, longest_px: int) -> Shot:
        """Take in a picture, shrunk to `longest_px`."""
        if picture is None:
            return Shot()
        small = picture.convert("RGB")
        small.thumbnail((longest_px, longest_px), PIL.Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        fine = longest_px >= FINE_PX
        small.save(buffer, "JPEG", quality=88 if fine else 80, subsampling=0 if fine else 2)
        data = buffer.getvalue()
        name = _named(data, "jpg")
        if self.whole:
            self._jpegs[name] = data
            self._use(4 * math.ceil(len(data) / 3))
        else:
            self._write(name, data)
        return Shot(name, *small.size, fault="")

    def look(self, exhibit: Exhibit, image: Image, longest_px: int) -> Shot:
        """The picture of a reference; a frame that an earlier conversation showed is not made again."""
        key = (image.sha256, image.size_wh, longest_px)
        if key in self._known:
            if self.whole:
                self._use(4 * math.ceil(len(self._jpegs[self._known[key].name]) / 3))
        elif exhibit.picture is None:
            return Shot()
        else:
            try:
                self._known[key] = self.shot(exhibit.picture(image), longest_px)
            except ItemError as error:
                return Shot(fault=f"{error.code}: {error.message}")
        return self._known[key]

    def add(self, body: str) -> None:
        """Take in the HTML of the next item, whose pictures are named by `place`."""
        self._bodies.append(body)
        if self.whole:
            self._use(len(body))
        else:
            self._write_chunks(CHUNK_ITEMS)

    def place(self, name: str) -> str:
        """The address of a file from the page."""
        return f"{self._prefix}/{name[:2]}/{name}"

    def src(self, name: str) -> str:
        """What the finished page's <img> names: the picture itself, or its file."""
        if not self.whole:
            return self.place(name)
        return f"data:image/jpeg;base64,{base64.b64encode(self._jpegs[name]).decode('ascii')}"

    def finish(self) -> None:
        """All items are in: write the last chunk, and remove what an earlier page of this name left."""
        if not self.whole:
            self._write_chunks(1)
        for file in self.folder.glob("??/*.*"):
            if _NAME.fullmatch(file.name) and file.name not in self.names:
                file.unlink(missing_ok=True)

    def bodies(self) -> Iterator[str]:
        """The items of a page that is one file, pictures inside; none if they are in files. In a text that somebody
        wrote no quote is bare, so that only our own addresses are met."""
        ours = re.compile(rf'(?<= src="){re.escape(self._prefix)}/../([0-9a-f]{{24}}\.jpg)(?=")')
        for body in self._bodies:
            yield ours.sub(lambda found: self.src(found[1]), body)

    def _use(self, size_bytes: int) -> None:
        """Count what stands at one more place of the page; when there is no room left, all becomes files."""
        self.room_bytes -= size_bytes
        if self.whole:
            return
        while self._jpegs:
            self._write(*self._jpegs.popitem())
        self._write_chunks(CHUNK_ITEMS)

    def _write_chunks(self, least_items: int) -> None:
        """Write the bodies held, `CHUNK_ITEMS` to a file, while there are at least so many."""
        while len(self._bodies) >= least_items:
            bodies, self._bodies = self._bodies[:CHUNK_ITEMS], self._bodies[CHUNK_ITEMS:]
            data = f"var chunk = {json.dumps(bodies)}\n".encode("ascii")  # a script: nothing but ASCII, U+2028 too
            self.chunks.append(self.place(_named(data, "js")))
            self._write(_named(data, "js"), data)

    def _write(self, name: str, data: bytes) -> None:
        self.names.add(name)
        file = self.folder / name[:2] / name
        if not file.exists():
            write_atomically(file, data)


def _named(data: bytes, kind: str) -> str:
    return f"{hashlib.sha256(data).hexdigest()[:24]}.{kind}"
