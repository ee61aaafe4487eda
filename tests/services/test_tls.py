"""TLS of both services, as processes: to callers, between them, and while certificates are replaced."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from sarvanom.shared.clients.discovery import is_ready
from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.transport import Request
from sarvanom.shared.errors import SarvanOMError, ServiceUnavailable
from sarvanom.shared.tls import follow_client
from tests.harness.certificates import Authority, Pair
from tests.harness.identity import ADMIN_KEY, SigningTransport
from tests.harness.system import RunningProcess, free_port
from tests.services.commands import run
from tests.services.raw_http import parse

PATIENCE = 20.0
_HEADERS = f"Host: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer {ADMIN_KEY}\r\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    """Signs both services; gateways have one of their own."""
    return Authority(folder)


@pytest.fixture(scope="module")
def gateways(folder: Path) -> Authority:
    return Authority(folder, "gateways")


@pytest.fixture(scope="module")
def files(authority: Authority, gateways: Authority) -> dict[str, str]:
    """The settings of a system whose every connection is TLS."""
    gateway, crud, hop = authority.pair("gateway"), authority.pair("crud"), gateways.pair("hop", "gateway")
    return {
        "SARVANOM_TLS_CERTIFICATE": str(gateway.certificate),
        "SARVANOM_TLS_KEY": str(gateway.key),
        "SARVANOM_CRUD_TLS_CERTIFICATE": str(crud.certificate),
        "SARVANOM_CRUD_TLS_KEY": str(crud.key),
        "SARVANOM_CRUD_TLS_CLIENT_CA": str(gateways.file),
        "SARVANOM_CRUD_CA": str(authority.file),
        "SARVANOM_HOP_CERTIFICATE": str(hop.certificate),
        "SARVANOM_HOP_KEY": str(hop.key),
    }


@contextmanager
def started(process: RunningProcess, is_up: Callable[[], object]) -> Iterator[RunningProcess]:
    """Run a command until the end of the block, which begins when it is up."""
    try:
        process.launch()
        deadline = time.monotonic() + PATIENCE
        while not is_up():
            assert process.process is not None
            assert process.process.poll() is None, process.log.read_text()
            assert time.monotonic() < deadline, process.log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="module")
def secure(folder: Path, authority: Authority, files: dict[str, str]) -> Iterator[RunningProcess]:
    """`sarvanom up` with TLS everywhere."""
    process = RunningProcess(("up",), folder, settings=files)
    with started(process, lambda: status_of(process.gateway_port, authority.file, "/ready") == 200) as running:
        yield running


def status_of(port: int, ca: Path, target: str = "/health", pair: Pair | None = None) -> int | None:
    """Return the status of an answer over TLS, None if there is no connection."""
    try:
        return parse(ask(port, ca, target, pair)[0]).status
    except OSError:
        return None


def ask(port: int, ca: Path, target: str = "/health", pair: Pair | None = None) -> tuple[bytes, str]:
    """Return an answer over TLS, and the serial number of the certificate; raises `OSError`."""
    context = follow_client(ca, *((pair.certificate, pair.key) if pair else ())).current
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        certificate = connection.getpeercert()
        connection.sendall(f"GET {target} HTTP/1.1\r\n{_HEADERS}\r\n".encode())
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    if not received:
        raise ConnectionError("no answer")
    assert certificate is not None
    return received, str(certificate["serialNumber"])


async def test_a_whole_system_speaks_tls(secure: RunningProcess, authority: Authority) -> None:
    answer, _ = ask(secure.gateway_port, authority.file, "/users")
    assert parse(answer).status == 200
    assert parse(answer).headers["strict-transport-security"]
    detailed = parse(ask(secure.gateway_port, authority.file, "/health/detailed")[0])
    assert detailed.json()["status"] == "ok"
    async with asyncio.timeout(PATIENCE):
        await until(lambda: "SarvanOM is up" in secure.log.read_text())
    for port in (secure.gateway_port, secure.crud_port):
        assert f"https://127.0.0.1:{port}" in secure.log.read_text()


def test_top_reads_both_services_over_tls(secure: RunningProcess, authority: Authority, files: dict[str, str]) -> None:
    settings = {
        "SARVANOM_DATA_DIR": str(secure.data_dir),
        "SARVANOM_URL": f"https://127.0.0.1:{secure.gateway_port}",
        "SARVANOM_CRUD_URLS": f"https://127.0.0.1:{secure.crud_port}",
        "SSL_CERT_FILE": str(authority.file),
    }
    hop = {name: files[name] for name in ("SARVANOM_CRUD_CA", "SARVANOM_HOP_CERTIFICATE", "SARVANOM_HOP_KEY")}
    top = ["top", "--once", "--interval", "0.5"]
    ran = run(top, secure.data_dir, settings | hop)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "store     available · revision " in ran.stdout
    stranger = run(top, secure.data_dir, settings | {"SARVANOM_CRUD_CA": files["SARVANOM_CRUD_CA"]})
    assert (stranger.returncode, "crud at https://" in stranger.stdout) == (1, True)


def test_the_doctor_tells_what_is_not_trusted_from_what_is_not_there(
    secure: RunningProcess, authority: Authority, files: dict[str, str]
) -> None:
    settings = files | {
        "SARVANOM_DATA_DIR": str(secure.data_dir),
        "SARVANOM_GATEWAY_PORT": str(secure.gateway_port),
        "SARVANOM_CRUD_PORT": str(secure.crud_port),
    }
    well = run(["doctor"], secure.data_dir, settings | {"SSL_CERT_FILE": str(authority.file)})
    assert (well.returncode, well.stdout.splitlines()[-1]) == (0, "All is well."), well.stdout
    for service, port, lacking in (
        ("gateway", secure.gateway_port, {"SSL_CERT_FILE": ""}),
        (
            "crud",
            secure.crud_port,
            {"SSL_CERT_FILE": str(authority.file), "SARVANOM_CRUD_CA": files["SARVANOM_CRUD_TLS_CLIENT_CA"]},
        ),
    ):
        said = run(["doctor"], secure.data_dir, settings | lacking).stdout
        assert f"https://127.0.0.1:{port} takes connections, but there is no TLS with it that is trusted here" in said
        assert f"problem  {service}" in said


@pytest.mark.parametrize(("target", "status"), [("/health#x", 400), ("/" + "x" * 40_000, 414)])
def test_what_is_refused_is_refused_over_tls_too(
    secure: RunningProcess, authority: Authority, target: str, status: int
) -> None:
    assert status_of(secure.gateway_port, authority.file, target) == status


@pytest.mark.parametrize("port", ["gateway_port", "crud_port"])
def test_plain_http_is_not_answered(secure: RunningProcess, port: str) -> None:
    with socket.create_connection(("127.0.0.1", getattr(secure, port)), timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        try:
            received = connection.recv(65_536)
        except ConnectionResetError:
            received = b""
    assert b"HTTP/1.1" not in received


def test_only_gateways_may_call_crud(
    secure: RunningProcess, authority: Authority, gateways: Authority, tmp_path: Path
) -> None:
    gateway = Pair(gateways.file.with_name("hop.pem"), gateways.file.with_name("hop.key"))
    assert status_of(secure.crud_port, authority.file, pair=gateway) == 200
    strangers = [
        None,
        authority.pair("a-service", "gateway"),
        Authority(tmp_path).pair("self-made", "gateway"),
        gateways.pair("former", "gateway", age=timedelta(days=2)),
    ]
    for stranger in strangers:
        assert status_of(secure.crud_port, authority.file, pair=stranger) is None
    assert status_of(secure.crud_port, authority.file, pair=gateway) == 200


@pytest.mark.parametrize("fault", ["another authority", "another name", "expired", "no certificate of its own"])
def test_a_gateway_does_not_talk_to_a_crud_that_does_not_prove_itself(
    fault: str, authority: Authority, gateways: Authority, files: dict[str, str], tmp_path: Path
) -> None:
    """Each time one thing is wrong; the message names no name, which are the operator's business."""
    settings = dict(files)
    match fault:
        case "another authority":
            settings["SARVANOM_CRUD_CA"] = str(Authority(tmp_path).file)
        case "another name":
            pair = authority.pair("elsewhere", "elsewhere.example")
            settings |= _of_crud(pair)
        case "expired":
            settings |= _of_crud(authority.pair("expired", age=timedelta(days=3)))
        case _:
            del settings["SARVANOM_HOP_CERTIFICATE"], settings["SARVANOM_HOP_KEY"]
    process = RunningProcess(("up",), tmp_path, settings=settings)
    with started(process, lambda: status_of(process.gateway_port, authority.file) == 200):
        answer = parse(ask(process.gateway_port, authority.file, "/users")[0])
        assert answer.status in (502, 503)
        assert answer.json()["code"] in ("upstream_failed", "service_unavailable")
        assert "elsewhere" not in answer.body.decode()
        assert status_of(process.gateway_port, authority.file, "/ready") == 503
    if fault != "no certificate of its own":
        assert any("no TLS with 127.0.0.1" in line for line in process.log.read_text().splitlines())


