"""Trainer: TRL's SFTTrainer, fed with our batches in our order. It changes nothing else of the loop.

Importing this file loads torch and TRL.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from transformers import PrinterCallback, TrainerCallback
from trl import SFTTrainer

from seekertrain.rows import ByLength, Rows

if TYPE_CHECKING:
    from seekertrain.feed import Feed


class Trainer(SFTTrainer):
    """SFTTrainer over rows that `feed` makes batches of.

    Args:
        model: the weights.
        settings: TRL's SFTConfig.
        rows: to train on.
        held: to measure the loss on; None measures nothing.
        feed: makes batches.
        processor: saved beside the weights.
        peft_config: of adapters; None trains the weights.
        callbacks: what watches.
    """

    def __init__(
        self,
        model: Any,
        settings: Any,
        rows: Rows,
        held: Rows | None,
        feed: "Feed",
        processor: Any,
        peft_config: Any = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.rows, self.held = rows, held
        super().__init__(
            model=model,
            args=settings,
            data_collator=feed,
            train_dataset=rows.data,
            eval_dataset=held.data if held else None,
            processing_class=processor,
            peft_config=peft_config,
            callbacks=list(callbacks),
        )
        self.remove_callback(PrinterCallback)

    def _send_telemetry(self) -> None:
        """TRL would report that somebody trains; nothing needs the network that the user did not name."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        accumulated = self.args.gradient_accumulation_steps * self.args.world_size
        return ByLength(self.rows.lengths, self.args.per_device_train_batch_size * accumulated, self.args.seed)
