"""Instances found in the DNS."""

from collections.abc import AsyncIterator

import dns.name
import pytest
from dns.asyncresolver import Resolver
from dns.resolver import NoResolverConfiguration

from sarvanom.shared.clients import dns_sources
from sarvanom.shared.clients.discovery import ServiceDiscoveryClient
from sarvanom.shared.clients.dns_sources import AddressSource, ServiceRecordSource
from sarvanom.shared.clients.endpoint_sources import Finding, Target
from sarvanom.shared.errors import ServiceUnavailable
from tests.unit.shared.clients.name_server import NameServer, serve_names

SRV = ("_crud._tcp.example.", "SRV")


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with serve_names() as server:
        yield server


def addresses(names: NameServer) -> AddressSource:
    return AddressSource("crud.example", 8001, names.resolver())


def records(names: NameServer) -> ServiceRecordSource:
    return ServiceRecordSource("_crud._tcp.example", names.resolver())


async def test_every_address_is_an_instance(names: NameServer) -> None:
    names.zone = {
        ("crud.example.", "A"): (60, ["10.0.0.2", "10.0.0.1"]),
        ("crud.example.", "AAAA"): (30, ["fd00::1"]),
    }
    targets = (Target("http://10.0.0.1:8001"), Target("http://10.0.0.2:8001"), Target("http://[fd00::1]:8001"))
    assert await addresses(names).find() == Finding(targets, 30)


async def test_one_family_of_addresses_is_enough(names: NameServer) -> None:
    names.zone = {("crud.example.", "A"): (60, ["10.0.0.1"])}
    assert (await addresses(names).find()).targets == (Target("http://10.0.0.1:8001"),)


async def test_search_list_completes_a_short_name(names: NameServer) -> None:
    names.zone = {("crud.default.svc.cluster.local.", "A"): (5, ["10.0.0.1"])}
    resolver = names.resolver()
    resolver.search = [dns.name.from_text("default.svc.cluster.local.")]
    assert await AddressSource("crud", 80, resolver).find() == Finding((Target("http://10.0.0.1:80"),), 5)


async def test_service_records_carry_port_priority_and_weight(names: NameServer) -> None:
    names.zone = {
        SRV: (60, ["20 0 8003 c.example.", "10 5 8002 b.example.", "10 60 8001 a.example."]),
        ("a.example.", "A"): (300, ["10.0.0.1"]),
        ("b.example.", "A"): (300, ["10.0.0.2", "10.0.0.3"]),
        ("c.example.", "AAAA"): (20, ["fd00::1"]),
    }
    assert await records(names).find() == Finding(
        (
            Target("http://10.0.0.1:8001", 10, 60),
            Target("http://10.0.0.2:8002", 10, 5),
            Target("http://10.0.0.3:8002", 10, 5),
            Target("http://[fd00::1]:8003", 20, 1),
        ),
        20,
    )


async def test_target_without_an_address_is_left_out_and_asked_for_soon(names: NameServer) -> None:
    names.zone = {
        SRV: (60, ["1 1 8001 a.example.", "1 1 8001 gone.example."]),
        ("a.example.", "A"): (60, ["10.0.0.1"]),
    }
    assert await records(names).find() == Finding((Target("http://10.0.0.1:8001", 1),), 0)


async def test_service_that_is_decidedly_not_offered(names: NameServer) -> None:
    names.zone = {SRV: (60, ["0 0 0 ."])}
    with pytest.raises(ServiceUnavailable, match="no instance"):
        await records(names).find()


async def test_name_that_does_not_exist(names: NameServer) -> None:
    for source in (addresses(names), records(names)):
        with pytest.raises(ServiceUnavailable, match="NXDOMAIN"):
            await source.find()


async def test_server_that_fails(names: NameServer) -> None:
    names.fails = True
    for source in (addresses(names), records(names)):
        with pytest.raises(ServiceUnavailable, match="NoNameservers"):
            await source.find()


async def test_server_that_is_away() -> None:
    async with serve_names() as server:
        resolver = server.resolver()
    resolver.lifetime = 0.02
    with pytest.raises(ServiceUnavailable):
        await AddressSource("crud.example", 80, resolver).find()


async def test_system_resolver_is_the_default(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    names.zone = {("crud.example.", "A"): (60, ["10.0.0.1"])}
    monkeypatch.setattr(dns_sources, "Resolver", names.resolver)
    assert len((await AddressSource("crud.example", 80).find()).targets) == 1


async def test_system_without_a_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    def unconfigured() -> Resolver:
        raise NoResolverConfiguration

    monkeypatch.setattr(dns_sources, "Resolver", unconfigured)
    with pytest.raises(ServiceUnavailable):
        await AddressSource("crud.example", 80).find()


async def test_discovery_follows_the_dns(names: NameServer) -> None:
    now = 0.0
    names.zone = {("crud.example.", "A"): (60, ["10.0.0.1"])}
    discovery = ServiceDiscoveryClient(addresses(names), clock=lambda: now)
    assert [one.url for one in await discovery.endpoints()] == ["http://10.0.0.1:8001"]
    asked = len(names.questions)
    now = 59.0
    await discovery.endpoints()
    assert len(names.questions) == asked
    now = 60.0
    names.zone = {("crud.example.", "A"): (60, ["10.0.0.2"])}
    await discovery.endpoints()
    assert discovery._refreshing is not None
    await discovery._refreshing
    assert [one.url for one in await discovery.endpoints()] == ["http://10.0.0.2:8001"]
    names.fails = True
    now = 120.0
    await discovery.endpoints()
    await discovery._refreshing
    assert [one.url for one in await discovery.endpoints()] == ["http://10.0.0.2:8001"]
    await discovery.aclose()


async def test_names_lead_to_tls_if_they_are_to(names: NameServer) -> None:
    names.zone = {
        SRV: (60, ["10 5 8002 b.example."]),
        ("b.example.", "A"): (60, ["10.0.0.2"]),
        ("crud.example.", "AAAA"): (60, ["fd00::1"]),
    }
    source = ServiceRecordSource("_crud._tcp.example", names.resolver(), "https")
    assert [target.url for target in (await source.find()).targets] == ["https://10.0.0.2:8002"]
    source_of_addresses = AddressSource("crud.example", 8001, names.resolver(), "https")
    assert [target.url for target in (await source_of_addresses.find()).targets] == ["https://[fd00::1]:8001"]
