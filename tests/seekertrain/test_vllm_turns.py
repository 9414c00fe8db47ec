"""vllm_turns: TRL's own calls of vLLM, with a stand-in for vLLM, which cannot be installed here.

The stand-in does to image tokens what vLLM does: each stands for a picture and becomes as many as it has features.
"""

from collections.abc import Callable
from threading import Barrier, Thread
from types import SimpleNamespace
from typing import Any

import pytest
from trl.generation import vllm_generation
from trl.generation.vllm_generation import VLLMGeneration

from seekerdata.patches import grid_of
from seekertrain.placeholders import Blind, check_same, collapsed
from seekertrain.vllm_turns import VllmTurns

Make = Callable[..., Any]
CROP = (
    '<tool_call>\n{"name": "crop_video", "arguments": {"video_path": "video", "start_time": 2.0, "end_time": 3.5}}\n'
    "</tool_call>"
)
ANSWER = "<think>I see.</think>\n<answer>red</answer>"


class Vllm:
    """Says a script's lines, one for all prompts of a call; keeps what it was sent."""

    def __init__(self, processor: Any, script: list[str], expands: bool = True) -> None:
        self.processor, self.script, self.expands = processor, iter(script), expands
        self.sent: list[Any] = []
        self.sampling: list[Any] = []
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=10_000))

    def generate(self, prompts: list[Any], sampling_params: Any, use_tqdm: bool) -> list[Any]:
        self.sent += prompts
        self.sampling.append(sampling_params)
        tokenizer = self.processor.tokenizer
        said = tokenizer(next(self.script) + tokenizer.eos_token)["input_ids"]
        logprobs = [{token: SimpleNamespace(rank=1, logprob=-1.0)} for token in said]
        output = SimpleNamespace(token_ids=said, logprobs=logprobs)
        return [SimpleNamespace(prompt_token_ids=self._read(prompt), outputs=[output]) for prompt in prompts]

    def _read(self, prompt: Any) -> list[int]:
        pictures = prompt.get("multi_modal_data", {}).get("image", [])
        left = iter(pictures if isinstance(pictures, list) else [pictures])
        found: list[int] = []
        for token in prompt["prompt_token_ids"]:
            shown = next(left, None) if token == self.processor.image_token_id and self.expands else None
            found += [token] * (self._features(shown) if shown else 1)
        return found

    def _features(self, picture: Any) -> int:
        settings = self.processor.image_processor
        _, rows, columns = grid_of(picture.size, settings)
        return rows * columns // settings.merge_size**2


def stock(trainer: Any, **facts: Any) -> VLLMGeneration:
    """TRL's own generation of this trainer, without the server or the engine that its constructor would start."""
    made = object.__new__(VLLMGeneration)
    sampling = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_completion_length")
    made.__dict__.update({name: getattr(trainer, name) for name in sampling})
    made.__dict__.update(
        model=trainer.model, accelerator=trainer.accelerator, processing_class=trainer.processing_class
    )
    made.__dict__.update(mode="colocate", tensor_parallel_size=1, enable_sleep_mode=False, logprobs=0)
    made.__dict__.update(structured_outputs_regex=None, generation_kwargs={"logit_bias": {7: -100.0}})
    made.__dict__.update(facts)
    return made


