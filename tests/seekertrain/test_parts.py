"""Parts of a model: frozen ones are not trained, in both families, by weights or by adapters."""

from pathlib import Path

import pytest
from transformers import AutoModelForImageTextToText

from seekerdata.errors import SeekerError
from seekertrain.parts import freeze, lora_config, parameters, part_of

FAMILIES = pytest.mark.parametrize("family", ["tiny", "tiny25"])


@FAMILIES
def test_every_parameter_belongs_to_a_part(family: str, request: pytest.FixtureRequest) -> None:
    model = AutoModelForImageTextToText.from_pretrained(request.getfixturevalue(family))
    assert {part_of(name) for name, _ in model.named_parameters()} == {"vision", "projector", "language"}
    assert sum(part["all"] for part in parameters(model).values()) == sum(p.numel() for p in model.parameters())


@FAMILIES
@pytest.mark.parametrize("frozen", [("vision",), ("vision", "projector"), ("language",)])
def test_frozen_parts_are_not_trained(family: str, frozen: tuple[str, ...], request: pytest.FixtureRequest) -> None:
    from peft import get_peft_model

    folder: Path = request.getfixturevalue(family)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    freeze(model, frozen)
    trained = {part for part, n in parameters(model).items() if n["trained"]}
    assert trained == {"vision", "projector", "language"} - set(frozen)
    adapted = get_peft_model(AutoModelForImageTextToText.from_pretrained(folder), lora_config({"r": 2}, frozen))
    assert {part for part, n in parameters(adapted).items() if n["trained"]} == trained


def test_something_must_be_left_to_train(tiny: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny)
    with pytest.raises(SeekerError, match="nothing is left to train"):
        freeze(model, ("vision", "projector", "language"))


def test_what_peft_refuses_is_one_line() -> None:
    with pytest.raises(SeekerError, match="lora: "):
        lora_config({"r": 8, "layers_to_transform": [1], "target_modules": "all-linear"}, ())
