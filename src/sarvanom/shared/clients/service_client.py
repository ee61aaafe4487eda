"""The clients of SarvanOM, and the factory that puts them together.

async with ServiceClientFactory().crud() as client:
    user = await client.users.get("ada")
"""

from typing import Final

from sarvanom.shared.clients.balancing import BalancingTransport
from sarvanom.shared.clients.crud_client import CRUDServiceClient
from sarvanom.shared.clients.discovery import ServiceDiscoveryClient
from sarvanom.shared.clients.http_service import ServiceClient
from sarvanom.shared.clients.httpx_transport import HTTPXTransport
from sarvanom.shared.clients.keepalive import KeepAliveTransport
from sarvanom.shared.clients.retries import RetryingTransport
from sarvanom.shared.clients.source_urls import parse_source
from sarvanom.shared.clients.transport import Transport

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

    def hop(self, urls: str, *, timeout: float = 30.0) -> Transport:
        """Return the gateway's way to the instances that `urls` names (see `parse_source`).

        It retries little: who calls the gateway retries too, and the two multiply.

        Raises:
            ValueError: `urls` names no source.
        """
        discovery = ServiceDiscoveryClient(parse_source(urls))
        balancing = BalancingTransport(discovery, lambda url: KeepAliveTransport(url, timeout=timeout))
        return RetryingTransport(balancing, attempts=2, total_timeout=timeout)
