"""Sends what a fuzzer drafts to a running service, and judges what comes back."""

import re
from collections import Counter
from dataclasses import dataclass, field

from tests.harness.identity import prove
from tests.harness.system import RunningProcess
from tests.services.raw_http import exchange

QUIET_SECONDS = 0.1
_status = re.compile(rb"HTTP/1\.1 ([0-9]{3}) [^\r\n]*\r\n")


@dataclass
class Judge:
    """What the services answered, and whether they may."""

    system: RunningProcess
    statuses: Counter[int] = field(default_factory=Counter)

    def send(self, sent: bytes) -> None:
        """Send the bytes to gateway and crud; raises `AssertionError` for a 5xx, or more answers than heads."""
        sent = prove(sent)
        for port in (self.system.gateway_port, self.system.crud_port):
            received = exchange(port, sent, quiet=QUIET_SECONDS)
            statuses = [int(match) for match in _status.findall(received)]
            self.statuses.update(statuses or [0])
            final = [status for status in statuses if status >= 200]
            assert all(status < 500 for status in final), (sent, received)
            assert len(final) <= 1 + sent.count(b"\n\r\n") + sent.count(b"\n\n"), (sent, received)

    def check_log(self) -> None:
        """See that nothing went wrong unseen; raises `AssertionError`."""
        log = self.system.log.read_text()
        assert "unhandled exception" not in log, log[-5000:]
        assert "Traceback" not in log, log[-5000:]
