"""The dashboard of requests: rate, errors and duration of both services, and what stands between them."""

from typing import Final

from deploy.observability.dashboards.panels import (
    BOTH,
    CRUD,
    GATEWAY,
    OR_ZERO,
    RATE,
    Board,
    Limits,
    Panel,
    Query,
    graph,
    number,
    quantiles,
)

_REQUESTS: Final = "sarvanom_http_requests_total"
_SECONDS: Final = "sarvanom_http_request_duration_seconds"


def requests_board() -> Board:
    """Return the dashboard to look at first."""
    board = Board("requests", "requests", "Whether SarvanOM is well, and if not, where: look here first.")
    board.row("Now", *_now())
    board.row("Gateway: what callers see", *_rate_errors_duration(GATEWAY))
    board.row("crud: what gateways see", *_rate_errors_duration(CRUD))
    board.row("From gateway to crud", *_upstream())
    return board.row("At the edge", *_edge())


def _now() -> list[Panel]:
    errors = 'job:sarvanom_http_errors_per_request:ratio_rate1h{job="sarvanom-gateway"}'
    slow = 'job:sarvanom_http_slow_per_timed_request:ratio_rate1h{job="sarvanom-gateway"}'
    return [
        number(
            "Alerts",
            "Alerts of SarvanOM that fire. Normal: 0. Their runbooks are in docs/runbooks/.",
            "short",
            Query('count(ALERTS{alertname=~"SarvanOM.+", alertstate="firing"}) or vector(0)', "alerts"),
            Limits(1, 2),
        ),
        number(
            "Services up",
            "The share of what Prometheus scrapes that answers. Normal: 100 %.",
            "percentunit",
            Query(f"avg(up{{{BOTH}}})", "up"),
            Limits(1, 0.5, is_floor=True),
        ),
        number(
            "Database",
            "1 if at least one crud reaches its database. Normal: 1.",
            "short",
            Query("max(sarvanom_store_available)", "available"),
            Limits(1, 1, is_floor=True),
        ),
        number(
            "Requests",
            "Requests that the gateways have answered, probes and scrapes not counted. Normal: what your callers do.",
            "reqps",
            Query('job:sarvanom_http_requests:rate5m{job="sarvanom-gateway"}', "requests"),
        ),
        number(
            "Errors, 1 h",
            "The share of requests that ended with 5xx. Normal: less than 0.1 %, which is the objective.",
            "percentunit",
            Query(errors, "5xx"),
            Limits(0.001, 0.0144),
        ),
        number(
            "Slow, 1 h",
            "The share of requests for one resource that took more than 250 ms. Normal: less than 1 %, the objective.",
            "percentunit",
            Query(slow, "slow"),
            Limits(0.01, 0.144),
        ),
    ]


def _rate_errors_duration(job: str) -> list[Panel]:
    return [
        graph(
            "Requests",
            "By class of status. Normal: what your callers do; 4xx are theirs to mend, 5xx should not be seen. A fall "
            "to nothing means that callers do not get through.",
            "reqps",
            [Query(f"sum by (status_class) (rate({_REQUESTS}{{{job}}}{RATE}))", "{{status_class}}")],
            is_stacked=True,
        ),
        graph(
            "Errors",
            "5xx by route. Normal: none. 503 and 504 come from a database or crud that is away, 500 from a defect.",
            "reqps",
            [
                Query(
                    f'sum by (route) (rate({_REQUESTS}{{{job}, status_class="5xx"}}{RATE})){OR_ZERO}',
                    "{{route}}",
                )
            ],
        ),
        graph(
            "Duration",
            "To the last byte; of a watch to the first. Normal: a few milliseconds at the median, under 100 ms at the "
            "99th percentile unless there are imports and exports. The points are traces.",
            "s",
            quantiles(_SECONDS, job, exemplars=True),
        ),
        graph(
            "Busiest routes",
            "The ten routes with the most requests. Normal: those that your application uses, and /metrics and /ready, "
            "which are asked at intervals.",
            "reqps",
            [Query(f"topk(10, sum by (route, method) (rate({_REQUESTS}{{{job}}}{RATE})))", "{{method}} {{route}}")],
        ),
        graph(
            "Slowest routes",
            "The ten routes with the highest 99th percentile. Normal: /export, /import and the routes of collections, "
            "which also carry imports and exports, above those of one resource. The points are traces.",
            "s",
            [
                Query(
                    f"topk(10, histogram_quantile(0.99, sum by (route, le) (rate({_SECONDS}_bucket{{{job}}}{RATE}))))",
                    "{{route}}",
                    has_exemplars=True,
                )
            ],
        ),
        graph(
            "Budgets",
            "How fast the budgets of 30 days are used up, over an hour: at 1 they last for just that long. Normal: "
            "under 1. At 14.4 somebody is paged.",
            "short",
            [
                Query(f"job:sarvanom_http_errors_per_request:ratio_rate1h{{{job}}} / 0.001", "errors"),
                Query(f"job:sarvanom_http_slow_per_timed_request:ratio_rate1h{{{job}}} / 0.01", "slow"),
            ],
        ),
    ]


