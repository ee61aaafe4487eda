"""Where secrets stand in a JSON value: by the names of members, at any depth; places are JSON pointers (RFC 6901)."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from sarvanom.security.sealed_text import MEMBER, is_sealed
from sarvanom.shared.errors import FieldError, ValidationFailed
from sarvanom.shared.models.secret_fields import MASK, are_harmless, is_secret_name

_CONTAINERS: Final = frozenset((dict, list))

type Change = Callable[[Any, str], Any]
"""Told a value and its place, returns what is to stand there."""
type Open = Callable[[str, str], Any]
"""Told a sealed text and its place, returns what was sealed."""


def find_secrets(value: Any) -> list[Any]:
    """Return the values of all members of a parsed JSON value with names of secrets, but for nulls, in any order."""
    found: list[Any] = []
    if type(value) in _CONTAINERS:
        _collect(value, found)
    return found


def _collect(container: Any, found: list[Any]) -> None:
    for item in _others(container, found) if type(container) is dict else container:
        if type(item) in _CONTAINERS:
            _collect(item, found)


def _others(members: dict[str, Any], found: list[Any]) -> Iterable[Any]:
    """Return the values of members that are not named like secrets, and add those of the others to what was found."""
    if are_harmless(members):
        return members.values()
    others: list[Any] = []
    for name, item in members.items():
        if not is_secret_name(name):
            others.append(item)
        elif item is not None:
            found.append(item)
    return others


def change_secrets(value: Any, place: str, change: Change) -> Any:
    """Return the value with each of its secrets changed."""
    if isinstance(value, dict):
        return {name: _change_member(name, item, place, change) for name, item in value.items()}
    if isinstance(value, list):
        return [
            change_secrets(item, below(place, index), change) if type(item) in _CONTAINERS else item
            for index, item in enumerate(value)
        ]
    return value


def _change_member(name: str, value: Any, place: str, change: Change) -> Any:
    if is_secret_name(name):
        return None if value is None else change(value, below(place, name))
    return change_secrets(value, below(place, name), change) if type(value) in _CONTAINERS else value


def change_sealed(value: Any, place: str, change: Change) -> Any:
    """Return the value with each sealed one in it changed, whatever its name; `change` is told the sealed text."""
    if is_sealed(value):
        return change(value[MEMBER], place)
    if isinstance(value, dict):
        return {name: change_sealed(item, below(place, name), change) for name, item in value.items()}
    if isinstance(value, list):
        return [change_sealed(item, below(place, index), change) for index, item in enumerate(value)]
    return value


def sealed_places(value: Any, place: str) -> Iterator[str]:
    """Yield the places of all sealed values."""
    if is_sealed(value):
        yield place
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from sealed_places(item, below(place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from sealed_places(item, below(place, index))


def keep_stored(value: Any, stored: Any, place: str, open: Open) -> Any:
    """Return the value with each mask replaced by what is stored in its place, also those inside of secrets.

    In a list places shift: there a mask stands for the secret of an element that is otherwise as it was read, in the
    same place.

    Raises:
        ValidationFailed: a mask stands for no stored secret.
    """
    if isinstance(value, dict):
        before = stored if isinstance(stored, dict) else {}
        return {
            name: _keep_member(name, item, before.get(name), below(place, name), open) for name, item in value.items()
        }
    if isinstance(value, list):
        elements = stored if isinstance(stored, list) else []
        padded = [*elements, *[None] * (len(value) - len(elements))]
        return [_keep_element(item, padded[index], below(place, index)) for index, item in enumerate(value)]
    return value


def _keep_member(name: str, value: Any, stored: Any, place: str, open: Open) -> Any:
    return (keep_secret if is_secret_name(name) else keep_stored)(value, stored, place, open)


def keep_secret(value: Any, stored: Any, place: str, open: Open) -> Any:
    """Return a secret with masks replaced: if it is one, by the sealed value, and inside of it by what that holds.

    Raises:
        ValidationFailed: a mask stands for nothing that is stored.
    """
    if value == MASK:
        return kept(stored, place)
    if not has_mask(value):
        return value
    return _filled(value, open(stored[MEMBER], place) if is_sealed(stored) else None, place)


def _filled(value: Any, opened: Any, place: str) -> Any:
    """Return what is inside of a secret with each mask replaced by what was sealed in its place."""
    if value == MASK:
        if opened is None or has_mask(opened):
            raise _nothing(place)
        return opened
    if isinstance(value, dict):
        before = opened if isinstance(opened, dict) else {}
        return {name: _filled(item, before.get(name), below(place, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, None, below(place, index)) for index, item in enumerate(value)]
    return value


def has_mask(value: Any) -> bool:
    """Tell whether a JSON value is a mask, or holds one at any depth."""
    if type(value) not in _CONTAINERS:
        return bool(value == MASK)
    items = value.values() if isinstance(value, dict) else value
    return MASK in items or any(has_mask(item) for item in items if type(item) in _CONTAINERS)


def _keep_element(value: Any, stored: Any, place: str) -> Any:
    if not any(map(has_mask, find_secrets(value))):
        return value
    if _canonical(value) != _canonical(change_secrets(stored, place, lambda *_: MASK)):
        raise refusal(place, f"Is not as it was read: send the secrets below it anew, not {MASK}")
    return stored


def kept(stored: Any, place: str) -> Any:
    """Return the sealed value that a mask stands for; raises `ValidationFailed` if there is none."""
    if not is_sealed(stored):
        raise _nothing(place)
    return stored


def below(place: str, part: str | int) -> str:
    """Return the place of a member or an element."""
    return f"{place}/{str(part).replace('~', '~0').replace('/', '~1')}"


def _nothing(place: str) -> ValidationFailed:
    return refusal(place, f"{MASK} stands for a secret that is stored, and there is none: send the secret")


def refusal(place: str, message: str) -> ValidationFailed:
    """Return the refusal of what stands in a place."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in place[1:].split("/")]
    return ValidationFailed("The secrets are not valid", errors=[FieldError(".".join(parts), message)])


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
