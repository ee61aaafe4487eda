"""The clients of SarvanOM, and the factory that puts them together.

async with ServiceClientFactory().crud() as client:
    user = await client.users.get("ada")
"""

from collections.abc import Callable
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
_DIRECT_SECONDS: Final = 5.0


class ServiceClientFactory:
    """Puts the ready-made stacks together."""

    def crud(self, url: str = DEFAULT_URL, *, api_key: str | None = None, timeout: float = 30.0) -> CRUDServiceClient:
        """Return a client of the gateway at `url`; `timeout` bounds each try, and how late a retry may begin."""
        return CRUDServiceClient(self.service(url, api_key=api_key, timeout=timeout))

    def service(self, url: str = DEFAULT_URL, *, api_key: str | None = None, timeout: float = 30.0) -> ServiceClient:
        """Return a client for any path of the gateway at `url`."""
        transport = RetryingTransport(HTTPXTransport(url, timeout=timeout), total_timeout=timeout)
        return ServiceClient(transport, api_key=api_key)

    def hop(
        self,
        urls: str,
        *,
        timeout: float = 30.0,
        tls: FollowedContext | None = None,
        discovery: ServiceDiscoveryClient | None = None,
    ) -> Transport:
        """Return the gateway's way to the instances that `urls` names (see `parse_source`), over TLS if it is given.

        It retries little: who calls the gateway retries too, and the two multiply. It owns the `discovery`.

        Raises:
            ValueError: `urls` names no source, or one without TLS though it is given.
        """
        connect = partial(KeepAliveTransport, timeout=timeout, tls=tls, server_name=proven_name(urls))
        balancing = BalancingTransport(discovery or self.discovery(urls, tls=tls), connect)
        return RetryingTransport(balancing, attempts=2, total_timeout=timeout)

    def discovery(self, urls: str, *, tls: FollowedContext | None = None) -> ServiceDiscoveryClient:
        """Return what knows the instances that `urls` names; raises as `hop` does."""
        source = parse_source(urls, is_secure=tls is not None)
        return ServiceDiscoveryClient(source, probe=partial(is_ready, tls=tls, server_name=proven_name(urls)))

    def direct(self, urls: str, *, tls: FollowedContext | None = None) -> Callable[[str], Transport]:
        """Return what connects to one of the instances that `urls` names, for questions about that very one."""
        return partial(
            KeepAliveTransport, timeout=_DIRECT_SECONDS, max_connections=2, tls=tls, server_name=proven_name(urls)
        )