def _upstream() -> list[Panel]:
    return [
        graph(
            "Instances",
            "1 if the instance of crud is well for all gateways, 0 if it has failed one of them. Normal: 1.",
            "short",
            [Query("min by (exported_instance) (sarvanom_upstream_healthy)", "{{exported_instance}}")],
            most=1,
        ),
        graph(
            "Attempts",
            "Requests that gateways sent to crud, by how they ended. Normal: no unavailable, failed or timeout.",
            "reqps",
            [Query(f"sum by (outcome) (rate(sarvanom_upstream_attempts_total{RATE}))", "{{outcome}}")],
            is_stacked=True,
        ),
        graph(
            "Retries",
            "Requests that were sent again, by reason. Normal: none, but for when a crud is started anew.",
            "reqps",
            [Query(f"sum by (reason) (rate(sarvanom_upstream_retries_total{RATE})){OR_ZERO}", "{{reason}}")],
        ),
        graph(
            "Duration of attempts",
            "From sending to the whole answer, by instance. Normal: all instances alike, and little below the "
            "gateway's own duration.",
            "s",
            quantiles("sarvanom_upstream_attempt_duration_seconds", by="exported_instance"),
            span=12,
        ),
        graph(
            "Under way",
            "Requests and streams under way to each instance. Normal: much the same for all; watches stay.",
            "short",
            [Query("sum by (exported_instance) (sarvanom_upstream_requests_in_progress)", "{{exported_instance}}")],
            span=12,
        ),
    ]


def _edge() -> list[Panel]:
    return [
        graph(
            "Who asks",
            "How callers proved who they are. Normal: proven. Many refused: somebody guesses, or a key has expired; "
            "unavailable: crud is away.",
            "reqps",
            [
                Query(
                    f"sum by (credential, outcome) (rate(sarvanom_authentications_total{RATE}))",
                    "{{credential}} {{outcome}}",
                )
            ],
            is_stacked=True,
        ),
        graph(
            "Refused by limits",
            "429 by the quota that was used up. Normal: none, or one caller who asks too fast.",
            "reqps",
            [
                Query(
                    f'sum by (quota) (rate(sarvanom_limit_decisions_total{{decision="refused"}}{RATE})){OR_ZERO}',
                    "{{quota}}",
                ),
                Query(f"sum(rate(sarvanom_limit_decided_alone_total{RATE}))", "decided without Valkey"),
            ],
        ),
        graph(
            "Taken for an attack",
            "Texts that inspection has found, by what they look like and what was done. Normal: few; a burst is a "
            "scanner, or a new client whose honest texts look like one.",
            "cps",
            [
                Query(
                    f"sum by (family, action) (rate(sarvanom_inspection_findings_total{RATE})){OR_ZERO}",
                    "{{family}} {{action}}",
                )
            ],
        ),
    ]
