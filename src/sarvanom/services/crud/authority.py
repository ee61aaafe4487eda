"""What a caller may let others do: no more than it may do itself, and for no longer."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sarvanom.backends.storage.contract import Store
from sarvanom.security.principals import Principal
from sarvanom.security.scopes import scopes_of
from sarvanom.shared.errors import Forbidden
from sarvanom.shared.models.crud_models import ResourceModel
from sarvanom.shared.models.key_models import ApiKey, Granted
from sarvanom.shared.resources import KEYS

_KEY: Final = "key:"
_OVER: Final = datetime.min.replace(tzinfo=UTC)
_NOBODY: Final = "Nobody grants or changes what may do more than itself"


@dataclass(frozen=True, slots=True)
class Authority:
    """A principal, and when the key that it speaks for ends (None: never)."""

    principal: Principal
    ends_at: datetime | None = None

    def check(self, item: ResourceModel) -> None:
        """Refuse a key or an account that may do what the principal may not, or for longer; raises `Forbidden`."""
        assert isinstance(item, Granted)  # noqa: S101 (nothing else lets somebody in)
        principal = self.principal
        if excess := scopes_of(item.roles, item.scopes) - principal.scopes:
            raise Forbidden(f"{_NOBODY}; the caller lacks {', '.join(sorted(excess))}")
        if principal.services is not None and (
            item.services is None or not principal.services.issuperset(item.services)
        ):
            raise Forbidden(f"{_NOBODY}; the caller is bound to other services")
        end = item.expires_at if isinstance(item, ApiKey) else None
        if self.ends_at is not None and (end is None or end > self.ends_at):
            raise Forbidden(f"{_NOBODY}; the caller's own key ends before this does")


async def authority_of(store: Store, principal: Principal) -> Authority:
    """Return what a principal may let others do: nothing, if its key was revoked a moment ago."""
    if not principal.subject.startswith(_KEY):
        return Authority(principal)
    document = await store.read(KEYS, principal.subject.removeprefix(_KEY))
    return Authority(principal, _OVER if document is None else ApiKey.model_validate_json(document.body).expires_at)
