"""Spans over OTLP: what listens to observations that are recorded. Loaded only where traces are on.

An observation comes when what it tells of is over, so a span is begun and ended at once, with the times and ids that
it had. Names and attributes are those of OpenTelemetry's semantic conventions for HTTP and databases; but no path, no
query and no URL is told, as in the log.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS
from opentelemetry.semconv.attributes.db_attributes import (
    DB_OPERATION_BATCH_SIZE,
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_SYSTEM_NAME,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_METHOD_ORIGINAL,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
    HttpRequestMethodValues,
)
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue
from requests import PreparedRequest, Response, Session

from sarvanom.shared.observations import RequestServed, StatementRun, UpstreamAttempted, listen
from sarvanom.shared.trace_context import Span

type Attributes = dict[str, AttributeValue]

_TALKATIVE: Final = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "urllib3.connectionpool")
_log = structlog.get_logger()
_PATH: Final = "/v1/traces"
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SECONDS_TO_SEND: Final = 2
_SECONDS_TO_CLOSE: Final = 1
"""Less than what the supervisor leaves a service beyond the time for its requests."""
_MOST_OF_AN_ANSWER: Final = 64 * 1024
_UNFIT_STATUS: Final = 500
_CLIENT_ERROR: Final = 400
_OTHER: Final = HttpRequestMethodValues.OTHER.value
_METHODS: Final = frozenset(method.value for method in HttpRequestMethodValues) - {_OTHER}


class _PlannedIds(IdGenerator):
    """Gives the next span the ids that it has had since it began."""

    def __init__(self) -> None:
        self.next_span: Span | None = None

    def generate_span_id(self) -> int:
        assert self.next_span is not None  # noqa: S101 (set just before)
        return int(self.next_span.context.span_id, 16)

    def generate_trace_id(self) -> int:
        assert self.next_span is not None  # noqa: S101 (set just before)
        return int(self.next_span.context.trace_id, 16)


class _Brief(Session):
    """Reads little of an answer: nothing in it is needed, and it may have no end."""

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        response = super().send(request, **{**options, "stream": True})
        response.raw.read(_MOST_OF_AN_ANSWER)
        response.close()
        return response


class _SaidOnce(SpanExporter):
    """Says once that spans cannot be sent, and once that they can again; the exporter would say it each second."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._is_away = False
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        is_away = result is not SpanExportResult.SUCCESS
        if is_away and not self._is_away:
            _log.warning("traces cannot be sent: the collector does not take them", lost=len(spans))
        elif self._is_away and not is_away:
            _log.info("traces are sent again")
        self._is_away = is_away
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class Traces:
    """Makes spans of observations and sends them to a collector, in the background and many at once."""

    def __init__(self, endpoint: str, service: str, version: str, instance: str) -> None:
        self._ids = _PlannedIds()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # what is not sampled has no span to begin with
            id_generator=self._ids,
            shutdown_on_exit=False,
            resource=Resource(
                {
                    SERVICE_NAME: service,
                    SERVICE_NAMESPACE: "sarvanom",
                    SERVICE_VERSION: version,
                    SERVICE_INSTANCE_ID: instance,
                }
            ),
        )
        url = endpoint.rstrip("/") + _PATH
        exporter = OTLPSpanExporter(url, timeout=_SECONDS_TO_SEND, session=_Brief())
        self._provider.add_span_processor(BatchSpanProcessor(_SaidOnce(exporter), schedule_delay_millis=1000))
        self._tracer = self._provider.get_tracer("sarvanom", version)
        self._ends: list[Callable[[], None]] = []

    def listen(self) -> None:
        """Begin to make spans."""
        self._ends = [
            listen(RequestServed, self._serve),
            listen(UpstreamAttempted, self._attempt),
            listen(StatementRun, self._run),
        ]

    def close(self) -> None:
        """Make no more, and send what there is; what is not taken within a second is lost."""
        while self._ends:
            self._ends.pop()()
        # In a thread that ends with the process: what sends waits for each part of an answer anew.
        closing = threading.Thread(target=self._provider.shutdown, name="sarvanom-traces", daemon=True)
        closing.start()
        closing.join(_SECONDS_TO_CLOSE)

    def _serve(self, request: RequestServed) -> None:
        if request.span is None:
            return
        attributes: Attributes = {
            HTTP_REQUEST_METHOD: request.method,
            HTTP_RESPONSE_STATUS_CODE: request.status,
            "sarvanom.request_id": request.notes.request_id,
        }
        name = request.method
        if name not in _METHODS:
            attributes |= {HTTP_REQUEST_METHOD: _OTHER, HTTP_REQUEST_METHOD_ORIGINAL: name}
            name = "HTTP"
        if request.route != "unmatched":
            attributes[HTTP_ROUTE] = request.route
            name = f"{name} {request.route}"
        if request.client is not None:
            attributes[CLIENT_ADDRESS] = request.client
        if request.principal:
            attributes["sarvanom.principal"] = request.principal
        error = str(request.status) if request.status >= _UNFIT_STATUS else "aborted" if request.is_aborted else None
        self._record(request.span, name, SpanKind.SERVER, attributes, error)

    def _attempt(self, attempt: UpstreamAttempted) -> None:
        if attempt.span is None:
            return
        host, port = _address(attempt.instance)
        attributes: Attributes = {HTTP_REQUEST_METHOD: attempt.method, SERVER_ADDRESS: host, SERVER_PORT: port}
        error = None
        if attempt.status:
            attributes[HTTP_RESPONSE_STATUS_CODE] = attempt.status
            error = str(attempt.status) if attempt.status >= _CLIENT_ERROR else None
        else:
            error = attempt.outcome
        self._record(attempt.span, attempt.method, SpanKind.CLIENT, attributes, error)

    def _run(self, statement: StatementRun) -> None:
        summary = statement.summary or summarise(statement.text)
        attributes: Attributes = {
            DB_SYSTEM_NAME: statement.system,
            DB_QUERY_TEXT: statement.text,
            DB_QUERY_SUMMARY: summary,
        }
        if statement.writes > 1:
            attributes[DB_OPERATION_BATCH_SIZE] = statement.writes
        self._record(statement.span, summary, SpanKind.CLIENT, attributes, statement.error)

    def _record(self, span: Span, name: str, kind: SpanKind, attributes: Attributes, error: str | None) -> None:
        if error is not None:
            attributes[ERROR_TYPE] = error
        self._ids.next_span = span
        recorded = self._tracer.start_span(name, _parent(span), kind, attributes, start_time=span.began)
        if error is not None:
            recorded.set_status(Status(StatusCode.ERROR))
        recorded.end(time.time_ns())


def _parent(span: Span) -> Context:
    """Return the context of what a span is part of; an empty one for the first of a trace."""
    if span.parent_id is None:
        return Context()
    parent = SpanContext(int(span.context.trace_id, 16), int(span.parent_id, 16), is_remote=True, trace_flags=_SAMPLED)
    return set_span_in_context(NonRecordingSpan(parent), Context())


@lru_cache(1024)
def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


@lru_cache(1024)
def summarise(statement: str) -> str:
    """Return what a statement does, and to which tables: `SELECT users`."""
    words = statement.replace("(", " ").replace(",", " ").split()
    verb = words[0].upper() if words else "QUERY"
    tables = [
        table.strip('"')
        for before, table in pairwise(words)
        if before.upper() in {"FROM", "INTO", "UPDATE", "JOIN"} and table.strip('"').isidentifier()
    ]
    return " ".join([verb, *dict.fromkeys(tables)])
