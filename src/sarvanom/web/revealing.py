"""Who may see secrets in plain."""

from starlette.types import Scope

from sarvanom.security.principals import ANONYMOUS, Principal
from sarvanom.security.scopes import SECRETS_READ
from sarvanom.shared.errors import Forbidden
from sarvanom.web.authorization import PRINCIPAL


def allowed_to_reveal(scope: Scope) -> Principal:
    """Return who asks, if secrets may be shown to them; raises `Forbidden`."""
    principal: Principal = scope.get(PRINCIPAL, ANONYMOUS)
    if not principal.may(SECRETS_READ):
        raise Forbidden(f"Secrets are shown in plain only to who has the scope {SECRETS_READ}")
    return principal
