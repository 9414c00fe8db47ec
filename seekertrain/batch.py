"""Batch: trajectories as tokens, pictures and a mask of what is trained. The only TRL-shaped data code.

Only what the model says is trained: never an observation, a picture's tokens or a turn with `loss: false`. Tokens and
pixels always agree; a trajectory that is too long ends after an earlier turn, with the looks that follow it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seekerdata.errors import ItemError
from seekerdata.patches import grid_of, patchify
from seekerdata.processor import IMAGE, chat
from seekertrain.processor import training_template

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ProcessorMixin

Row = Mapping[str, Any]
UNTRAINED = -100


@dataclass(frozen=True)
class Encoded:
    """One trajectory as tokens. Its first `len(grids)` pictures are those that the tokens stand for.

    Attributes:
        id: of the row.
        ids: (tokens,) int64, every picture as many image tokens as the model has features for it.
        trained: (tokens,) bool, True where the model speaks and is to be imitated.
        grids: (pictures, 3) int64, patches in time, height and width.
        turns_left_out: turns that were left out because the trajectory is too long.
    """

    id: str
    ids: np.ndarray
    trained: np.ndarray
    grids: np.ndarray
    turns_left_out: int = 0

    @property
    def length(self) -> int:
        return len(self.ids)


class Encoder:
    """Makes tokens of trajectories, without looking at a pixel.

    Args:
        processor: of the model that is trained.
        max_length: tokens that a trajectory may have, its pictures' included; None: any number.
    """

    def __init__(self, processor: "ProcessorMixin", max_length: int | None = None) -> None:
        self.processor, self.max_length = processor, max_length
        self.pad_id = int(processor.tokenizer.convert_tokens_to_ids(IMAGE))
        self._template = training_template(processor)

    def encode(self, row: Row) -> Encoded:
        """The tokens of an `sft` row.

        Raises:
            ItemError: `too_long` if not even the first turn of the model fits, `nothing_trained`, `bad_image`,
                `bad_messages` if text and pictures do not agree. Each names the row.
        """
        messages, name = row["messages"], row["id"]
        ids, spoken = self._tokens(messages, row["tools"])
        sizes = [tuple(block["size_wh"]) for turn in messages for block in turn["content"] if block["type"] == "image"]
        grids = [grid_of(size, self.processor.image_processor) for size in sizes]
        pads = np.flatnonzero(ids == self.pad_id)
        if len(pads) != len(grids):
            raise ItemError("bad_messages", f"{name}: {len(pads)} image tokens for {len(grids)} pictures")
        counts = np.ones(len(ids), dtype=np.int64)
        counts[pads] = [self.features(grid) for grid in grids]
        runs = _runs(spoken)
        said = [turn for turn in messages if turn["role"] == "assistant"]
        if len(runs) != len(said):
            raise ItemError("bad_messages", f"{name}: the template shows {len(runs)} turns of {len(said)} of the model")
        trained = np.zeros(len(ids), dtype=bool)
        for (start, end), turn in zip(runs, said, strict=True):
            trained[start:end] = turn["loss"]
        end, left_out = self._end(name, runs, counts, trained)
        shown = int(np.count_nonzero(pads < end))
        return Encoded(
            id=name,
            ids=np.repeat(ids[:end], counts[:end]),
            trained=np.repeat(trained[:end], counts[:end]),
            grids=np.array(grids[:shown], dtype=np.int64).reshape(shown, 3),
            turns_left_out=left_out,
        )

    def features(self, grid: Sequence[int]) -> int:
        """How many tokens a picture of this grid takes."""
        return int(np.prod(grid)) // int(self.processor.image_processor.merge_size) ** 2

    def _tokens(self, messages: Sequence[Row], tools: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
        """Tokens with one image token for each picture, and where the model speaks."""
        found = self.processor.tokenizer.apply_chat_template(
            chat(messages),
            tools=list(tools) or None,
            chat_template=self._template,
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        return np.array(found["input_ids"], dtype=np.int64), np.array(found["assistant_masks"], dtype=bool)

    def _end(
        self, name: str, runs: Sequence[tuple[int, int]], counts: np.ndarray, trained: np.ndarray
    ) -> tuple[int, int]:
        """Where the tokens end so that they fit, always after a turn of the model; how many of its turns are left out.

        What rests on a picture goes with it: an answer is never trained without the looks before it.
        """
        lengths = np.cumsum(counts)
        fitting = [
            n for n, (_, end) in enumerate(runs) if self.max_length is None or lengths[end - 1] <= self.max_length
        ]
        if not fitting:
            least = f"{lengths[runs[0][1] - 1]} tokens up to the first turn" if runs else "no turn of the model"
            raise ItemError("too_long" if runs else "nothing_trained", f"{name}: {least}")
        end = runs[fitting[-1]][1]
        if not trained[:end].any():
            raise ItemError("nothing_trained", f"{name}: no turn that is to be imitated")
        return end, len(runs) - len(fitting)


class Collator:
    """Makes a batch of rows that have their `encoded` tokens and their pictures as `images`.

    Args:
        encoder: what encoded them.
        packing: one row without padding; every trajectory keeps positions and attention of its own.
    """

    def __init__(self, encoder: Encoder, packing: bool = False) -> None:
        self.encoder, self.packing = encoder, packing

    def __call__(self, rows: Sequence[Row]) -> "dict[str, Tensor]":
        """The batch.

        Returns:
            input_ids, labels (-100 where nothing is trained), and for rows with pictures pixel_values and
            image_grid_thw. Padded on the right: attention_mask, mm_token_type_ids, all (rows, tokens). Packed:
            (1, tokens) and position_ids (4, 1, tokens), text positions first.

        Raises:
            ItemError: `bad_images`: other pictures than the tokens stand for.
        """
        import torch

        encoded: list[Encoded] = [row["encoded"] for row in rows]
        batch = self._packed(encoded) if self.packing else self._padded(encoded)
        pictures = [picture for row in rows for picture in self._pictures(row)]
        if pictures:
            batch["pixel_values"] = patchify(pictures, self.encoder.processor.image_processor)
            batch["image_grid_thw"] = torch.from_numpy(np.concatenate([e.grids for e in encoded]))
        return batch

    def _pictures(self, row: Row) -> list[Any]:
        """The pictures that a row's tokens stand for, checked one by one."""
        encoded: Encoded = row["encoded"]
        pictures, settings = list(row["images"])[: len(encoded.grids)], self.encoder.processor.image_processor
        found = [grid_of(picture.size, settings) for picture in pictures]
        if found != [tuple(grid) for grid in encoded.grids.tolist()]:
            raise ItemError("bad_images", f"{encoded.id}: its pictures are not those that its tokens stand for")
        return pictures

    def _padded(self, encoded: Sequence[Encoded]) -> "dict[str, Tensor]":
        import torch

        shape = len(encoded), max(e.length for e in encoded)
        filler = self.encoder.processor.tokenizer.pad_token_id
        ids, labels = np.full(shape, filler, dtype=np.int64), np.full(shape, UNTRAINED, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for n, one in enumerate(encoded):
            ids[n, : one.length], mask[n, : one.length] = one.ids, 1
            labels[n, : one.length] = np.where(one.trained, one.ids, UNTRAINED)
        kinds = (ids == self.encoder.pad_id).astype(np.int64)
        found = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": kinds, "labels": labels}
        return {key: torch.from_numpy(values) for key, values in found.items()}

    def _packed(self, encoded: Sequence[Encoded]) -> "dict[str, Tensor]":
        import torch

        ids = np.concatenate([e.ids for e in encoded])
        labels = np.concatenate([np.where(e.trained, e.ids, UNTRAINED) for e in encoded])
        places = np.concatenate([self._positions(e) for e in encoded], axis=1)
        found = {"input_ids": ids[None], "labels": labels[None], "position_ids": places[:, None]}
        return {key: torch.from_numpy(values) for key, values in found.items()}

    def _positions(self, one: Encoded) -> np.ndarray:
        """(4, tokens): place in the text, and time, height and width as the Qwen-VL family counts them.

        A picture's tokens share one time and are numbered by row and column from there; the text goes on after the
        longer side (Qwen2-VL, arXiv 2409.12191, section 2.1).
        """
        merge = int(self.encoder.processor.image_processor.merge_size)
        step = np.ones(one.length, dtype=np.int64)
        inside = np.zeros((3, one.length), dtype=np.int64)
        place = 0
        pads = np.flatnonzero(one.ids == self.encoder.pad_id)
        for _, height, width in one.grids // [1, merge, merge]:
            span = pads[place : place + height * width]
            step[span] = 0
            step[span[-1]] = max(height, width)
            inside[1:, span] = np.indices((height, width)).reshape(2, -1)
            place += height * width
        start = np.cumsum(step) - step
        return np.concatenate([np.arange(one.length)[None], start + inside])


def _runs(spoken: np.ndarray) -> list[tuple[int, int]]:
    """Start and end of every stretch where the model speaks."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], spoken, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
