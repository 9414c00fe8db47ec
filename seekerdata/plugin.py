"""Plugin: one file with one class; its file name is its name in a recipe. Nothing is registered.

`Plugin` is a frozen pydantic class: its fields are its recipe keys. A recipe names one as `name` or as
`{use: name, key: value}`; `Annotated[Shape, picked("shapes")]` types the field that holds it.
"""

import difflib
import hashlib
import importlib
import json
import pkgutil
from typing import Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import to_jsonable_python

from seekerdata.errors import SeekerError

FAMILIES = ("sources", "stages", "segmenters", "shapes", "policies", "exports", "imports")
"""Folders of interchangeable parts."""


BARE = ""
"""The key under which `--set` leaves a bare name that it adds keys to; who reads the field knows its own short form."""


def spelled_out(value: Any, key: str) -> Any:
    """A bare name as `{key: name}`, with the keys that `--set` added; those win. Anything else stays as it is."""
    given = {BARE: value} if isinstance(value, str) else value
    if not isinstance(given, dict) or BARE not in given:
        return value
    name, rest = given[BARE], {k: v for k, v in given.items() if k != BARE}
    if isinstance(rest.get(key), dict):  # the keys added are those of the named part itself
        rest[key] = {BARE: name, **rest[key]}
    return {key: name, **rest}


class Plugin(BaseModel):
    """A part that a recipe names. Subclasses state their settings as fields and their work as one method."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    version: ClassVar[int] = 1
    """Raised when the code changes what it makes, so that a resumed run redoes that part."""
    shown_frames: ClassVar[frozenset[str]] = frozenset()
    """Fields whose models are shown pictures; `plan --probe` shows one to those."""
    undecisive: ClassVar[frozenset[str]] = frozenset()
    """Settings that do not decide what is made: changing them redoes nothing."""

    @classmethod
    def plugin_name(cls) -> str:
        """The name used in recipes: the file's name."""
        return cls.__module__.rsplit(".", 1)[-1]

    def check_ready(self) -> None:
        """Asked before a build's first item, to find what this machine lacks; loads nothing. Raises SeekerError."""
        for name in type(self).model_fields:
            if isinstance(inner := getattr(self, name), Plugin):
                inner.check_ready()

    @property
    def loads_weights(self) -> bool:
        """Whether its work loads weights, so that one process of a run does it all; more GPUs are more ranks."""
        inner = (getattr(self, name) for name in type(self).model_fields)
        return any(isinstance(part, Plugin) and part.loads_weights for part in inner)

    def fingerprint(self) -> str:
        """Hash of all that decides what this plugin makes, apart from its input: code versions and settings."""
        return self.fingerprint_without(frozenset())

    def fingerprint_without(self, fields: frozenset[str]) -> str:
        """The fingerprint with some settings left out."""
        facts = {name: value for name, value in describe(self, with_versions=True).items() if name not in fields}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def names(family: str, package: str = "seekerdata") -> list[str]:
    """Names of all plugins of a family, e.g. `names("shapes")`."""
    module = importlib.import_module(f"{package}.{family}")
    return sorted(info.name for info in pkgutil.iter_modules(module.__path__))


def load(family: str, name: str, package: str = "seekerdata") -> type[Plugin]:
    """The class in the file `<package>/<family>/<name>.py`.

    Raises:
        SeekerError: no such file; the text suggests the nearest name.
    """
    wanted = str(name).replace("-", "_")
    known = names(family, package)
    if wanted not in known:
        raise SeekerError(f"no '{name}' in {family}{near(wanted, known)}")
    module = importlib.import_module(f"{package}.{family}.{wanted}")
    (exported,) = module.__all__
    return getattr(module, exported)


def near(word: str, known: list[str]) -> str:
    """' (did you mean ...?)' for the closest known word, else the list of known words."""
    match = difflib.get_close_matches(word, known, n=1)
    if match:
        return f" (did you mean '{match[0]}'?)"
    return f" (there is: {', '.join(known)})"


class PluginSettingsError(ValueError):
    """The settings of a plugin named in a recipe are wrong; `errors` as pydantic lists them."""

    def __init__(self, error: ValidationError, fields: list[str]) -> None:
        super().__init__(str(error))
        self.errors = error.errors()
        self.fields = fields


def make(family: str, value: Any, package: str = "seekerdata") -> Any:
    """A plugin from its recipe form: an instance, `name`, or `{use: name, ...settings}`.

    Raises:
        ValueError: no such plugin; `PluginSettingsError` for its settings.
    """
    if isinstance(value, Plugin):
        return value
    value = spelled_out(value, "use")
    if not isinstance(value, dict) or "use" not in value:
        raise ValueError(f"expected a name of {family} or {{use: name, ...}}")
    settings = dict(value)
    try:
        plugin = load(family, settings.pop("use"), package)
    except SeekerError as error:
        raise ValueError(str(error)) from None
    try:
        return plugin(**settings)
    except ValidationError as error:
        raise PluginSettingsError(error, list(plugin.model_fields)) from None


def describe(plugin: Plugin, with_versions: bool = False) -> dict[str, Any]:
    """The recipe form of a plugin with every default written out, as saved in the manifest."""

    def form(value: Any) -> Any:
        if isinstance(value, Plugin):
            return describe(value, with_versions)
        if isinstance(value, BaseModel):
            return fields(value)
        return [form(v) for v in value] if isinstance(value, tuple | list) else value

    def fields(value: BaseModel) -> dict[str, Any]:
        silent: frozenset[str] = getattr(type(value), "undecisive", frozenset()) if with_versions else frozenset()
        return {name: form(getattr(value, name)) for name in type(value).model_fields if name not in silent}

    settings = fields(plugin)
    version = {"version": plugin.version} if with_versions else {}
    return {"use": plugin.plugin_name(), **version, **to_jsonable_python(settings)}


def picked(family: str) -> BeforeValidator:
    """Marks a recipe field that holds a plugin of `family`."""
    return BeforeValidator(lambda value: make(family, value))
