"""One process of a run of `rl` whose model says what its place among all rollouts of the step decides.

    torchrun --nproc_per_node N rl_process.py RECIPE ANSWER...

So the same rollouts are played by however many processes there are; all else of the run is real.
"""

from pathlib import Path
from typing import Any

import torch
import typer
import yaml

from seekerdata.terminal import user_errors
from seekertrain.assembly import assemble_rl, rl_config
from seekertrain.cli import told_once
from seekertrain.rl import RlRecipe
from seekertrain.sft import carry_out

LOOK = (
    '<tool_call>\n{"name": "crop_video", "arguments": {"video_path": "video", "start_time": 2.0, "end_time": 3.5}}\n'
    "</tool_call>"
)


def speaking(kind: type, tokenizer: Any, rank: int, answers: list[str]) -> type:
    """A model of this kind: all look once, then answer, each by its place."""
    turn = 0

    class Speaking(kind):  # type: ignore[misc,valid-type]
        def generate(self, input_ids: Any, **_: Any) -> Any:
            nonlocal turn
            turn, looks = turn + 1, turn % 2 == 0
            places = range(rank * len(input_ids), (rank + 1) * len(input_ids))
            said = [LOOK if looks else f"<answer>{answers[place % len(answers)]}</answer>" for place in places]
            ids = tokenizer([text + tokenizer.eos_token for text in said], padding=True, padding_side="right")
            return torch.cat([input_ids, torch.tensor(ids["input_ids"])], dim=1)

    Speaking.__name__ = kind.__name__
    return Speaking


def main(path: Path, answers: list[str]) -> None:
    recipe = RlRecipe.model_validate(yaml.safe_load(path.read_text()))
    settings = rl_config(recipe)
    trainer = assemble_rl(recipe, settings, print if settings.process_index == 0 else lambda line: None)
    model = trainer.model
    model.__class__ = speaking(type(model), trainer.processing_class.tokenizer, settings.process_index, answers)
    with user_errors(), told_once():
        carry_out(recipe, trainer, lambda line: None, 0.0)
    print(f"process {settings.process_index} ended after step {trainer.state.global_step}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    typer.run(main)