def _of_crud(pair: Pair) -> dict[str, str]:
    return {"SARVANOM_CRUD_TLS_CERTIFICATE": str(pair.certificate), "SARVANOM_CRUD_TLS_KEY": str(pair.key)}


class Load:
    """Requests on new connections, and on one that stays open; which certificates were seen, in their order."""

    def __init__(self, port: int, ca: Path) -> None:
        self._port = port
        self._ca = ca
        self.serials: list[str] = []
        self.answers = 0
        self.is_over = False

    async def come_and_go(self) -> None:
        while not self.is_over:
            received, serial = await asyncio.to_thread(ask, self._port, self._ca)
            assert parse(received).status == 200
            self.answers += 1
            if serial not in self.serials:
                self.serials.append(serial)

    async def stay(self) -> None:
        transport = KeepAliveTransport(f"https://127.0.0.1:{self._port}", tls=follow_client(self._ca))
        while not self.is_over:
            assert (await transport.send(Request("GET", b"/health"))).status == 200
            await asyncio.sleep(0.01)
        await transport.aclose()


async def test_certificates_are_replaced_under_load_and_a_broken_one_is_not_taken(
    authority: Authority, tmp_path: Path
) -> None:
    pair = authority.pair("replaced")
    settings = {"SARVANOM_TLS_CERTIFICATE": str(pair.certificate), "SARVANOM_TLS_KEY": str(pair.key)}
    process = RunningProcess(("gateway",), tmp_path, settings=settings)
    load = Load(process.gateway_port, authority.file)
    with started(process, lambda: status_of(process.gateway_port, authority.file) == 200):
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for work in (load.come_and_go, load.come_and_go, load.stay):
                tasks.create_task(work())
            await until(lambda: load.answers > 10)
            pair.replace(authority.sign())
            hang_up(process)
            await until(lambda: len(load.serials) == 2)
            pair.replace(authority.sign())
            await until(lambda: len(load.serials) == 3)
            pair.certificate.write_bytes(b"broken")
            hang_up(process)
            await until(lambda: "certificate not loaded" in process.log.read_text())
            seen = load.answers
            await until(lambda: load.answers > seen + 10)
            load.is_over = True
    assert len(load.serials) == 3
    assert "Traceback" not in process.log.read_text()


