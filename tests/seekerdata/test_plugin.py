"""Every plugin file found fulfils the contract: one class, a docstring, frozen, described by what makes it again."""

import pytest
from pydantic import ValidationError

from seekerdata.errors import SeekerError
from seekerdata.plugin import FAMILIES, describe, load, make, names
from seekerdata.visual_prompt import SHAPES

PLUGINS = [(family, name) for family in FAMILIES for name in names(family)]
NEEDS = {
    "jsonl": {"path": "."},
    "llava_video": {"path": "."},
    "model": {"model": "openai-api/local/any"},
    "weights": {"path": "a/model"},
}


@pytest.mark.parametrize(("family", "name"), PLUGINS, ids=["/".join(p) for p in PLUGINS])
def test_contract(family: str, name: str) -> None:
    kind = load(family, name)
    assert (kind.__doc__ or "").strip()
    plugin = make(family, {"use": name, **NEEDS.get(name, {})}) if family != "stages" else kind()
    assert plugin.plugin_name() == name
    described = describe(plugin)
    if family != "stages":
        assert make(family, described) == plugin
    with pytest.raises(ValidationError):
        plugin.anything = 1  # type: ignore[attr-defined]


def test_the_eight_shapes_are_there() -> None:
    assert set(names("shapes")) == set(SHAPES)


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(SeekerError, match="did you mean 'ellipse'"):
        load("shapes", "elipse")


def test_dashes_and_underscores_are_the_same() -> None:
    assert load("shapes", "set-of-mark") is load("shapes", "set_of_mark")


def test_settings_and_versions_decide_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    arrow = make("shapes", "arrow")
    before = arrow.fingerprint()
    monkeypatch.setattr(type(arrow), "version", 2)
    assert arrow.fingerprint() != before
