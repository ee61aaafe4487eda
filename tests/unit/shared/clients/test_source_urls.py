"""How a setting names the instances of a service."""

import pytest

from sarvanom.shared.clients.dns_sources import AddressSource, ServiceRecordSource
from sarvanom.shared.clients.endpoint_sources import StaticSource
from sarvanom.shared.clients.source_urls import names_https, parse_source, proven_name


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("http://127.0.0.1:8001", ["http://127.0.0.1:8001"]),
        (" http://a:1/ , http://b:2 ", ["http://a:1", "http://b:2"]),
        ("http://[::1]:8001,http://crud", ["http://[::1]:8001", "http://crud"]),
        ("HTTP://a", ["HTTP://a"]),
        ("https://a, http://b", ["https://a", "http://b"]),
    ],
)
async def test_list_of_urls(text: str, urls: list[str]) -> None:
    source = parse_source(text)
    assert isinstance(source, StaticSource)
    assert [target.url for target in (await source.find()).targets] == urls


@pytest.mark.parametrize("text", ["dns://crud:8001", "dns://crud.example.internal:80", "DNS://crud_1.example.:8001"])
def test_addresses_of_a_name(text: str) -> None:
    assert isinstance(parse_source(text), AddressSource)


@pytest.mark.parametrize(
    "text", ["dns+srv://_crud._tcp.example.internal", "dns+srv://_http._tcp.crud.svc.cluster.local."]
)
def test_service_records(text: str) -> None:
    assert isinstance(parse_source(text), ServiceRecordSource)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8001",
        "ftp://a",
        "http://",
        "http://a:1,",
        "http://a:1,dns://b:2",
        "http://a/path",
        "http://a:99999",
        "dns://crud",
        "dns://crud:0",
        "dns://crud:x",
        "dns://crud:99999",
        "dns://:8001",
        "dns://crud:8001/path",
        "dns://127.0.0.1:8001",
        "dns://[::1]:8001",
        "dns://-a:1",
        "dns+srv://crud",
        "dns+srv://_crud._tcp",
        "dns+srv://_crud._tcp.",
        "dns+srv://_crud._tcp.example:8001",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no URL|is not of the form|is neither|[Pp]ort"):
        parse_source(text)


async def test_sources_that_are_secure_lead_to_tls() -> None:
    source = parse_source("https://a:1,HTTPS://b", is_secure=True)
    assert [target.url for target in (await source.find()).targets] == ["https://a:1", "HTTPS://b"]
    with pytest.raises(ValueError, match="is no URL of the form https://host:port"):
        parse_source("https://a,http://b", is_secure=True)


@pytest.mark.parametrize(
    ("urls", "name"),
    [
        ("https://a,https://b", None),
        ("dns://crud.example.org:8001", "crud.example.org"),
        (" DNS://crud:8001 ", "crud"),
        ("dns://crud.example.:8001", "crud.example"),
        ("dns+srv://_crud._tcp.example.org", "example.org"),
        ("dns+srv://_crud._tcp.crud.svc.cluster.local.", "crud.svc.cluster.local"),
    ],
)
def test_name_that_must_be_proven_is_that_of_the_setting(urls: str, name: str | None) -> None:
    assert proven_name(urls) == name


def test_urls_ask_for_tls_by_themselves() -> None:
    assert names_https("http://a, HTTPS://b")
    assert not names_https("http://https.example, dns://https:1")
