"""A rollout without a verdict adds nothing to a step: not to the gradient, and not to what divides it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from trl.trainer.utils import split_pixel_values_by_grid, split_tensor_dict, unsplit_pixel_values_by_grid

Make = Callable[..., Any]
VERDICTS = (None, None, None, None, 0.0, 1.0)
"""Of two groups of three: all of the first are left out, and one of the second."""


def some(completions: Any, **_: Any) -> list[float | None]:
    return list(VERDICTS[: len(completions)])


def gradient(trainer: Any, batch: Any) -> torch.Tensor:
    """Of one step of these rollouts, all parameters in one vector."""
    trainer.model.zero_grad()
    trainer.compute_loss(trainer.model, batch).backward()
    return torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


@pytest.mark.parametrize(
    ("mode", "loss", "share"),
    [("tool", "dapo", 1), ("reasoning", "dapo", 1), ("tool", "bnpo", 1), ("tool", "grpo", 2 / 6)],
)
def test_the_gradient_is_that_of_the_step_without_them(grouped: Make, mode: str, loss: str, share: float) -> None:
    keys = {"num_generations": 3, "per_device_train_batch_size": 6, "max_completion_length": 12, "loss_type": loss}
    trainer = grouped([some], play={"mode": mode}, beta=0.5, **keys)
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    with torch.no_grad():  # so that there is a KL
        for parameter in trainer.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    rows = [trainer.rows.data[n] for n in (0, 0, 0, 1, 1, 1)]
    batch = trainer._generate_and_score_completions(rows)
    assert batch["advantages"].tolist()[:4] == [0.0] * 4 and batch["advantages"][5] > 0

    kept = unsplit_pixel_values_by_grid(split_tensor_dict(split_pixel_values_by_grid(batch), 3)[2])
    kept["num_items_in_batch"] = kept["completion_mask"].sum()
    alone = gradient(trainer, kept)
    assert alone.abs().max() > 1e-4
    assert torch.allclose(gradient(trainer, batch), share * alone, rtol=1e-3, atol=1e-6)
    everyone = batch | {"tool_mask": torch.ones_like(batch["completion_mask"])}
    assert not torch.allclose(gradient(trainer, everyone), share * alone, rtol=1e-2, atol=1e-5)


def test_a_part_of_a_step_without_any_verdict_is_no_division_by_zero(grouped: Make) -> None:
    keys = {"num_generations": 3, "per_device_train_batch_size": 3, "gradient_accumulation_steps": 2}
    trainer = grouped([some], max_completion_length=12, top_entropy_quantile=0.5, **keys)
    rows, played = [trainer.rows.data[n] for n in (0, 0, 0, 1, 1, 1)], trainer._generate_and_score_completions
    trainer._generate_and_score_completions = lambda _: played(rows)
    trainer.train()
    (logged,) = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert logged["loss"] == logged["loss"] and 0 < logged["grad_norm"] < float("inf")
