"""The middleware of both services, outermost first: the one place where their order is written down."""

from collections.abc import Sequence
from functools import partial

from starlette.middleware.cors import CORSMiddleware

from sarvanom.backends.limits.contract import LimitStore
from sarvanom.security.limits import LimitPolicy
from sarvanom.security.statements import Statements
from sarvanom.web.declared_answers import DECLARED_LIMIT_HEADERS
from sarvanom.web.docs import DOCUMENT_PATHS
from sarvanom.web.health import DETAILED_PATH, OPEN_PATHS
from sarvanom.web.inspection import Inspection
from sarvanom.web.middleware.authentication import AuthenticationMiddleware
from sarvanom.web.middleware.body_limit import BodyLimitMiddleware
from sarvanom.web.middleware.identity import IdentityMiddleware
from sarvanom.web.middleware.inspection import InspectionMiddleware
from sarvanom.web.middleware.limits import LimitMiddleware, StrangerLimit
from sarvanom.web.middleware.observation import ObservationMiddleware
from sarvanom.web.middleware.problems import ProblemMiddleware
from sarvanom.web.middleware.request_id import RequestIdMiddleware
from sarvanom.web.middleware.security_headers import SecurityHeadersMiddleware
from sarvanom.web.middleware.statement import StatementMiddleware
from sarvanom.web.middleware.trusted_hosts import TrustedHostMiddleware
from sarvanom.web.oauth_routes import OAUTH_PATHS
from sarvanom.web.proofs import Authenticator
from sarvanom.web.service import Middleware
from sarvanom.web.shared_looks import LOOK_SECONDS

_EXPOSED = (
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Retry-After",
    "SarvanOM-Oldest-Revision",
    "SarvanOM-Revision",
    "X-Request-ID",
    *DECLARED_LIMIT_HEADERS,
)
_LARGEST_BODY = 32 * 2**20
"""The most that any gateway may be set to let through."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def gateway_edge(
    authenticator: Authenticator,
    *,
    trusted_hosts: Sequence[str],
    cors_origins: Sequence[str],
    max_body_bytes: int,
    limits: LimitStore,
    limit_policy: LimitPolicy,
    inspection: Inspection | None = None,
    observation: Middleware = ObservationMiddleware,
) -> list[Middleware]:
    """Return what stands between strangers and the gateway's routes; without an `inspection` nothing is inspected.

    Requests are told of by `observation`.
    """
    cors = partial(
        CORSMiddleware,
        allow_origins=cors_origins,
        allow_methods=_METHODS,
        allow_headers=["*"],
        expose_headers=_EXPOSED,
    )
    return [
        RequestIdMiddleware,
        observation,
        SecurityHeadersMiddleware,
        *([cors] if cors_origins else []),
        ProblemMiddleware,
        partial(TrustedHostMiddleware, allowed=trusted_hosts),
        partial(
            AuthenticationMiddleware,
            authenticator=authenticator,
            public=(*OPEN_PATHS, *DOCUMENT_PATHS, *OAUTH_PATHS),
            count_stranger=StrangerLimit(limits, limit_policy),
            patience={DETAILED_PATH: LOOK_SECONDS},
        ),
        partial(LimitMiddleware, store=limits, policy=limit_policy),
        IdentityMiddleware,
        partial(BodyLimitMiddleware, limit=max_body_bytes),
        *([partial(InspectionMiddleware, inspection=inspection)] if inspection is not None else []),
    ]


def crud_edge(
    statements: Statements, *, observation: Middleware = ObservationMiddleware, metrics_token: str | None = None
) -> list[Middleware]:
    """Return what stands between the gateway and crud's routes."""
    return [
        RequestIdMiddleware,
        observation,
        ProblemMiddleware,
        partial(StatementMiddleware, statements=statements, open_paths=OPEN_PATHS, metrics_token=metrics_token),
        partial(BodyLimitMiddleware, limit=_LARGEST_BODY),
    ]
