"""Playing: an item as `seekerdata.rollout` plays it: its sample, its video and its marked frames, read when asked for.

Paths are resolved inside the data folder only; a file that cannot be read is the item's error, never another's.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from seekerdata.errors import ItemError
from seekerdata.observation import PromptFrame
from seekerdata.peer_decoder import PYAV, DecoderName
from seekerdata.row import inside_path
from seekerdata.sample import Sample, VideoRef
from seekerdata.workspace import Workspace
from seekereval.item import Item

if TYPE_CHECKING:
    import PIL.Image

    from seekerdata.video import Video

TRUTH = "truth"
"""Key of `Item.row` under which a made world keeps its sample: where and when to look, for the scripted expert."""


def video_of(item: Item, data: Path, decoder: DecoderName = PYAV) -> "Video":
    """The item's video; nothing is opened yet. Items about one video share it and its decoded frames.

    Raises:
        ItemError: `bad_path`.
    """
    return Workspace(root=data, video_root=data).video(inside_path(item.video), decoder)


def sample_of(item: Item, data: Path) -> Sample:
    """The question with its video probed. Of a made world it also knows the truth; of a benchmark it does not.

    Raises:
        ItemError: the video is missing or cannot be read (`missing`, `unreadable`, ...), `bad_path`, `other_video`.
    """
    asked = {"id": item.id, "question": item.question, "options": item.options, "answer": item.answer}
    video = video_of(item, data)
    info = video.info
    ref = VideoRef(
        path=inside_path(item.video),
        sha256=video.sha256,
        duration_s=info.duration_s,
        size_wh=info.size_wh,
        fps=info.fps,
    )
    truth = truth_of(item)
    if truth is None:
        return Sample(video=ref, **asked)
    if truth.video.sha256 not in ("", ref.sha256):
        raise ItemError("other_video", f"{data / ref.path}: not the video that the question was made about")
    return truth.model_copy(update={**asked, "video": ref})


def prompts_of(item: Item, data: Path, marked: bool = True) -> list[PromptFrame]:
    """The item's marked frames, in order; their times where they are known.

    Args:
        item: the item.
        data: the data folder.
        marked: False: the same frames without the mark, which only a made world has; none for a benchmark.

    Raises:
        ItemError: `missing`, `bad_picture` or `bad_path`.
    """
    truth = truth_of(item)
    if truth is None:
        return [PromptFrame(_picture(path, data)) for path in item.marked_frames] if marked else []
    folder = Path(item.row.get("folder", ""))
    drawn = [prompt.image if marked else prompt.raw_image for prompt in truth.visual_prompts]
    shown = zip(drawn, truth.visual_prompts, strict=True)
    return [PromptFrame(_picture(str(folder / path), data), prompt.time_s) for path, prompt in shown]


def truth_of(item: Item) -> Sample | None:
    """What is known of an item of a made world; None for a benchmark's."""
    truth = item.row.get(TRUTH)
    return Sample.model_validate(truth) if truth is not None else None


def _picture(path: str, data: Path) -> "PIL.Image.Image":
    from PIL import Image, ImageOps, UnidentifiedImageError

    file = data / inside_path(path)
    try:
        with Image.open(file) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except FileNotFoundError:
        raise ItemError("missing", f"{file}: no such file") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise ItemError("bad_picture", f"{file}: not a picture that can be read ({error})") from None
