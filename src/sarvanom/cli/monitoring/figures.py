"""Numbers as people read them; what is not known is a dash."""

from typing import Final

from sarvanom.cli.monitoring.rates import Estimate

UNKNOWN: Final = "–"  # noqa: RUF001 (a dash, as it is printed)


def per_second(rate: float | None) -> str:
    """Return a rate; one that is not nothing never looks like it."""
    if rate is None:
        return UNKNOWN
    if 0 < rate < 0.05:
        return "<0.1"
    return f"{rate:.1f}" if rate < 9.95 else f"{rate:,.0f}"


def percent(share: float | None) -> str:
    """Return a share of 1; one that is not nothing never looks like it."""
    if share is None:
        return UNKNOWN
    if 0 < share < 0.0005:
        return "<.1 %"
    return f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def seconds(estimate: Estimate | None) -> str:
    """Return a time."""
    if estimate is None:
        return UNKNOWN
    value = estimate.value
    if value < 0.00095:
        text = f"{value * 1e6:.0f} µs"
    elif value < 0.00995:
        text = f"{value * 1e3:.1f} ms"
    elif value < 0.9995:
        text = f"{value * 1e3:.0f} ms"
    else:
        text = f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s"
    return f">{text}" if estimate.is_beyond else text


def size(count: float | None) -> str:
    """Return a number of bytes."""
    if count is None:
        return UNKNOWN
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        count /= 1024
        if count < 999.5 or unit == "GiB":
            break
    return f"{count:.1f} {unit}" if count < 9.95 else f"{count:,.0f} {unit}"


def whole(count: float | None) -> str:
    """Return a number of things."""
    return UNKNOWN if count is None else f"{count:,.0f}"


def counted(count: float, one: str, many: str) -> str:
    """Return a number of things with their name."""
    return f"{count:,.0f} {one if count == 1 else many}"