async def test_hang_up_reaches_the_services_through_their_parent(
    secure: RunningProcess, authority: Authority, gateways: Authority
) -> None:
    """crud, the gateway's hop and the gateway take theirs all at once; services without certificates live on."""
    folder = authority.file.parent
    _, before = ask(secure.gateway_port, authority.file)
    for name, signer, names in (("gateway", authority, ()), ("crud", authority, ()), ("hop", gateways, ("gateway",))):
        Pair(folder / f"{name}.pem", folder / f"{name}.key").replace(signer.sign(*names))
    hang_up(secure)
    async with asyncio.timeout(20):
        await until(lambda: ask(secure.gateway_port, authority.file)[1] != before)
        await until(lambda: secure.log.read_text().count("certificate loaded") >= 3)
    assert status_of(secure.gateway_port, authority.file, "/users") == 200


async def test_the_hop_speaks_tls_as_it_speaks_without(
    secure: RunningProcess, authority: Authority, gateways: Authority
) -> None:
    """Requests, streams both ways and probes, from the client's side."""
    folder = authority.file.parent
    tls = follow_client(authority.file, folder / "hop.pem", folder / "hop.key")
    url = f"https://127.0.0.1:{secure.crud_port}"
    assert await is_ready(url, tls=tls)

    async def lines() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b'{"key": "tls-%d", "value": "%b"}\n' % (number, b"x" * 10_000)

    transport = SigningTransport(KeepAliveTransport(url, tls=tls))
    try:
        headers = [(b"content-type", b"application/x-ndjson")]
        async with transport.stream(Request("POST", b"/cache?on_conflict=replace", headers), lines()) as answer:
            results = b"".join([chunk async for chunk in answer.chunks])
        assert results.count(b'"created"') == 100
        listed = await transport.send(Request("GET", b"/cache?limit=1000"))
        assert listed.body.count(b'"tls-') == 100
    finally:
        await transport.aclose()
    for wrong in (
        KeepAliveTransport(url, tls=tls, server_name="crud.example.org"),
        KeepAliveTransport(url, tls=follow_client(gateways.file)),
    ):
        with pytest.raises(ServiceUnavailable, match="does not prove what it is"):
            await wrong.send(Request("GET", b"/health"))
        with pytest.raises(ServiceUnavailable, match="does not prove what it is"):
            async with wrong.stream(Request("GET", b"/health")):
                pass
        await wrong.aclose()
    with pytest.raises(SarvanOMError):
        await is_ready(url, tls=follow_client(authority.file))


