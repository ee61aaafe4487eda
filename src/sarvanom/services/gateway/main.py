"""The composition root of the gateway: the edge, and the resource routes over the hop to crud."""

import ipaddress
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI

from sarvanom.backends.identity.secret_files import internal_secret, metrics_token
from sarvanom.backends.limits.contract import LimitStore
from sarvanom.observability.observability import Observability, TraceSettings
from sarvanom.observability.sampling import SAMPLING
from sarvanom.observability.siblings import Place
from sarvanom.security.derived_keys import derive_key
from sarvanom.security.inspection.findings import Mode
from sarvanom.security.inspection.inspector import Inspector
from sarvanom.security.limits import LimitPolicy
from sarvanom.security.statements import PURPOSE, Statements
from sarvanom.security.trusted_issuers import parse_issuers
from sarvanom.services.gateway.api_keys import ApiKeys
from sarvanom.services.gateway.authentication import BearerAuthentication
from sarvanom.services.gateway.instances import CRUD_SECONDS, Instances
from sarvanom.services.gateway.limits import limit_store
from sarvanom.services.gateway.questions import Questions
from sarvanom.services.gateway.recognition import Recognition
from sarvanom.services.gateway.relay import Relay
from sarvanom.services.gateway.tokens import GatewayTokens, TokenSettings
from sarvanom.setting_checks import split_list
from sarvanom.settings import GatewaySettings
from sarvanom.shared.clients.service_client import ServiceClientFactory
from sarvanom.shared.clients.source_urls import hop_context
from sarvanom.shared.models.profiles import Profile
from sarvanom.shared.observations import LimitState, Observation
from sarvanom.web.archive_routes import add_archive_routes
from sarvanom.web.declared_answers import DECLARED_LIMIT_HEADERS
from sarvanom.web.docs import register_docs
from sarvanom.web.edge import gateway_edge
from sarvanom.web.health import Dependency, Details, HealthSources, register_health
from sarvanom.web.inspection import Inspection
from sarvanom.web.log_routes import add_log_routes
from sarvanom.web.metrics_route import register_metrics
from sarvanom.web.middleware.observation import ObservationMiddleware
from sarvanom.web.resource_routes import add_resource_routes
from sarvanom.web.service import Service
from sarvanom.web.shared_looks import SharedLook

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def create_app(settings: GatewaySettings | None = None, place: Place | None = None) -> FastAPI:
    """Return the application in front of the crud instances that the settings name; `place` says which worker it is.

    Raises:
        SecretFileRefused: the internal secret cannot be read.
    """
    settings = settings or GatewaySettings.load()
    secret = internal_secret(settings.internal_secret, settings.data_dir)
    statements = Statements(derive_key(secret, PURPOSE))
    hop_tls = hop_context(settings.crud_urls, settings.crud_ca, settings.hop_certificate, settings.hop_key)
    clients, urls = ServiceClientFactory(), settings.crud_urls
    discovery = clients.discovery(urls, tls=hop_tls)
    hop = clients.hop(urls, timeout=settings.upstream_timeout, tls=hop_tls, discovery=discovery)
    limits = limit_store(settings.valkey_url)

    recognition = Recognition(settings.internal_secret, settings.data_dir)
    questions = Questions(hop, statements, recognition)
    keys = ApiKeys(questions.find_key, lease=settings.lease_seconds)
    instances = Instances(discovery, clients.direct(urls, tls=hop_tls), statements, recognition)
    tokens = GatewayTokens(secret, questions, limits, _token_settings(settings))

    sampling = derive_key(secret, SAMPLING)
    traces = TraceSettings(settings.otlp_endpoint, settings.trace_sample, sampling, settings.trace_follow_callers)
    observability = Observability("gateway", version("sarvanom"), place or Place(), traces)

    def report() -> Iterator[Observation]:
        yield LimitState(limits.counts.decided_alone, limits.counts.outages)
        yield keys.report()
        yield tokens.bearers.report()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await observability.start([report])
        await limits.open()
        yield
        await tokens.aclose()
        await instances.aclose()
        await hop.aclose()
        await limits.aclose()
        await observability.aclose()

    app = Service(
        title="SarvanOM",
        description="The backend in which an LLM application keeps its state: users, model configurations, datasets, "
        "settings and cached answers. Every write takes the next revision of the store, which is its entity tag.",
        version=version("sarvanom"),
        lifespan=lifespan,
        headers=DECLARED_LIMIT_HEADERS,
        edge=gateway_edge(
            BearerAuthentication(
                keys,
                tokens.bearers,
                lease=settings.lease_seconds,
                metrics_token=metrics_token(settings.metrics_token, settings.data_dir),
            ),
            observation=partial(ObservationMiddleware, entrance=traces.entrance(), under_way=observability.under_way),
            trusted_hosts=_trusted_hosts(settings),
            cors_origins=split_list(settings.cors_origins),
            max_body_bytes=settings.max_body_bytes,
            limits=limits,
            limit_policy=_limit_policy(settings),
            inspection=_inspection(settings),
        ),
    )
    if hop_tls is not None:
        app.certificates.append(hop_tls)
    relay = Relay(hop, statements, recognition)
    add_resource_routes(app, relay)
    add_log_routes(app, relay)
    add_archive_routes(app, relay)
    tokens.add_routes(app)
    register_health(
        app, service="gateway", version=app.version, sources=_health_sources(instances, settings, limits, place)
    )
    register_metrics(app, observability.read)
    register_docs(app)
    return app


def _health_sources(
    instances: Instances, settings: GatewaySettings, limits: LimitStore, place: Place | None
) -> HealthSources:
    dependencies = [Dependency(SharedLook("crud", instances.check, timeout=CRUD_SECONDS))]
    if settings.valkey_url is not None:
        dependencies.append(Dependency(SharedLook("valkey", limits.check), is_required=False))

    async def details() -> Details:
        return Details((place or Place()).worker, settings.workers, instances=await instances.reports())

    return HealthSources(dependencies, instances.checks, details)


def _token_settings(settings: GatewaySettings) -> TokenSettings:
    return TokenSettings(
        issuer=settings.issuer,
        audience=settings.token_audience or settings.issuer,
        lifetime=settings.token_seconds,
        lease=settings.lease_seconds,
        outside=[] if settings.oidc_issuers is None else parse_issuers(settings.oidc_issuers),
    )


def _limit_policy(settings: GatewaySettings) -> LimitPolicy:
    return LimitPolicy(
        reads=settings.limit_reads_per_minute,
        writes=settings.limit_writes_per_minute,
        bulk=settings.limit_bulk_per_minute,
        auth=settings.limit_auth_per_minute,
        probes=settings.limit_probes_per_minute,
        anonymous=settings.limit_anonymous_per_minute,
        bytes=settings.limit_bytes_per_minute,
        concurrent=settings.limit_concurrent,
        streams=settings.limit_streams,
    )


def _inspection(settings: GatewaySettings) -> Inspection | None:
    modes = {Profile.STRICT: Mode(settings.inspection_strict), Profile.FREE: Mode(settings.inspection_free)}
    if set(modes.values()) == {Mode.OFF}:
        return None
    return Inspection(Inspector(), modes)


def _trusted_hosts(settings: GatewaySettings) -> list[str]:
    if settings.trusted_hosts is not None:
        return split_list(settings.trusted_hosts)
    return [*_LOOPBACK, settings.gateway_host] if _is_loopback(settings.gateway_host) else ["*"]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
