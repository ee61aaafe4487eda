"""The models of successful answers, each with a name of its own in OpenAPI: that is what generated clients call it."""

from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model

from sarvanom.shared.models.crud_models import MAX_LIMIT, CacheStats, CRUDResponse, Deleted, Items, ListResponse
from sarvanom.shared.resources import Resource
from sarvanom.web.calls import Operation


def success_model(operation: Operation, resource: Resource[Any]) -> type[BaseModel] | None:
    """Return the model of the body of a success; None where there is none."""
    match operation:
        case Operation.LIST:
            return _list_envelope(resource)
        case Operation.DELETE:
            return None
        case Operation.INVALIDATE:
            return _envelope(Deleted)
        case Operation.STATS:
            return _envelope(CacheStats)
        case Operation.CREATE | Operation.ROTATE if resource.issued_model is not None:
            issued: type[BaseModel] = resource.issued_model
            return _envelope(issued)
        case _:
            model: type[BaseModel] = resource.model
            return _envelope(model)


@cache
def _envelope(model: type[BaseModel]) -> type[BaseModel]:
    """Return the envelope of one item under a name of its own, which is what generated clients call it."""
    return create_model(f"{model.__name__}Response", __base__=CRUDResponse[Any], data=(model, Field()))


def _list_envelope(resource: Resource[Any]) -> type[BaseModel]:
    model, sparse = resource.model, resource.sparse_model
    name = model.__name__
    held: Any = (Annotated[list[model | sparse], Field(max_length=MAX_LIMIT)], Field())  # type: ignore[valid-type]
    items = create_model(f"{name}Items", __base__=Items[Any], items=held)
    return create_model(f"{name}ListResponse", __base__=ListResponse[Any], data=(items, Field()))
