"""What is told when crud does not know the gateway."""

from pathlib import Path

from structlog.testing import capture_logs

from sarvanom.services.gateway.recognition import Recognition
from tests.contracts.limits.clock import Clock


def test_it_is_logged_once_a_minute_however_many_ask(tmp_path: Path) -> None:
    clock = Clock()
    recognition = Recognition(None, tmp_path, clock=clock)
    with capture_logs() as logged:
        for _ in range(100):
            recognition.refused("why")
        assert len(logged) == 1
        clock.go(61)
        recognition.refused("why")
    assert [line["secret_from"] for line in logged] == [str(tmp_path / "internal-secret")] * 2


def test_the_error_names_where_the_secret_is_from_and_no_path(tmp_path: Path) -> None:
    assert "SARVANOM_INTERNAL_SECRET" in Recognition("given" * 8, tmp_path).refused("why").detail
    told = Recognition(None, tmp_path).refused("why").detail
    assert "file internal-secret" in told
    assert str(tmp_path) not in told
