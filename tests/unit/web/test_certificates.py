"""Certificates that are replaced while the service runs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from sarvanom.shared.tls import follow_server
from sarvanom.web.certificates import CertificateWatch
from tests.harness.certificates import Authority


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as logged:
        yield logged


async def test_it_looks_until_it_is_stopped(tmp_path: Path, lines: list[Any]) -> None:
    authority = Authority(tmp_path)
    pair = authority.pair("server")
    followed = follow_server(pair.certificate, pair.key)
    first = followed.current
    watch = CertificateWatch([followed], seconds=0.001)
    watch.start()
    pair.replace(authority.sign())
    async with asyncio.timeout(5):
        while followed.current is first or lines[-1]["event"] != "certificate loaded":  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    watch.stop()
    pair.certificate.write_bytes(b"broken")
    await asyncio.sleep(0.01)
    assert lines[-1]["event"] == "certificate loaded"
    watch.refresh()
    assert (lines[-1]["event"], lines[-1]["log_level"]) == (
        "certificate not loaded; the one before stays in use",
        "error",
    )
    assert str(pair.certificate) in lines[-1]["reason"]


async def test_it_has_nothing_to_do_without_certificates(lines: list[Any]) -> None:
    watch = CertificateWatch([])
    watch.start()
    watch.refresh(always=True)
    watch.stop()
    assert lines == []


def test_it_loads_what_has_not_changed_only_if_it_is_told_to(tmp_path: Path, lines: list[Any]) -> None:
    pair = Authority(tmp_path).pair("server")
    watch = CertificateWatch([follow_server(pair.certificate, pair.key)])
    watch.refresh()
    assert lines == []
    watch.refresh(always=True)
    assert [line["event"] for line in lines] == ["certificate loaded"]
