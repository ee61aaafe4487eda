"""The outside issuers that are trusted, as an operator writes them down: a JSON list of objects."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sarvanom.security.oidc import OutsideIssuer, OutsideTokens
from sarvanom.security.scopes import Role
from sarvanom.shared.errors import ServiceUnavailable


class _Issuer(BaseModel):
    """One of them; what is left out is as `OutsideIssuer` has it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    issuer: str
    audience: str
    roles: dict[str, Role] = {}
    roles_claim: str = "roles"
    services_claim: str | None = None
    services: frozenset[str] | None = None
    clients: frozenset[str] = frozenset()
    algorithms: frozenset[str] | None = None
    leeway: int = 30

    def trusted(self) -> OutsideIssuer:
        """Return it; raises `ValueError` if it cannot be trusted."""
        given: dict[str, Any] = dict(self)
        return OutsideIssuer(**{name: value for name, value in given.items() if value is not None})


_issuers: Final = TypeAdapter(Annotated[list[_Issuer], Field(max_length=64)])


def parse_issuers(text: str) -> list[OutsideIssuer]:
    """Return the issuers.

    Raises:
        ValueError: the text is no such list; it says what is wrong with which part.
    """
    try:
        issuers = [issuer.trusted() for issuer in _issuers.validate_json(text)]
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, found["loc"]))
        raise ValueError(f"{place}: {found['msg']}" if place else found["msg"]) from None
    OutsideTokens(issuers, _refuse)  # refuses one that is named twice
    return issuers


async def _refuse(_: str) -> bytes:
    raise ServiceUnavailable("Nothing is asked of anybody here")
