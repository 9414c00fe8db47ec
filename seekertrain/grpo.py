"""GroupTrainer: TRL's GRPOTrainer over our environments. Its loop stays; what it would pass over in silence raises.

Before every forward each sample's image tokens are those that its pictures have features for, and none is trained.
Importing this file loads torch and TRL.
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOTrainer
from trl.trainer.utils import RepeatSampler

from seekerdata.dataset_row import asked
from seekerdata.processor import NEVER_SAID
from seekerdata.reward import combined
from seekertrain.alarm import Stopped
from seekertrain.environment import Environments, Opening, overlapping, read_as_played, trajectory
from seekertrain.placeholders import Blind, check_features
from seekertrain.rollout_log import Rolled
from seekertrain.shared import HELD, counts, share_patches
from seekertrain.vllm_turns import VllmTurns

if TYPE_CHECKING:
    from seekertrain.questions import Questions

Ids = Sequence[int]


class ByEpoch(RepeatSampler):
    """TRL's order of the questions, by seed and epoch alone: TRL's own begins anew where a run goes on."""

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch."""
        self.generator.manual_seed(random.Random(f"{self.seed}/{epoch}").getrandbits(63))


def flat_share(rewards: torch.Tensor) -> float:
    """The share of groups that nothing is learnt from: all rollouts with a reward have the same one.

    TRL asks whether the deviation is zero, which the rounding of a mean already makes it not.

    Args:
        rewards: (groups, rollouts), NaN where there is none.
    """
    unknown = rewards.isnan()
    most, least = rewards.masked_fill(unknown, -torch.inf).amax(1), rewards.masked_fill(unknown, torch.inf).amin(1)
    return float((most - least < 1e-6).float().mean())


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
    vllm_generation: Any

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
        self._openings: list[tuple[Ids, Sequence[Any], str]] = []
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
        if self.use_vllm:
            self.vllm_generation = self._guarded(self.vllm_generation)

    def _guarded(self, stock: Any) -> VllmTurns:
        """TRL's generation by vLLM, looked after. A colocated vLLM of one GPU writes for its own process alone."""
        apart = stock.mode == "colocate" and stock.tensor_parallel_size == 1
        alone, end_id = apart or self.accelerator.num_processes == 1, self.processing_class.tokenizer.eos_token_id
        return VllmTurns(stock, self._image_pad_token_id, end_id, self._named, alone, gather_object)

    def _send_telemetry(self) -> None:
        """TRL would report that somebody trains; nothing needs the network that the user did not name."""

    def train(self, *arguments: Any, **settings: Any) -> Any:
        """Train to the last step.

        Raises:
            Stopped: what watches ended the run before.
        """
        result = super().train(*arguments, **settings)
        for watcher in self.callback_handler.callbacks:
            if why := getattr(watcher, "stopped", None):
                raise Stopped(f"stopped at step {self.state.global_step}: {why}")
        return result

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        sampler = super()._get_train_sampler(dataset)
        sampler.__class__ = ByEpoch
        return sampler

    def _tokenize_prompts(self, prompts: Any) -> Any:
        """Tokens and pictures of the prompts, kept to know later whose turn is written."""
        made = super()._tokenize_prompts(prompts)
        shown = made[1] or [None] * len(prompts)
        names = [environment.sample_id for environment in self.environments]
        self._openings = list(zip(made[0], (some or () for some in shown), names, strict=True))
        return made

    def _named(self, ids: Ids, pictures: Sequence[Any]) -> str:
        """The sample whose prompt these tokens and pictures begin with."""
        for opening, shown, name in self._openings:
            same = len(shown) <= len(pictures) and all(a is b for a, b in zip(shown, pictures, strict=False))
            if same and list(ids[: len(opening)]) == list(opening):
                return name
        return "a sample of no prompt of this step"

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int, has_tool_images: bool = False
    ) -> Any:
        """The next turns, after a look whether each sample's tokens and pictures agree."""
        pictures = images or [None] * len(prompt_ids)
        for ids, shown in zip(prompt_ids, pictures, strict=True):
            self._check(self._named(ids, shown or ()), ids, shown or ())
        return super()._generate_single_turn(
            prompt_ids, images, multimodal_fields, num_generations, has_tool_images=has_tool_images
        )

    def _tool_call_loop(self, prompts: Any, prompt_ids: Any, completion_ids: Any, completions: Any, *rest: Any) -> Any:
        """Looks and turns until all have answered; the looks of a turn overlap, a wrong call is told what is wrong."""
        self._sync_tool_dicts = overlapping(self.environments, completions)
        played = super()._tool_call_loop(prompts, prompt_ids, completion_ids, completions, *rest)
        if self.use_vllm:
            self.vllm_generation.wait()
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
        self._leave_out(batch, self._parts.isnan().all(dim=1))
        of_group = self.num_generations if mode == "train" else self.num_generations_eval
        worth = (self._parts * self.reward_weights.to(self._parts.device)).sum(dim=1)
        self._metrics[mode]["frac_reward_zero_std"][-1] = flat_share(worth.view(-1, of_group))
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

    def _leave_out(self, batch: dict[str, Any], unscored: torch.Tensor) -> None:
        """Let what has no reward contribute nothing to the step: neither tokens to the loss nor to what divides it.

        Losses that divide by tokens (dapo, TRL's default) are then those of a step without such rollouts. Those that
        divide by rollouts (grpo) have the same direction; each other rollout keeps its share, so the step is smaller.

        Args:
            batch: as TRL made it; its attention stays, for pictures are found by it.
            unscored: which rollouts of all processes have no reward.
        """
        if not unscored.any():
            return
        tokens = batch["completion_mask"]
        first = self.accelerator.process_index * len(tokens)
        scored = ~unscored[first : first + len(tokens)].unsqueeze(1)
        batch["tool_mask"] = batch.get("tool_mask", torch.ones_like(tokens)) * scored
        batch["num_items_in_batch"] = self.accelerator.gather((tokens * batch["tool_mask"]).sum()).sum()

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
                prompts=tuple(environment.marks),
            )
            found.append(rolled)
        return found

    def _check(self, name: str, ids: Ids, pictures: Sequence[Any]) -> None:
        check_features(name, ids, self._image_pad_token_id, pictures, self.processing_class.image_processor)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Any:
        """Rewards of all processes; a rollout whose video could not be shown has none and is left out of its group.

        Raises:
            Stopped: none could be shown, or no judge could be asked about any.
        """
        found = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        faults = [environment.fault for environment in self.environments]
        faulty = self.accelerator.gather(torch.tensor([fault is not None for fault in faults], device=found.device))
        if faulty.all():
            raise Stopped(
                f"no rollout of this step could be shown: {next((fault for fault in faults if fault), 'on no process')}"
            )
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["rollouts/not_shown"].append(float(faulty.float().mean()))
        found[faulty] = torch.nan
        if found.isnan().all():
            raise Stopped("no rollout of this step could be scored: the judge failed on every one")
        self._parts, self._completions = found, completions
        return found
