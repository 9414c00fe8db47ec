"""VllmTurns: turns that vLLM writes for TRL: after the very tokens that are trained on, each to the process that asked.

TRL 1.16 sends a colocated vLLM image tokens that are already one for each feature, which vLLM multiplies again (TRL
issues 6294, 6401), and shares what a server wrote out as if all processes had asked for as many turns (pull request
6673).
"""

from collections.abc import Callable, Sequence
from typing import Any

from seekertrain.placeholders import Ids, check_same, collapsed


class VllmTurns:
    """Stands in place of TRL's `VLLMGeneration` and is it in everything but `generate`.

    Args:
        stock: TRL's.
        image_id: the image token.
        end_id: the token that ends a turn; what is asked for nobody begins with it.
        named: the sample that tokens and pictures are of.
        alone: whether this process asks by itself, so that the others may ask less often.
        gather: everybody's list as one, in the order of processes.
    """

    def __init__(
        self,
        stock: Any,
        image_id: int,
        end_id: int,
        named: Callable[[Ids, Sequence[Any]], str],
        alone: bool,
        gather: Callable[[list[Any]], list[Any]],
    ) -> None:
        self.stock, self.image_id, self.end_id = stock, image_id, end_id
        self.named, self.alone, self.gather = named, alone, gather

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stock, name)

    def generate(
        self, prompts: list[list[int]], images: list[Any] | None, num_generations: int, profiler: Any = None
    ) -> tuple[Any, ...]:
        """What TRL's gives, after a look whether vLLM wrote after these tokens.

        Raises:
            Blind: it did not.
        """
        shown = [list(some or ()) for some in images or [None] * len(prompts)]
        names = [self.named(ids, some) for ids, some in zip(prompts, shown, strict=True)]
        sent = prompts
        if self.stock.mode == "colocate":  # a server is sent features and takes one token for each
            rows = zip(names, prompts, shown, strict=True)
            sent = [collapsed(name, ids, self.image_id, len(some)) for name, ids, some in rows]
        missing = 0 if self.alone else max(self.gather([len(prompts)])) - len(prompts)
        found = self._asked(sent, shown, missing, num_generations, profiler)
        found = tuple(None if part is None else part[: len(prompts)] for part in found)
        for name, ids, wanted in zip(names, found[0], prompts, strict=True):
            check_same(name, ids, wanted)
        return found

    def wait(self) -> None:
        """Take part in what the other processes still ask, until nobody asks any more."""
        while not self.alone and (most := max(self.gather([0]))):
            self._asked([], [], most, 1, None)

    def _asked(self, sent: Any, shown: list[Any], missing: int, num_generations: int, profiler: Any) -> tuple[Any, ...]:
        """Turns after `sent`, and `missing` more that nobody needs, so that every process asks for as many."""
        prompts = [*sent, *([self.end_id] for _ in range(missing))]
        images = [*(some or None for some in shown), *[None] * missing] if any(shown) else None
        found: tuple[Any, ...] = self.stock.generate(
            prompts=prompts, images=images, num_generations=num_generations, profiler=profiler
        )
        return found
