"""What is to be seen of the services: who is there, ready, of which version, and with which clock."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Final

from sarvanom.cli.doctor.asking import Greeting, Reported, State, skew_of
from sarvanom.cli.doctor.findings import Finding, ok, problem, skipped, unknown
from sarvanom.shared.errors import SarvanOMError
from sarvanom.web.health_models import Readiness

MOST_SKEW: Final = 2.0
"""Seconds; clocks that are kept by NTP differ by milliseconds. At 60 s crud refuses what a gateway states."""
NO_GATEWAY: Final = "there is no gateway to ask"
NO_SERVICE: Final = "there is no service to ask"
_STARTS: Final = {"gateway": "`sarvanom up`, or `sarvanom gateway`", "crud": "`sarvanom up`, or `sarvanom crud`"}
_ADDRESSES: Final = {
    "gateway": "SARVANOM_GATEWAY_PORT, or SARVANOM_URL if the gateway is elsewhere",
    "crud": "SARVANOM_CRUD_PORT, or SARVANOM_CRUD_URLS if crud is elsewhere",
}

_AUTHORITIES: Final = {
    "gateway": "SSL_CERT_FILE in the environment",
    "crud": "SARVANOM_CRUD_CA; and what it is asked with, SARVANOM_HOP_CERTIFICATE and SARVANOM_HOP_KEY",
}


def check_port(greeting: Greeting) -> Finding:
    """Tell whether something listens, and whether it is ours."""
    service, url = greeting.service, greeting.url
    match greeting.state:
        case State.OURS:
            return ok(service, f"answers at {url}")
        case State.ABSENT:
            found = f"is not running: nothing answers at {url} ({greeting.error})"
            return problem(
                service, found, f"start it with {_STARTS[service]}; is the address right? {_ADDRESSES[service]}"
            )
        case State.UNPROVEN:
            found = f"{url} takes connections, but there is no TLS with it that is trusted here ({greeting.error})"
            return problem(service, found, f"name the authority of its certificate: {_AUTHORITIES[service]}")
        case State.SILENT:
            advice = (
                "look at its log and at what it waits for; if it is stopped, `kill -CONT` its process, else restart it"
            )
            return problem(service, f"hangs: {url} takes connections and does not answer", advice)
        case State.OTHER:
            found = f"{url} is answered by something else ({greeting.error})"
            return problem(service, found, f"stop that, or set {_ADDRESSES[service]}")


def check_readiness(found: Readiness | SarvanOMError | None) -> Finding:
    """Tell whether the gateway can do its work, and what keeps it from that; None if there is no gateway."""
    if found is None:
        return skipped("readiness", NO_GATEWAY)
    if isinstance(found, SarvanOMError):
        return unknown("readiness", f"the gateway does not say: {found.detail}", "look at the gateway's log")
    wrong = [f"{check.name}: {check.error}" for check in found.checks if not check.ok]
    if not wrong:
        return ok("readiness", f"the gateway is ready, with {', '.join(one.name for one in found.checks)}")
    state = "is ready, but" if found.status == "ready" else "is not ready:"
    advice = "see that what is named runs and can be reached; the log of the service that needs it says more"
    return problem("readiness", f"the gateway {state} {'; '.join(wrong)}", advice)


def check_versions(greetings: Sequence[Greeting], reported: Reported) -> Finding:
    """Tell whether gateway, crud and this command are of one version."""
    found = {f"{one.service} at {one.url}": one.version for one in greetings if one.state is State.OURS}
    if reported.report is not None:
        found |= {f"crud at {one.url}": one.report.version for one in reported.report.instances if one.report}
    own = version("sarvanom")
    if not found:
        return skipped("versions", NO_SERVICE)
    other = {name: its for name, its in found.items() if its != own}
    if not other:
        return ok("versions", f"all are {own}")
    said = ", ".join(f"{name} is {its}" for name, its in other.items())
    return problem(
        "versions", f"this command is {own}, but {said}", "install one version everywhere, and restart what is older"
    )


def check_workers(greetings: Sequence[Greeting]) -> Finding:
    """Tell whether all workers of the services that tell of them answer one another."""
    known = [(one, one.workers) for one in greetings if one.workers is not None]
    if not known:
        return skipped("workers", "nobody tells of them: there is no service, or no token for its metrics")
    wrong = [
        f"{workers.silent} of {workers.there + workers.silent} of {one.service} at {one.url}"
        for one, workers in known
        if workers.silent
    ]
    if not wrong:
        return ok("workers", ", ".join(f"{workers.there} of {one.service}" for one, workers in known))
    advice = "find who hangs by `ps -ef | grep 'sarvanom.*--worker'`, and `kill` it: it is started anew"
    return problem("workers", f"{', '.join(wrong)} did not answer the others within a second", advice)


def check_clocks(greetings: Sequence[Greeting], reported: Reported) -> Finding:
    """Tell whether the services' clocks agree with this machine's."""
    skews = dict(_skews(greetings, reported))
    if not skews:
        return skipped("clocks", NO_SERVICE)
    wrong = {name: skew for name, skew in skews.items() if abs(skew) > MOST_SKEW}
    if not wrong:
        return ok("clocks", f"within {MOST_SKEW:g} s of this machine's")
    said = ", ".join(
        f"that of {name} is {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}" for name, skew in wrong.items()
    )
    advice = "keep all clocks by NTP (`timedatectl set-ntp true`): from 60 s on crud refuses what a gateway states"
    return problem("clocks", said, advice)


def _skews(greetings: Sequence[Greeting], reported: Reported) -> Iterator[tuple[str, float]]:
    yield from ((f"{one.service} at {one.url}", one.skew) for one in greetings if one.state is State.OURS)
    report, _, asked, answered = reported
    if report is not None:
        gateways = [one.url for one in greetings if one.service == "gateway"]
        yield f"gateway at {gateways[0]}", skew_of(report.time, asked, answered)
        for one in report.instances:
            if one.report is not None:
                yield f"crud at {one.url}", skew_of(one.report.time, asked, answered)


def check_report(reported: Reported, key: str) -> Finding:
    """Tell whether an administrator's report could be read, on which other checks rest."""
    if reported.report is not None:
        report = reported.report
        return ok(
            "report", f"the gateway has run for {report.uptime_seconds:,.0f} s, and knows {len(report.instances)} crud"
        )
    error = reported.error
    if error is None:
        return skipped("report", NO_GATEWAY)
    if error.status in (401, 403):
        return unknown("report", f"{error.detail} ({key})", "set SARVANOM_API_KEY to an administrator's key")
    return unknown(
        "report", f"the gateway gives none: {error.detail}", "see what the checks above say, then run this again"
    )
