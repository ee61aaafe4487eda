"""The dashboard of the store: the database, its commits, the connections to it, and the cache that is kept in it."""

from deploy.observability.dashboards.panels import OR_ZERO, RATE, Board, Panel, Query, graph, quantiles


def store_board() -> Board:
    """Return the dashboard of the store."""
    board = Board("store", "store", "The database as crud sees it: whether it answers, what it commits, who waits.")
    board.row("Commits", *_commits())
    board.row("Connections to PostgreSQL", *_pool())
    return board.row("Cache", *_cache())


def _commits() -> list[Panel]:
    commits = "sarvanom_store_commit_duration_seconds"
    failed = f'sum(rate({commits}_count{{outcome="failed"}}{RATE}))'
    return [
        graph(
            "Available",
            "1 if the database answered the worker, looked at every five seconds. Normal: 1 for all. 0 for some: "
            "look at those; 0 for all: at the database.",
            "short",
            [Query("sarvanom_store_available", "{{instance}} {{worker}}")],
            most=1,
        ),
        graph(
            "Writes",
            "Writes, and the transactions that they shared. Normal: fewer transactions when much is written.",
            "wps",
            [
                Query(f"sum(rate(sarvanom_store_commit_writes_sum{RATE}))", "writes"),
                Query(f"sum(rate(sarvanom_store_commit_writes_count{RATE}))", "transactions"),
            ],
        ),
        graph(
            "Duration of commits",
            "How long a transaction took, its fsync included. Normal: what your disk needs, 1 to 10 ms, and steady. If "
            "it rises while writes do not, the disk or the database is busy with something else.",
            "s",
            quantiles(commits),
        ),
        graph(
            "Failed commits",
            "The share of transactions that failed. Normal: none. With the database available: a full disk, a database "
            "that only reads.",
            "percentunit",
            [
                Query(
                    f"(({failed}){OR_ZERO}) / (sum(rate({commits}_count{RATE})) > 0){OR_ZERO}",
                    "failed",
                )
            ],
        ),
        graph(
            "Writes in a transaction",
            "How many shared one, on average. Normal: 1 when little is written, up to 256 when very much is.",
            "short",
            [
                Query(
                    f"sum(rate(sarvanom_store_commit_writes_sum{RATE}))"
                    f" / (sum(rate(sarvanom_store_commit_writes_count{RATE})) > 0){OR_ZERO}",
                    "writes",
                )
            ],
        ),
        graph(
            "Revision",
            "The newest revision, and the one up to which the log is compacted. Normal: the first rises with writes "
            "and never falls; the second stays 0 unless a retention is set.",
            "none",
            [
                Query("max(sarvanom_store_revision)", "newest"),
                Query("max(sarvanom_store_revision_floor)", "compacted up to"),
            ],
        ),
    ]


def _pool() -> list[Panel]:
    return [
        graph(
            "Connections for reads",
            "In use, idle, and how many there may be. Normal: in use well below the size. Empty on SQLite.",
            "short",
            [
                Query("sum by (state) (sarvanom_db_pool_connections)", "{{state}}"),
                Query("sum(sarvanom_db_pool_size)", "size"),
            ],
        ),
        graph(
            "Reads that wait",
            "For a connection: at the moment of the scrape, and on average. Normal: 0.",
            "short",
            [
                Query("sum(sarvanom_db_pool_waiting)", "now"),
                Query(f"sum(rate(sarvanom_db_pool_wait_seconds_sum{RATE})){OR_ZERO}", "on average"),
            ],
        ),
        graph(
            "How waiting ended",
            "Reads that had to wait, by whether they got a connection. Normal: few served, no timeout, which is a 503.",
            "rps",
            [
                Query(
                    f"sum by (outcome) (rate(sarvanom_db_pool_wait_seconds_count{RATE})){OR_ZERO}",
                    "{{outcome}}",
                )
            ],
        ),
    ]


def _cache() -> list[Panel]:
    lookups = "sarvanom_cache_lookups_total"
    return [
        graph(
            "Lookups",
            "Reads of /cache by key. Normal: what your application does.",
            "rps",
            [Query(f"sum by (outcome) (rate({lookups}{RATE})){OR_ZERO}", "{{outcome}}")],
            is_stacked=True,
        ),
        graph(
            "Hits",
            "The share of lookups that found something. Normal: steady; it falls when keys change, entries expire too "
            "soon, or a tag is invalidated.",
            "percentunit",
            [
                Query(
                    f'(sum(rate({lookups}{{outcome="hit"}}{RATE})){OR_ZERO})'
                    f" / (sum(rate({lookups}{RATE})) > 0){OR_ZERO}",
                    "hits",
                )
            ],
            most=1,
        ),
        graph(
            "Size",
            "Bytes of the entries that are not expired, counted every 30 seconds. Normal: levels off when entries "
            "expire as fast as they come.",
            "bytes",
            [Query("max(sarvanom_cache_bytes)", "bytes")],
        ),
        graph(
            "Entries",
            "Entries that are not expired. Normal: as their size.",
            "short",
            [Query("max(sarvanom_cache_entries)", "entries")],
        ),
    ]
