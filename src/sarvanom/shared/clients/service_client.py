"""The clients of SarvanOM, and the factory that puts them together.

async with ServiceClientFactory().crud() as client:
    user = await client.users.get("ada")
"""

from functools import partial
from typing import Final

from sarvanom.shared.clients.balancing import BalancingTransport
from sarvanom.shared.clients.crud_client import CRUDServiceClient
from sarvanom.shared.clients.discovery import ServiceDiscoveryClient, is_ready
from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.clients.httpx_transport import HTTPXTransport
from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.retries import RetryingTransport
from sarvanom.shared.clients.source_urls import parse_source, proven_name
from sarvanom.shared.clients.transport import Transport
from sarvanom.shared.tls import FollowedContext

__all__ = ["CRUDServiceClient", "ServiceClient", "ServiceClientFactory", "ServiceDiscoveryClient"]

DEFAULT_URL: Final = "http://127.0.0.1:8000"


class ServiceClientFactory:
    """Puts the ready-made stacks together."""

    def crud(self, url: str = DEFAULT_URL, *, api_key: str | None = None, timeout: float = 30.0) -> CRUDServiceClient:
        """Return a client of the gateway at `url`; `timeout` bounds each try, and how late a retry may begin."""
        return CRUDServiceClient(self.service(url, api_key=api_key, timeout=timeout))

    def service(self, url: str = DEFAULT_URL, *, api_key: str | None = None, timeout: float = 30.0) -> ServiceClient:
        """Return a client for any path of the gateway at `url`."""
        transport = RetryingTransport(HTTPXTransport(url, timeout=timeout), total_timeout=timeout)
        return ServiceClient(transport, api_key=api_key)

    def hop(self, urls: str, *, timeout: float = 30.0, tls: FollowedContext | None = None) -> Transport:
        """Return the gateway's way to the instances that `urls` names (see `parse_source`), over TLS if it is given.

        It retries little: who calls the gateway retries too, and the two multiply.

        Raises:
            ValueError: `urls` names no source, or one without TLS though it is given.
        """
        source = parse_source(urls, is_secure=tls is not None)
        name = proven_name(urls)
        discovery = ServiceDiscoveryClient(source, probe=partial(is_ready, tls=tls, server_name=name))
        balancing = BalancingTransport(
            discovery, lambda url: KeepAliveTransport(url, timeout=timeout, tls=tls, server_name=name)
        )
        return RetryingTransport(balancing, attempts=2, total_timeout=timeout)
