"""Recipe: a YAML file plus `--set key=value`, read into a frozen typed class; or every mistake in it at once."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from seekerdata.errors import SeekerError
from seekerdata.plugin import BARE, PluginSettingsError


class Recipe(BaseModel):
    """A verb's settings. Subclasses stand beside the verb they set."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


R = TypeVar("R", bound=Recipe)


def load_recipe(kind: type[R], path: Path, changes: Sequence[str] = ()) -> R:
    """Read a recipe file, apply changes of the form `a.b=value`, and check all of it.

    Raises:
        SeekerError: one line for every mistake, with the file and the nearest right key.
    """
    values = read_values(path, changes)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = sorted(_lines(error.errors(), [], kind))
        raise SeekerError("\n".join(f"{path}: {line}" for line in lines)) from None


def read_values(path: Path, changes: Sequence[str] = ()) -> dict[str, Any]:
    """A recipe's keys and values with the changes applied, not yet checked.

    Raises:
        SeekerError: there is no such file, or it is no mapping.
    """
    values = _read(path)
    for change in changes:
        _apply(values, change)
    return values


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeekerError(f"{path}: no such recipe") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SeekerError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise SeekerError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise SeekerError(f"{path}: a recipe is a mapping of keys to values")
    return values


def _apply(values: dict[str, Any], change: str) -> None:
    """Set one dotted key; a bare name on the way stays beside the keys added to it, for its field to spell out."""
    import yaml

    dotted, equals, text = change.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise SeekerError(f"--set {change}: expected key=value, such as source.videos=8")
    place = values
    for key in keys[:-1]:
        inner = place.get(key)
        if isinstance(inner, str):
            inner = {BARE: inner}
        place[key] = inner = dict(inner) if isinstance(inner, dict) else {}
        place = inner
    try:
        place[keys[-1]] = yaml.safe_load(text)
    except yaml.YAMLError:
        place[keys[-1]] = text


def _lines(errors: Sequence[Any], path: list[str], owner: type[BaseModel] | None) -> list[str]:
    """Every mistake as `key.path: what is wrong`."""
    lines = []
    inner_places = {error["loc"][:n] for error in errors for n in range(len(error["loc"]))}
    for error in errors:
        if error["loc"] in inner_places:  # said more exactly by another error inside it
            continue
        place = path + [str(key) for key in error["loc"]]
        inner = error.get("ctx", {}).get("error")
        if isinstance(inner, PluginSettingsError):
            known = {**_fields(None), **dict.fromkeys(inner.fields)}
            lines += [_line(e, place + [str(k) for k in e["loc"]], list(known)) for e in inner.errors]
        else:
            lines.append(_line(error, place, list(_fields(_owner(owner, error["loc"][:-1])))))
    return lines


def _line(error: Any, place: list[str], known: list[str]) -> str:
    if BARE in place:
        return f"{'.'.join(place[: place.index(BARE)])}: the recipe has a name here, and --set adds keys to it"
    name = ".".join(place)
    if error["type"] == "extra_forbidden":
        match = difflib.get_close_matches(place[-1], known, n=1)
        return f"{name}: unknown key" + (f", did you mean '{match[0]}'?" if match else "")
    if error["type"] == "missing":
        return f"{name}: is needed"
    message = error["msg"].removeprefix("Value error, ")
    given = error.get("input")
    simple = isinstance(given, str | int | float | bool) and error["type"] != "value_error"
    return f"{name}: {message}" + (f" (got {given!r})" if simple else "")


def _owner(kind: type[BaseModel] | None, loc: Sequence[Any]) -> type[BaseModel] | None:
    """The class whose key is wrong, found by walking the location through the fields."""
    for key in loc:
        field = kind.model_fields.get(str(key)) if kind else None
        inner = field.annotation if field else None
        kind = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return kind


def _fields(kind: type[BaseModel] | None) -> dict[str, Any]:
    return dict(kind.model_fields) if kind else {}
