"""trl_names: what of TRL our trainer overrides or reads and no release of TRL promises to keep.

Looked at before a run begins, so that another TRL is one line and no error in the middle of a step.
"""

import dis
import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version

from seekerdata.errors import SeekerError

Methods = Mapping[str, tuple[str, ...]]

OVERRIDDEN: Methods = {
    "_get_train_sampler": ("dataset",),
    "_tokenize_prompts": ("prompts",),
    "_generate_single_turn": ("prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images"),
    "_tool_call_loop": (
        *("prompts", "prompt_ids", "completion_ids", "completions", "logprobs", "images", "multimodal_fields"),
    ),
    "_generate": ("prompts",),
    "_calculate_rewards": ("inputs", "prompts", "completions", "completion_ids_list"),
    "_generate_and_score_completions": ("inputs",),
    "_send_telemetry": (),
}
"""Methods of GRPOTrainer, each with its parameters in order."""
READ = (
    *("environments", "_sync_tool_dicts", "_metrics", "_image_pad_token_id", "reward_func_names", "reward_weights"),
    *("num_generations", "num_generations_eval", "use_vllm", "vllm_generation"),
)
"""What a GRPOTrainer has beside."""
OF_VLLM: Methods = {"generate": ("prompts", "images", "num_generations", "profiler")}
READ_OF_VLLM = ("mode", "tensor_parallel_size")
"""The same of VLLMGeneration."""


def check_names(trainer: type | None = None) -> None:
    """Whether this TRL is one that our trainer was written for.

    Args:
        trainer: the class to look at; TRL's GRPOTrainer by default.

    Raises:
        SeekerError: it is not; the text names the version and what differs.
    """
    from trl import GRPOTrainer
    from trl.generation.vllm_generation import VLLMGeneration

    differs = [*differing(trainer or GRPOTrainer, OVERRIDDEN, READ), *differing(VLLMGeneration, OF_VLLM, READ_OF_VLLM)]
    if differs:
        raise SeekerError(
            f"TRL {version('trl')} has other parts inside than 1.16, for which this was written: {'; '.join(differs)}; "
            "install 'trl>=1.16,<1.17'"
        )


def differing(kind: type, methods: Methods, attributes: Sequence[str]) -> Iterator[str]:
    """What of a class is not as it is taken to be, in words."""
    for name, wanted in methods.items():
        method = getattr(kind, name, None)
        if method is None:
            yield f"{kind.__name__} has no {name}"
            continue
        found = tuple(inspect.signature(method).parameters)[1:]
        if found != wanted:
            yield f"{kind.__name__}.{name} takes {', '.join(found) or 'nothing'}"
    known = attributes_of(kind)
    yield from (f"{kind.__name__} has no {name}" for name in attributes if name not in known)


@cache
def attributes_of(kind: type) -> frozenset[str]:
    """What the methods of a class set; every line of their code is read, so it is looked up once."""
    methods = (inspect.unwrap(method) for method in vars(kind).values() if callable(method))
    codes = [method.__code__ for method in methods if hasattr(method, "__code__")]
    steps = (step for code in codes for step in dis.get_instructions(code))
    return frozenset(step.argval for step in steps if step.opname == "STORE_ATTR")
