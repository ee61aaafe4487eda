"""Numbers as people read them."""

import pytest

from sarvanom.cli.monitoring import figures
from sarvanom.cli.monitoring.rates import Estimate


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, "–"),  # noqa: RUF001 (the dash that is printed)
        (0, "0.0"),
        (0.0001, "<0.1"),
        (0.05, "0.1"),
        (9.94, "9.9"),
        (9.96, "10"),
        (1234.5, "1,234"),
    ],
)
def test_rates(rate: float | None, text: str) -> None:
    assert figures.per_second(rate) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (0, "0.0 %"), (1e-9, "<.1 %"), (0.0005, "0.1 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (1, "100 %")],  # noqa: RUF001 (the dash that is printed)
)
def test_shares(share: float | None, text: str) -> None:
    assert figures.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 µs"),
        (0.000_25, "250 µs"),
        (0.000_949, "949 µs"),
        (0.000_951, "1.0 ms"),
        (0.009_94, "9.9 ms"),
        (0.009_96, "10 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
    ],
)
def test_times(value: float, text: str) -> None:
    assert figures.seconds(Estimate(value)) == text
    assert figures.seconds(Estimate(value, is_beyond=True)) == f">{text}"
    assert figures.seconds(None) == figures.UNKNOWN


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 KiB"),
        (999 * 1024, "999 KiB"),
        (1023 * 1024, "1.0 MiB"),
        (221.4 * 2**20, "221 MiB"),
        (12.3 * 2**30, "12 GiB"),
        (5000 * 2**30, "5,000 GiB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert figures.size(count) == text
    assert figures.size(None) == figures.UNKNOWN


def test_things_are_counted_in_words() -> None:
    assert figures.counted(1, "watcher", "watchers") == "1 watcher"
    assert figures.counted(0, "watcher", "watchers") == "0 watchers"
    assert figures.counted(12_345, "watcher", "watchers") == "12,345 watchers"
    assert (figures.whole(12_345.0), figures.whole(None)) == ("12,345", figures.UNKNOWN)
