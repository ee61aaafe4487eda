"""Invariant 5: a revoked key or token is refused everywhere within one lease."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest

from tests.harness.identity import ADMIN_HEADERS
from tests.harness.system import RunningProcess, running_system
from tests.services.answers import data_of
from tests.services.duplex import duplex
from tests.services.edge_gateways import running_gateway
from tests.services.event_streams import open_stream
from tests.services.keys import Key, make_key

LEASE = 1.0
SLACK = 0.5
"""What a request itself may take on a busy machine."""


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RunningProcess]]:
    """Two gateways in front of one crud."""
    settings = {"SARVANOM_LEASE_SECONDS": str(LEASE), "SARVANOM_PUBLIC_URL": "https://api.example.org"}
    with ExitStack() as stack:
        first = stack.enter_context(running_system(tmp_path_factory.mktemp("first"), **settings))
        folder = tmp_path_factory.mktemp("second")
        second = stack.enter_context(running_gateway(folder, first.crud_port, **settings))
        yield [first, second]


async def last_success(url: str, headers: dict[str, str], until: float) -> float:
    """Ask again and again; return when the last request began that was let in."""
    last = 0.0
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=20) as client:
        while (began := time.monotonic()) < until:
            answer = await client.get("/users?limit=1")
            assert answer.status_code in (200, 401)
            if answer.status_code == 200:
                last = began
            await asyncio.sleep(0.005)
    return last


@pytest.mark.parametrize("ending", ["revoke", "rotate", "narrow", "expire"])
async def test_key_ends_at_all_gateways_within_one_lease(gateways: list[RunningProcess], ending: str) -> None:
    administrator = httpx2.Client(base_url=gateways[0].gateway_url, headers=ADMIN_HEADERS)
    with administrator:
        key = make_key(administrator, roles=["viewer"])
        headers = {"Authorization": f"Bearer {key['key']}"}
        for gateway in gateways:
            assert httpx2.get(f"{gateway.gateway_url}/users?limit=1", headers=headers).status_code == 200
        until = time.monotonic() + 3 * LEASE
        if ending == "narrow":
            await check_narrowed(administrator, gateways, key["key_id"], headers)
            return
        asking = [asyncio.create_task(last_success(one.gateway_url, headers, until)) for one in gateways]
        await asyncio.sleep(LEASE / 3)
        path = f"/keys/{key['key_id']}"
        match ending:
            case "revoke":
                answer = await asyncio.to_thread(administrator.delete, path)
            case "rotate":
                answer = await asyncio.to_thread(administrator.post, f"{path}/rotate", json={"overlap_seconds": 0})
            case _:
                past = {"expires_at": "2020-01-01T00:00:00Z"}
                answer = await asyncio.to_thread(administrator.patch, path, json=past)
        ended = time.monotonic()
        assert answer.is_success
        for last in await asyncio.gather(*asking):
            assert 0 < last <= ended + LEASE + SLACK
        for gateway in gateways:
            assert httpx2.get(f"{gateway.gateway_url}/users?limit=1", headers=headers).status_code == 401


@pytest.mark.parametrize("ending", ["revoke", "change", "delete", "reuse"])
async def test_login_ends_at_all_gateways_within_one_lease(gateways: list[RunningProcess], ending: str) -> None:
    account = {"account_id": f"ada-{ending}", "password": "Zwölf Boxkämpfer jagen", "roles": ["viewer"]}
    url = gateways[0].gateway_url
    with httpx2.Client(base_url=url, headers=ADMIN_HEADERS) as administrator:
        assert administrator.post("/accounts", json=account).status_code == 201
        form = {"grant_type": "password", "username": account["account_id"], "password": account["password"]}
        login = httpx2.post(f"{url}/auth/token", data=form).json()
        refresh = {"grant_type": "refresh_token", "refresh_token": login["refresh_token"]}
        for _ in range(2):  # so that the first token, used a third time, is used again
            refresh["refresh_token"] = httpx2.post(f"{url}/auth/token", data=refresh).json()["refresh_token"]
        headers = {"Authorization": f"Bearer {login['access_token']}"}
        until = time.monotonic() + 3 * LEASE
        asking = [asyncio.create_task(last_success(one.gateway_url, headers, until)) for one in gateways]
        await asyncio.sleep(LEASE / 3)
        match ending:
            case "revoke":
                form = {"token": refresh["refresh_token"]}
                answer = await asyncio.to_thread(httpx2.post, f"{url}/auth/revoke", data=form)
            case "change":
                answer = await asyncio.to_thread(administrator.patch, f"/accounts/{account['account_id']}", json={})
            case "delete":
                answer = await asyncio.to_thread(administrator.delete, f"/accounts/{account['account_id']}")
            case _:
                reused = {**refresh, "refresh_token": login["refresh_token"]}
                answer = await asyncio.to_thread(httpx2.post, f"{url}/auth/token", data=reused)
        ended = time.monotonic()
        assert answer.is_success or ending == "reuse"
        for last in await asyncio.gather(*asking):
            assert 0 < last <= ended + LEASE + SLACK
        for gateway in gateways:
            assert httpx2.get(f"{gateway.gateway_url}/users?limit=1", headers=headers).status_code == 401


async def check_narrowed(
    administrator: httpx2.Client, gateways: list[RunningProcess], key_id: str, headers: dict[str, str]
) -> None:
    changed = data_of(administrator.patch(f"/keys/{key_id}", json={"roles": [], "scopes": ["models:read"]}), 200)
    assert changed["roles"] == []
    await asyncio.sleep(LEASE + SLACK)
    for gateway in gateways:
        assert httpx2.get(f"{gateway.gateway_url}/users?limit=1", headers=headers).status_code == 403
        assert httpx2.get(f"{gateway.gateway_url}/models?limit=1", headers=headers).status_code == 200


async def test_watch_ends_when_its_key_does(gateways: list[RunningProcess]) -> None:
    with httpx2.Client(base_url=gateways[0].gateway_url, headers=ADMIN_HEADERS) as administrator:
        key = make_key(administrator, roles=["viewer"])
        async with open_stream(gateways[1].gateway_port, key=key["key"]) as stream:
            assert stream.status == 200
            await stream.block()
            await asyncio.sleep(2.5 * LEASE)  # longer than a lease: it is looked at again, and goes on
            made = administrator.post("/settings", json={"setting_key": key["key_id"], "setting_value": 1})
            assert (await stream.change())["revision"] == int(made.headers["sarvanom-revision"])
            assert administrator.delete(f"/keys/{key['key_id']}").status_code == 204
            began = time.monotonic()
            with suppress(EOFError, ValueError):  # the last chunk is empty
                while time.monotonic() - began < 10 * LEASE:
                    await stream.block()
            assert time.monotonic() - began < 2 * LEASE + SLACK


def setting_line(id: str) -> bytes:
    return b'{"setting_key":"%s","setting_value":1}' % id.encode()


async def test_import_ends_when_its_key_does(gateways: list[RunningProcess]) -> None:
    """What was answered stays, and no line is stored that comes after the end."""
    with httpx2.Client(base_url=gateways[0].gateway_url, headers=ADMIN_HEADERS) as administrator:
        key = make_key(administrator, roles=["editor"])
        id = key["key_id"]
        with duplex(gateways[1].gateway_port, "/settings", key=key["key"]) as lines:
            assert lines.send(setting_line(f"{id}-0")).read_head().startswith(b"HTTP/1.1 200 ")
            assert lines.result()["outcome"] == "created"
            await asyncio.sleep(2.5 * LEASE)  # longer than a lease: it is looked at again, and goes on
            assert lines.send(setting_line(f"{id}-1")).result()["outcome"] == "created"
            assert administrator.delete(f"/keys/{id}").status_code == 204
            await asyncio.sleep(2 * LEASE + SLACK)
            with suppress(OSError, EOFError, AssertionError, ValueError):
                lines.send(setting_line(f"{id}-2")).end().rest()
        stored = [administrator.get(f"/settings/{id}-{number}").status_code for number in range(3)]
        assert stored == [200, 200, 404]


async def test_restore_is_not_committed_when_its_key_has_ended(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    with running_system(source) as system, httpx2.Client(base_url=system.gateway_url, headers=ADMIN_HEADERS) as client:
        client.post("/settings", json={"setting_key": "restored", "setting_value": 1})
        export = client.get("/export").content.splitlines()
    with running_system(target, SARVANOM_LEASE_SECONDS=str(LEASE)) as system, ExitStack() as stack:
        client = httpx2.Client(base_url=system.gateway_url, headers=ADMIN_HEADERS)
        administrator = stack.enter_context(client)
        key = make_key(administrator, roles=["admin"])
        with duplex(system.gateway_port, "/import", key=key["key"]) as lines:
            lines.send(*export[:-1])
            assert administrator.delete(f"/keys/{key['key_id']}").status_code == 204
            await asyncio.sleep(2 * LEASE + SLACK)
            with suppress(OSError):
                lines.send(export[-1]).end()
            with suppress(OSError, AssertionError):
                assert lines.read_head().startswith(b"HTTP/1.1 401 ")
        assert administrator.get("/settings/restored").status_code == 404
        again, headers = b"\n".join(export), {"Content-Type": "application/x-ndjson"}
        assert administrator.post("/import", content=again, headers=headers).status_code == 200
        assert administrator.get("/settings/restored").status_code == 200


def test_body_that_takes_its_time_is_no_way_around(gateways: list[RunningProcess]) -> None:
    """A plain request acts for whom its key proves when its body is there."""
    with httpx2.Client(base_url=gateways[0].gateway_url, headers=ADMIN_HEADERS) as administrator:
        key, other = (make_key(administrator, roles=["editor"]) for _ in range(2))
        for one, status in ((key, 401), (other, 201)):

            def slowly(one: Key = one) -> Iterator[bytes]:
                body = setting_line(one["key_id"])
                yield body[:9]
                if one is key:
                    assert administrator.delete(f"/keys/{one['key_id']}").status_code == 204
                time.sleep(2 * LEASE + SLACK)
                yield body[9:]

            headers = {"Authorization": f"Bearer {one['key']}", "Content-Type": "application/json"}
            answer = httpx2.post(f"{gateways[1].gateway_url}/settings", content=slowly(), headers=headers, timeout=20)
            assert answer.status_code == status
            assert administrator.get(f"/settings/{one['key_id']}").status_code == (200 if status == 201 else 404)


def test_lease_is_not_extended_while_crud_is_away(tmp_path: Path) -> None:
    """Never an open door: whoever cannot be asked for is not let in."""
    (tmp_path / "all").mkdir()
    with running_system(tmp_path / "all", SARVANOM_LEASE_SECONDS=str(LEASE)) as system:
        gateway = running_gateway(tmp_path, system.crud_port, SARVANOM_LEASE_SECONDS=str(LEASE))
        with gateway as lonely:
            url = f"{lonely.gateway_url}/users?limit=1"
            assert httpx2.get(url, headers=ADMIN_HEADERS).status_code == 200
            system.stop()
            time.sleep(LEASE)
            answer = httpx2.get(url, headers=ADMIN_HEADERS)
            assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
