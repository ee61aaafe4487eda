"""The dashboard of watches and events: who follows the changes, and how closely."""

from deploy.observability.dashboards.panels import CRUD, GATEWAY, OR_ZERO, RATE, Board, Query, graph


def watches_board() -> Board:
    """Return the dashboard of watches and events."""
    board = Board("watches", "watch and events", "Changes as they happen, and who follows them.")
    board.row(
        "Changes",
        graph(
            "Revisions",
            "Changes a second. Normal: as many as there are writes, but for those of the cache, which has none.",
            "cps",
            [Query(f"max(rate(sarvanom_store_revision{RATE}))", "revisions")],
        ),
        graph(
            "Watches",
            "Watches that are open, by crud. Normal: one for each reader; a fall to 0 and a rise is a restart.",
            "short",
            [Query("sum by (instance) (sarvanom_watch_subscribers)", "{{instance}}")],
            is_stacked=True,
        ),
        graph(
            "Lag",
            "How many revisions the slowest watch is behind, by worker of crud. Normal: 0; for a moment more during "
            "an import, or while somebody reads the log from its beginning.",
            "short",
            [Query("sarvanom_watch_lag_revisions", "{{instance}} {{worker}}")],
        ),
    )
    return board.row(
        "Streams",
        graph(
            "Begun and refused",
            "Watches, imports and exports, as the limits decided. Normal: admitted. Many begun with few open: readers "
            "break off and come again.",
            "cps",
            [
                Query(
                    f'sum by (decision) (rate(sarvanom_limit_decisions_total{{route_class="bulk"}}{RATE})){OR_ZERO}',
                    "{{decision}}",
                )
            ],
        ),
        graph(
            "Under way",
            "Requests that are served now, watches among them. Normal: the watches, and a few.",
            "short",
            [Query("sum by (job) (sarvanom_http_requests_in_progress)", "{{job}}")],
        ),
        graph(
            "Broken off",
            "Answers that were not sent to their end: a reader went away, or was too slow and cut off. Normal: each "
            "watch ends so; more at crud than at the gateway means that the hop breaks.",
            "cps",
            [
                Query(f"sum(rate(sarvanom_http_requests_aborted_total{{{GATEWAY}}}{RATE}))", "gateway"),
                Query(f"sum(rate(sarvanom_http_requests_aborted_total{{{CRUD}}}{RATE}))", "crud"),
            ],
        ),
        graph(
            "Sent",
            "Bytes of bodies that the gateways have sent, counted at the end of an answer. Normal: what callers read.",
            "Bps",
            [Query(f"sum(rate(sarvanom_http_response_body_bytes_total{{{GATEWAY}}}{RATE}))", "sent")],
        ),
    )
