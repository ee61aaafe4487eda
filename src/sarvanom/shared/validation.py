"""From bytes to a valid resource, or to an error that says what would be right."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from sarvanom.shared.errors import FieldError, MalformedJSON, ValidationFailed
from sarvanom.shared.json_bounds import LARGE, check_json
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.models.fields import UNCHECKED_JSON, may_be_deep, may_be_infinite
from sarvanom.shared.models.fields import JsonValue as CheckedJson
from sarvanom.shared.resources import Resource

_MAX_ERRORS: Final = 100
_BACKSLASH: Final = ord("\\")
_PATCH: Final = TypeAdapter[dict[str, JsonValue]](dict[str, CheckedJson])


def parse_model[M: BaseModel](model: type[M], text: bytes) -> M:
    """Return the model that a JSON text describes.

    Raises:
        MalformedJSON: the text is no JSON.
        ValidationFailed: it is, but not of this model, or it has a key twice in one object.
    """
    check_json(text)
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        if error.error_count() == 1 and error.errors(include_url=False)[0]["type"] == "json_invalid":
            reason = error.errors(include_url=False)[0]["ctx"]["error"]
            raise MalformedJSON(f"The body is not valid JSON: {reason}") from None
        raise ValidationFailed(f"The body is no valid {model_title(model)}", errors=field_errors(error)) from None


def parse_and_encode[M: ResourceModel](model: type[M], text: bytes) -> tuple[M, bytes]:
    """Return the item that a JSON text describes, and its `to_json`, for less than they cost one by one.

    Raises:
        MalformedJSON, ValidationFailed: as for `parse_model`.
    """
    if _is_plain(text):
        try:
            item = model.__pydantic_validator__.validate_json(text, context=UNCHECKED_JSON)
        except ValidationError:
            pass  # it is refused below, where it is said what would be right
        else:
            kept = item.to_json()
            if _is_whole(item, kept, text):
                return item, kept
    item = parse_model(model, text)
    return item, item.to_json()


def _is_plain(text: bytes) -> bool:
    """Tell whether a text is short, cannot be nested too deep, and has no colon in another spelling."""
    if len(text) > LARGE or may_be_deep(text):
        return False
    return _BACKSLASH not in text or (b"\\u003a" not in text and b"\\u003A" not in text)


def _is_whole(item: ResourceModel, kept: bytes, text: bytes) -> bool:
    """Tell whether a plain text is one that `parse_model` accepts, of which the item is all; if in doubt, it is not.

    Of two members with one key the first is lost, and a colon with it. All others are kept, in strings and behind keys,
    and each field that was left out brings one.
    """
    left_out = len(item.__pydantic_fields__) - len(item.stamped_fields) - len(item.__pydantic_fields_set__)
    return kept.count(b":") - left_out == text.count(b":") and not may_be_infinite(kept)


def encode_patch(changes: Mapping[str, JsonValue]) -> bytes:
    """Return a merge patch as JSON text.

    Raises:
        ValidationFailed: it holds what JSON cannot carry, or nests too deep.
    """
    try:
        return _PATCH.dump_json(_PATCH.validate_python(dict(changes)))
    except ValidationError as error:
        raise ValidationFailed("The patch is no valid JSON", errors=field_errors(error)) from None
    except PydanticSerializationError:
        raise ValidationFailed("The patch holds what JSON cannot carry, such as a lone surrogate") from None


def parse_patch(resource: Resource[Any], text: bytes) -> dict[str, JsonValue]:
    """Return the changes that a JSON Merge Patch asks for, the server's fields left out.

    Raises:
        MalformedJSON, ValidationFailed: as for `parse_model`; what the patched resource lacks is not known here.
    """
    patch = parse_model(resource.patch_model, text)
    return {name: getattr(patch, name) for name in patch.model_fields_set - resource.model.server_fields}


def parse_replacement[M: ResourceModel](resource: Resource[M], id: str, text: bytes) -> M:
    """Return the item that replaces the one with this id.

    Raises:
        MalformedJSON: the text is no JSON.
        ValidationFailed: it is no valid item, or has another id.
    """
    item = parse_model(resource.replace_model, text)
    given = getattr(item, resource.id_field)
    if given is None:
        return item.model_copy(update={resource.id_field: id})
    if given != id:
        message = f"Must be {id}, as in the path, or absent"
        raise ValidationFailed(
            f"The body is not about this {resource.name}", errors=[FieldError(resource.id_field, message)]
        )
    return item


def merge_patch(target: JsonValue, patch: JsonValue) -> JsonValue:
    """Return the target with the patch applied (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return Pydantic's findings as dotted paths and messages, without the values that were refused."""
    count = error.error_count()
    if count > _MAX_ERRORS:
        return [FieldError("", f"{count} fields are unknown or not valid: too many to name")]
    return [
        FieldError(".".join(str(part) for part in found["loc"]), found["msg"])
        for found in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def model_title(model: type[Any]) -> str:
    """Return the name of the resource that a model describes, also for the variants derived from it."""
    return model.__name__.removesuffix("Write").removesuffix("Replace").removesuffix("Patch")