async def until(condition: Callable[[], object]) -> None:
    while not await asyncio.to_thread(condition):  # noqa: ASYNC110 (a process sets no event)
        await asyncio.sleep(0.02)


def hang_up(process: RunningProcess) -> None:
    assert process.process is not None
    process.process.send_signal(signal.SIGHUP)


@pytest.mark.parametrize(
    ("command", "settings", "said"),
    [
        ("gateway", {"SARVANOM_TLS_CERTIFICATE": "a.pem"}, "SARVANOM_TLS_CERTIFICATE and SARVANOM_TLS_KEY need each"),
        ("crud", {"SARVANOM_CRUD_TLS_CLIENT_CA": "a.pem"}, "needs SARVANOM_CRUD_TLS_CERTIFICATE"),
        (
            "gateway",
            {"SARVANOM_TLS_CERTIFICATE": "a.pem", "SARVANOM_TLS_KEY": "a.key"},
            "gateway cannot start: The certificate a.pem with the key a.key cannot be used: No such file",
        ),
        ("gateway", {"SARVANOM_CRUD_CA": "a.pem"}, "The certificates of a.pem cannot be used: No such file"),
    ],
)
def test_files_that_are_not_there_are_named_at_the_start(
    command: str, settings: dict[str, str], said: str, tmp_path: Path
) -> None:
    process = RunningProcess((command,), tmp_path, settings=settings)
    process.launch()
    assert process.process is not None
    assert process.process.wait(PATIENCE) != 0
    assert said in process.log.read_text()


def test_plain_urls_of_crud_are_refused_where_it_must_prove_itself(authority: Authority, tmp_path: Path) -> None:
    settings = {"SARVANOM_CRUD_CA": str(authority.file), "SARVANOM_CRUD_URLS": f"http://127.0.0.1:{free_port()}"}
    process = RunningProcess(("gateway",), tmp_path, settings=settings)
    process.launch()
    assert process.process is not None
    assert process.process.wait(PATIENCE) != 0
    assert "is no URL of the form https://host:port" in process.log.read_text()
