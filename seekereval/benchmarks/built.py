"""built: the questions of a dataset that `seekerdata build` made, such as those that training held out.

They are asked as they stand in its `qa` rows and counted as training counts its plays. The data is the run's folder,
with the dataset and its videos; marked frames that are only in the rows are written to where the build had them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from seekerdata.dataset import features
from seekerdata.dataset_row import asked
from seekerdata.drawn_mark import redrawn
from seekerdata.errors import ItemError, SeekerError
from seekerdata.sample import Sample, Target, VideoRef
from seekerdata.shards import read
from seekerdata.visual_prompt import VisualPrompt
from seekerdata.workspace import Workspace, encode_jpeg, frame_path, write_atomically
from seekereval.benchmark import Benchmark, Hub, laid
from seekereval.item import Item
from seekereval.playing import TRUTH

__all__ = ["Built"]


class Built(Benchmark):
    """A dataset of `seekerdata build`: its `qa` rows, counted by rule as training counts its plays."""

    dataset: str = Field("dataset", pattern=r"^[^/.][^/]*$")
    """Folder of the dataset inside the run's folder."""
    answers: Literal["rule", "judge"] = "rule"
    """Who says what an open answer is worth; `rule` wants the right one's words, which suits the answers of a world."""

    groups = ("dimension", "shape")

    @property
    def hub(self) -> Hub:
        return Hub("", "", "that of its videos", ())

    @property
    def fixtures(self) -> list[dict[str, Any]]:
        """Rows without files: with options, and open."""
        video = VideoRef(path="a.mp4", sha256="", duration_s=10.0, size_wh=(56, 56), fps=0.0)
        told = {"question": "What colour does it flash?", "video": video, "target": Target()}
        forms = (("flash", ("red", "green", "blue", "white"), "C"), ("colour", (), "blue"))
        samples = [
            Sample(id=f"{kind}-{n}", options=options, answer=answer, dimension=kind, **told)
            for kind, options, answer in forms
            for n in range(3)
        ]
        return [{TRUTH: sample.model_dump(mode="json")} for sample in samples]

    def rows(self, data: Path) -> list[dict[str, Any]]:
        """Every question with its truth; marked frames that do not lie in the run's folder are written there."""
        videos_of = Workspace(root=data, video_root=data / self._videos(data))
        found = [{TRUTH: _sample(row, videos_of).model_dump(mode="json")} for row in self._read(data)]
        videos = {row[TRUTH]["video"]["path"] for row in found}
        place = data / self._videos(data)
        if videos and not any((place / path).is_file() for path in videos):
            raise SeekerError(
                f"{place}: no video of {data / self.dataset} is there; link the folder of its videos there"
            )
        return found

    def item(self, row: dict[str, Any], data: Path | None = None) -> Item:
        sample = Sample.model_validate(row[TRUTH])
        seen = sample.target.event_s or sample.target.window_s
        judged: Any = "choice" if sample.options else "judge"
        return Item(
            id=sample.id,
            video=f"{self._videos(data)}/{sample.video.path}",
            question=sample.question,
            options=sample.options,
            answer=sample.answer,
            scoring="rule" if self.answers == "rule" else judged,
            marked_frames=tuple(prompt.image for prompt in sample.visual_prompts),
            groups={
                "dimension": sample.dimension,
                "shape": ", ".join(prompt.shape for prompt in sample.visual_prompts),
            },
            cluster=sample.video.path,
            duration_s=sample.video.duration_s,
            evidence_s=(seen,) if seen else (),
            row=row,
        )

    def _read(self, data: Path) -> Iterator[dict[str, Any]]:
        return read(data / self.dataset, "qa", pictures=False)

    def _videos(self, data: Path | None) -> str:
        return laid(data, "videos", f"{self.dataset}/videos")


def _sample(row: Mapping[str, Any], workspace: Workspace) -> Sample:
    """The question of a row with its marked frame, whose pictures then lie in the run's folder."""
    facts = {key: row[key] for key in ("shape", "colour", "phrase", "box_xyxy")}
    files = {key: row[key]["bytes"] for key in ("image", "raw_image") if row[key]}
    if not files:  # a licence kept them out
        try:
            video = workspace.video(row["video_path"])
            files["image"] = redrawn(features("qa").decode_example(dict(row)), video)
            (frame,) = video.frames([row["frame_time_s"]])
            files["raw_image"] = encode_jpeg(frame.rgb)
        except ItemError as error:
            raise SeekerError(f"{error.message}; marks that were not published are drawn on the videos") from None
    pictures = {key: _kept(data, workspace.root) for key, data in files.items()}
    prompt = VisualPrompt(**facts, time_s=row["frame_time_s"], mask=None, **pictures)
    return asked(dict(row)).model_copy(update={"visual_prompts": (prompt,)})


def _kept(picture: bytes, data: Path) -> str:
    """The path of a picture inside the run's folder, where it is written if it is not there."""
    relative = frame_path(picture)
    if not (data / relative).is_file():
        write_atomically(data / relative, picture)
    return relative