@pytest.fixture
def colocated(grouped: Make, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a trainer that generates by a colocated vLLM, and the stand-in for it."""
    monkeypatch.setattr(vllm_generation, "SamplingParams", dict, raising=False)

    def make(script: list[str], expands: bool = True) -> tuple[Any, Vllm]:
        def half(completions: Any, **_: Any) -> list[float]:
            return [float(n % 2) for n in range(len(completions))]

        trainer = grouped([half])
        llm = Vllm(trainer.processing_class, script, expands)
        trainer.use_vllm, trainer.vllm_mode = True, "colocate"
        trainer._last_loaded_step = 0  # as if the weights were there
        trainer.vllm_generation = trainer._guarded(stock(trainer, llm=llm))
        return trainer, llm

    return make


def test_a_rollout_with_looks_is_written_after_the_tokens_that_are_trained_on(colocated: Make) -> None:
    trainer, llm = colocated([CROP, ANSWER])
    trainer.train()
    pad = trainer._image_pad_token_id
    assert len(llm.sent) == 4
    for prompt in llm.sent:
        pictures = prompt["multi_modal_data"]["image"]
        assert prompt["prompt_token_ids"].count(pad) == len(pictures) > 1
    assert llm.sampling[0]["logit_bias"] == {7: -100.0}, "TRL hands on what is never said"
    assert trainer.state.log_history[0]["tools/call_frequency"] == 1.0


def test_a_vllm_that_reads_other_tokens_ends_the_run_with_the_sample_and_the_place(colocated: Make) -> None:
    trainer, _ = colocated([ANSWER], expands=False)
    with pytest.raises(Blind, match=r"^world-\S+: vLLM wrote after other tokens than are trained on, from token"):
        trainer.train()


def test_trls_own_call_is_what_a_colocated_vllm_reads_wrong(colocated: Make) -> None:
    trainer, _ = colocated([ANSWER])
    row = trainer.rows.data[0]
    plain = trainer.vllm_generation.stock
    rows: list[Any] = []
    trainer.vllm_generation.stock = SimpleNamespace(mode="server", generate=lambda **asked: rows.append(asked) or ([],))
    with pytest.raises(ValueError, match="zip"):
        trainer._generate_and_score_completions([row, row])
    (asked,) = rows
    read, *_ = plain.generate(asked["prompts"], asked["images"], 2)
    with pytest.raises(Blind):
        check_same(row["id"], read[0], asked["prompts"][0])


def test_runs_of_image_tokens_are_told_apart_by_what_stands_between() -> None:
    assert collapsed("a", [1, 9, 9, 2, 9, 9, 9, 2], 9, 2) == [1, 9, 2, 9, 2]
    with pytest.raises(Blind, match="a: 1 runs of image tokens for 2 pictures"):
        collapsed("a", [1, 9, 9, 9, 9, 2], 9, 2)
    with pytest.raises(Blind, match=r"from token 1 on: nothing in place of 2 \(1 and 2 tokens\)"):
        check_same("a", [1], [1, 2])


class Processes:
    """Two threads in place of processes; what they gather waits for both."""

    def __init__(self) -> None:
        self.barrier, self.given = Barrier(2, timeout=20), [[], []]  # type: ignore[var-annotated]

    def gather(self, index: int, mine: list[Any]) -> list[Any]:
        self.given[index] = mine
        self.barrier.wait()
        every = [one for given in self.given for one in given]
        self.barrier.wait()
        return every


def server(processes: Processes, index: int) -> Any:
    """What TRL 1.16 makes of a server's turns: everybody's prompts in one call, then as many back as one asked for."""

    def generate(prompts: list[Any], images: Any, num_generations: int, profiler: Any) -> tuple[Any, ...]:
        every = processes.gather(index, prompts)
        mine = slice(index * len(prompts), (index + 1) * len(prompts))
        said = [[ids[0]] for ids in every]
        return every[mine], said[mine], None, None

    return SimpleNamespace(mode="server", generate=generate)


def test_processes_that_ask_for_other_numbers_of_turns_get_their_own_and_nobody_waits_forever() -> None:
    """One process has three rollouts, of which two look again and one a third time; the other's answer at once."""
    processes, heard = Processes(), [[], []]  # type: ignore[var-annotated]

    def played(index: int, turns: list[list[list[int]]]) -> None:
        gather: Callable[[list[Any]], list[Any]] = lambda mine: processes.gather(index, mine)  # noqa: E731
        made = VllmTurns(server(processes, index), 9, 0, lambda ids, pictures: "a", False, gather)
        for prompts in turns:
            heard[index].append(made.generate(prompts, None, 1)[1])
        made.wait()

    asked = [[[[1, 1], [2], [3]], [[2], [3]], [[3]]], [[[4], [5], [6]]]]
    threads = [Thread(target=played, args=(index, turns), daemon=True) for index, turns in enumerate(asked)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert heard == [[[[1], [2], [3]], [[2], [3]], [[3]]], [[[4], [5], [6]]]]
