"""The dashboard of capacity: how much of what the processes may have is in use."""

from deploy.observability.dashboards.panels import BOTH, OR_ZERO, RATE, Board, Panel, Query, graph, quantiles

_WORKER = "{{job}} {{instance}} {{worker}}"


def capacity_board() -> Board:
    """Return the dashboard of capacity."""
    board = Board("capacity", "capacity", "What is used of what there is, by worker: where it ends, and when.")
    board.row("Processes", *_processes())
    return board.row("Load", *_load())


def _processes() -> list[Panel]:
    return [
        graph(
            "CPU",
            "Cores that a worker uses. Normal: under 0.7; at 1 it is full, since a worker runs on one core at a time. "
            "Then raise SARVANOM_WORKERS, or start more instances.",
            "short",
            [Query(f"rate(process_cpu_seconds_total{{{BOTH}}}{RATE})", _WORKER)],
        ),
        graph(
            "Memory",
            "Resident memory. Normal: 100 to 200 MiB a worker, and level.",
            "bytes",
            [Query(f"process_resident_memory_bytes{{{BOTH}}}", _WORKER)],
        ),
        graph(
            "Open files",
            "The share of the files and sockets that a worker may have open. Normal: under 50 %.",
            "percentunit",
            [Query(f"process_open_fds{{{BOTH}}} / process_max_fds{{{BOTH}}}", _WORKER)],
            most=1,
        ),
        graph(
            "Lag of the event loop",
            "How late timers run. Normal: under 10 ms. Much more: the worker is full, the machine is, or something "
            "holds the loop.",
            "s",
            quantiles("sarvanom_event_loop_lag_seconds", by="job"),
        ),
        graph(
            "Starts",
            "Workers that were started in the last hour. Normal: none, but for updates; more are crashes, which the "
            "supervisor tells of on its standard error.",
            "short",
            [Query(f"sum by (job) (changes(process_start_time_seconds{{{BOTH}}}[1h]))", "{{job}}")],
        ),
        graph(
            "Workers",
            "Workers whose metrics are here, and those that did not answer. Normal: all of them, and 0.",
            "short",
            [
                Query("count by (service) (sarvanom_build_info)", "{{service}}"),
                Query("sum(max by (job, instance) (sarvanom_workers_unreachable))", "do not answer"),
            ],
        ),
    ]


def _load() -> list[Panel]:
    lookups = "sarvanom_lease_lookups_total"
    return [
        graph(
            "Connections",
            "Connections that are open. Normal: well under SARVANOM_MAX_CONNECTIONS for each worker.",
            "short",
            [Query(f"sum by (job) (sarvanom_http_connections){OR_ZERO}", "{{job}}")],
        ),
        graph(
            "Connections turned away",
            "Because there were too many, in all or from one address. Normal: none. No request is counted for them.",
            "cps",
            [Query(f"sum by (job) (rate(sarvanom_http_connections_refused_total{RATE}))", "{{job}}")],
        ),
        graph(
            "Under way",
            "Requests that are served now, by worker. Normal: alike among the workers of a service.",
            "short",
            [Query("sarvanom_http_requests_in_progress", _WORKER)],
        ),
        graph(
            "Connections to PostgreSQL",
            "The share of the connections for reads that are in use. Normal: under 70 %. Empty on SQLite.",
            "percentunit",
            [
                Query(
                    'sum by (instance) (sarvanom_db_pool_connections{state="in_use"})'
                    " / sum by (instance) (sarvanom_db_pool_size)",
                    "{{instance}}",
                )
            ],
            most=1,
        ),
        graph(
            "Keys and sessions remembered",
            "By the gateways. Normal: as many as ask within a lease.",
            "short",
            [Query("sum by (kind) (sarvanom_lease_entries)", "{{kind}}")],
        ),
        graph(
            "Lookups of keys and sessions",
            "The share that needed no question to crud. Normal: over 90 % under load; little when few ask.",
            "percentunit",
            [
                Query(
                    f'sum by (kind) (rate({lookups}{{outcome="hit"}}{RATE}))'
                    f" / (sum by (kind) (rate({lookups}{RATE})) > 0){OR_ZERO}",
                    "{{kind}}",
                )
            ],
            most=1,
        ),
    ]
