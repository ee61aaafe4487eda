"""Calls to a service over HTTP, in which an error that it answers is raised here."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from sarvanom.shared.clients.problems import error_from_response
from sarvanom.shared.clients.transport import Request, Response, Transport
from sarvanom.shared.errors import UpstreamFailed

_JSON: Final = TypeAdapter[JsonValue](JsonValue)
_NOT_MODIFIED: Final = 304


class ServiceClient:
    """Calls one service over a transport, which it owns."""

    def __init__(
        self, transport: Transport, *, api_key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self._transport = transport
        sent = {"user-agent": f"sarvanom/{_own_version()}", "accept": "application/json", **_lower(headers or {})}
        if api_key is not None:
            sent["authorization"] = f"Bearer {api_key}"
        self._headers = sent

    async def request(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        json: JsonValue = None,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> Response:
        """Send a request and return its answer, 2xx or 304; `target` is a path, percent-encoded, and its query.

        The body is `body`, or else the JSON text of `json` if that is not None.

        Raises:
            SarvanOMError: the error that the service answered, as the class it was there, or one of the transport's.
        """
        sent = self._headers
        if headers or request_id is not None or json is not None:
            own = {"content-type": "application/json"} if json is not None else {}
            sent = {**sent, **own, **_lower(headers or {})}
            if request_id is not None:
                sent["x-request-id"] = request_id
        if body is None:
            body = _JSON.dump_json(json) if json is not None else b""
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()]
        response = await self._transport.send(Request(method, target.encode("ascii"), pairs, body))
        if not 200 <= response.status < 300 and response.status != _NOT_MODIFIED:
            raise error_from_response(response)
        return response

    async def health(self) -> JsonValue:
        """Return what the service says of its own life."""
        return self._read(await self.request("GET", "/health"))

    async def version(self) -> JsonValue:
        """Return which version the service is."""
        return self._read(await self.request("GET", "/version"))

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()

    def _read(self, response: Response) -> JsonValue:
        try:
            return _JSON.validate_json(response.body)
        except ValidationError:
            raise UpstreamFailed("The service's answer is no JSON") from None


@cache
def _own_version() -> str:
    return version("sarvanom")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
