"""What all dashboards are made of: panels over a Prometheus that a variable names."""

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Final, NamedTuple

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)

GATEWAY: Final = 'job="sarvanom-gateway"'
CRUD: Final = 'job="sarvanom-crud"'
BOTH: Final = 'job=~"sarvanom-gateway|sarvanom-crud"'
RATE: Final = "[$__rate_interval]"
OR_ZERO: Final = " or on() vector(0)"
"""After an expression over series that are not there until something happens: 0 as long as there are none."""

TAG: Final = "sarvanom"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_WIDTH: Final = 24


class Query(NamedTuple):
    """An expression, and what its series are called: `{{label}}` stands for a label's value."""

    expr: str
    legend: str
    has_exemplars: bool = False


class Limits(NamedTuple):
    """From where on a value is yellow, and red; if `is_floor`, below where."""

    yellow: float
    red: float
    is_floor: bool = False


def quantiles(metric: str, labels: str = "", by: str = "", *, exemplars: bool = False) -> list[Query]:
    """Return queries for the median and the 99th percentile of a histogram, of each `by` if that is given."""
    grouped, prefix = (f"{by}, le", f"{{{{{by}}}}} ") if by else ("le", "")
    spread = f"sum by ({grouped}) (rate({metric}_bucket{{{labels}}}{RATE}))"
    return [
        Query(f"histogram_quantile({quantile}, {spread})", prefix + name, exemplars)
        for quantile, name in ((0.5, "p50"), (0.99, "p99"))
    ]


def graph(
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    *,
    span: int = 8,
    is_stacked: bool = False,
    most: float | None = None,
) -> timeseries.Panel:
    """Return a panel of lines over time; `description` says what is normal, `most` is the top of the axis."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .span(span)
        .height(8)
        .line_width(1)
        .fill_opacity(30 if is_stacked else 8)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if is_stacked:
        panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if most is not None:
        panel.max(most)
    for position, query in enumerate(queries):
        panel.with_target(_target(query, ascii_uppercase[position]).range())
    return panel


def number(title: str, description: str, unit: str, query: Query, limits: Limits | None = None) -> stat.Panel:
    """Return a panel of one number as it is now."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .span(4)
        .height(4)
        .graph_mode(BigValueGraphMode.AREA)
        .color_mode(BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_target(query, "A").range())
    )
    steps = [Threshold(value=None, color="green")]
    if limits is not None and limits.is_floor:
        steps = [
            Threshold(value=None, color="red"),
            Threshold(value=limits.red, color="yellow"),
            Threshold(value=limits.yellow, color="green"),
        ]
    elif limits is not None:
        steps += [Threshold(value=limits.yellow, color="yellow"), Threshold(value=limits.red, color="red")]
    return panel.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))


def _target(query: Query, name: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .ref_id(name)
        .datasource(SOURCE)
        .expr(query.expr)
        .legend_format(query.legend)
        .exemplar(query.has_exemplars)
    )


type Panel = timeseries.Panel | stat.Panel


class Board:
    """A dashboard in the making: panels are numbered and laid out as they come."""

    def __init__(self, name: str, title: str, description: str) -> None:
        self._number = 0
        self._builder = (
            dashboard.Dashboard(f"SarvanOM: {title}")
            .uid(f"{TAG}-{name}")
            .description(description)
            .tags([TAG])
            .timezone("browser")
            .time("now-3h", "now")
            .refresh("30s")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
            .link(
                dashboard.DashboardLink("SarvanOM")
                .type(DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .as_dropdown(as_dropdown=True)
                .keep_time(keep_time=True)
                .include_vars(include_vars=True)
            )
        )

    def row(self, title: str, *panels: Panel) -> "Board":
        """Add a row of panels under a title."""
        self._builder.with_row(dashboard.Row(title).id(self._next()))
        for panel in panels:
            self._builder.with_panel(panel.id(self._next()))
        return self

    def build(self) -> object:
        """Return the dashboard, for `JSONEncoder`."""
        return self._builder.build()

    def _next(self) -> int:
        self._number += 1
        return self._number
