"""GroupTrainer: TRL's GRPOTrainer over our environments. Its loop stays; what it would pass over in silence raises.

Before every forward each sample's image tokens are those that its pictures have features for, and none is trained.
Importing this file loads torch and TRL.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOTrainer

from seekerdata.errors import SeekerError
from seekerdata.observation import PromptFrame
from seekerdata.reward import combined
from seekertrain.environment import Environments, Opening, overlapping, read_as_played, trajectory
from seekertrain.patches import grid_of
from seekertrain.player import asked
from seekertrain.processor import NEVER_SAID
from seekertrain.rollout_log import Rolled
from seekertrain.shared import HELD, counts, share_patches

if TYPE_CHECKING:
    from seekertrain.questions import Questions

Ids = Sequence[int]


class Blind(AssertionError):
    """A sample's pictures and its tokens do not agree: it would be trained on what it did not see."""


class GroupTrainer(GRPOTrainer):
    """GRPOTrainer whose rollouts share their work and are checked.

    Args:
        model: the weights.
        settings: TRL's GRPOConfig.
        rows: to play.
        held: to measure rewards on; None measures nothing.
        processor: saved beside the weights.
        factory: makes environments.
        rewards: reward functions.
        peft_config: of adapters; None trains the weights.
        callbacks: what watches; one that has `stopped` ended the run.
        seen: is given the number of each step and this process's rollouts for it.
    """

    environments: "list[Opening]"

    def __init__(
        self,
        model: Any,
        settings: Any,
        rows: "Questions",
        held: "Questions | None",
        processor: Any,
        factory: Environments,
        rewards: Sequence[Callable[..., Any]],
        peft_config: Any = None,
        callbacks: Sequence[TrainerCallback] = (),
        seen: Callable[[int, Sequence[Rolled]], None] = lambda step, rolled: None,
    ) -> None:
        self.rows, self.held, self.seen = rows, held, seen
        self.patches = share_patches(processor)
        read_as_played(processor.tokenizer)
        processor.tokenizer.padding_side = "left"  # TRL pads ids on the left, and where pictures stand as told here
        super().__init__(
            model=model,
            reward_funcs=list(rewards),
            args=settings,
            train_dataset=rows.data,
            eval_dataset=held.data if held else None,
            processing_class=processor,
            peft_config=peft_config,
            callbacks=list(callbacks),
            environment_factory=factory,
        )
        self.remove_callback(PrinterCallback)
        self._unsaid = torch.tensor([processor.tokenizer.convert_tokens_to_ids(token) for token in NEVER_SAID])

    def _send_telemetry(self) -> None:
        """TRL would report that somebody trains; nothing needs the network that the user did not name."""

    def train(self, *arguments: Any, **settings: Any) -> Any:
        """Train to the last step.

        Raises:
            SeekerError: what watches ended the run before.
        """
        result = super().train(*arguments, **settings)
        for watcher in self.callback_handler.callbacks:
            if why := getattr(watcher, "stopped", None):
                raise SeekerError(f"stopped at step {self.state.global_step}: {why}")
        return result

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int, has_tool_images: bool = False
    ) -> Any:
        """The next turns, after a look whether each sample's tokens and pictures agree."""
        pictures = images or [None] * len(prompt_ids)
        for n, (ids, shown) in enumerate(zip(prompt_ids, pictures, strict=True)):
            self._check(f"sample {n} of {len(prompt_ids)} that are generated", ids, shown or ())
        return super()._generate_single_turn(
            prompt_ids, images, multimodal_fields, num_generations, has_tool_images=has_tool_images
        )

    def _tool_call_loop(self, prompts: Any, prompt_ids: Any, completion_ids: Any, completions: Any, *rest: Any) -> Any:
        """Looks and turns until all have answered; the looks of a turn overlap, a wrong call is told what is wrong."""
        self._sync_tool_dicts = overlapping(self.environments, completions)
        played = super()._tool_call_loop(prompts, prompt_ids, completion_ids, completions, *rest)
        for environment in self.environments:
            if environment._bug:
                raise environment._bug  # TRL made words of it
        completions = played[1]
        answered = sum(message["role"] == "tool" for completion in completions for message in completion)
        unread = sum(environment.calls for environment in self.environments) - answered
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["tools/refused_frequency"].append(self._mean([e.refused for e in self.environments]))
        self._metrics[mode]["tools/too_long_frequency"].append(self._mean([unread / len(completions)]))
        return played

    def _mean(self, values: Sequence[float]) -> float:
        found = self.accelerator.gather(torch.tensor(values, dtype=torch.float32, device=self.accelerator.device))
        return float(found.mean())

    def _generate(self, prompts: Any) -> Any:
        """Whole rollouts, after a look at each."""
        made = super()._generate(prompts)
        prompt_ids, completion_ids, tool_mask, _, _, _, images, _ = made
        for n, environment in enumerate(self.environments):
            ids = [*prompt_ids[n], *completion_ids[n]]
            self._check(environment.sample_id, ids, (images[n] if images else None) or ())
            said = torch.tensor(completion_ids[n], dtype=torch.long)
            trained = said if tool_mask is None else said[torch.tensor(tool_mask[n], dtype=torch.bool)]
            if torch.isin(trained, self._unsaid).any():
                raise Blind(f"{environment.sample_id}: a token that stands for a picture or a turn would be trained")
        shown = None if images is None else [some or [] for some in images]  # TRL's own forward takes no None
        return (*made[:6], shown, made[7])

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        """A scored batch, after a look whether pictures are there and stand where their tokens are."""
        factory, mode = self.environment_factories[None], "train" if self.model.training else "eval"
        before = counts(factory.pictures, self.patches)
        factory.open(inputs)
        batch = super()._generate_and_score_completions(inputs)
        for name, value in counts(factory.pictures, self.patches).items():
            of_step = value if name == HELD else value - before[name]
            self._metrics[mode][f"shared/{name}"].append(self._mean([of_step]))
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
        stands = ids == self._image_pad_token_id
        if stands.any():
            kinds = batch.get("mm_token_type_ids")
            wrong = stands.any(dim=1) if kinds is None or "pixel_values" not in batch else (stands != kinds).any(dim=1)
            if names := [e.sample_id for e, bad in zip(self.environments, wrong.tolist(), strict=True) if bad]:
                raise Blind(f"{', '.join(dict.fromkeys(names))}: the forward would look for pictures at other tokens")
        if self.model.training:
            self.seen(self.state.global_step + 1, self._rolled(inputs, batch["advantages"].tolist()))
        return batch

    def _rolled(self, inputs: Any, advantages: Sequence[float]) -> list[Rolled]:
        """This process's rollouts of a step and what each was worth; one without a reward had no advantage."""
        first = self.accelerator.process_index * len(inputs)
        found = []
        for n, (row, environment) in enumerate(zip(inputs, self.environments, strict=True)):
            values = [None if math.isnan(value) else value for value in self._parts[first + n].tolist()]
            parts = dict(zip(self.reward_func_names, values, strict=True))
            worth = combined(parts, dict(zip(self.reward_func_names, self.reward_weights.tolist(), strict=True)))
            rolled = Rolled(
                sample=asked(row),
                trajectory=trajectory(environment, self._completions[n]),
                rewards=parts,
                reward=worth,
                advantage=None if worth is None else advantages[n],
                group=(first + n) // self.num_generations,
                prompts=(PromptFrame(row["marked"], row["frame_time_s"]),),
            )
            found.append(rolled)
        return found

    def _check(self, name: str, ids: Ids, pictures: Sequence[Any]) -> None:
        settings = self.processing_class.image_processor
        features = sum(torch.tensor(grid_of(p.size, settings)).prod().item() for p in pictures)
        features //= settings.merge_size**2
        tokens = sum(token == self._image_pad_token_id for token in ids)
        if tokens != features:
            raise Blind(f"{name}: {tokens} image tokens for {features} features of {len(pictures)} pictures")

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        """Rewards of all processes; a rollout whose video could not be shown has none and is left out of its group.

        Raises:
            SeekerError: none could be shown, or no judge could be asked about any.
        """
        found = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        faults = [environment.fault for environment in self.environments]
        faulty = self.accelerator.gather(torch.tensor([fault is not None for fault in faults], device=found.device))
        if faulty.all():
            raise SeekerError(
                f"no rollout of this step could be shown: {next((fault for fault in faults if fault), 'on no process')}"
            )
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["rollouts/not_shown"].append(float(faulty.float().mean()))
        found[faulty] = torch.nan
        if found.isnan().all():
            raise SeekerError("no rollout of this step could be scored: the judge failed on every one")
        self._parts, self._completions = found, completions
        return found
