"""What every answer tells browsers not to do with it.

The set is that of OWASP's REST Security Cheat Sheet, of which most matters only where an answer is taken for a page.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from sarvanom.web.sent_answer import sent_answer

_DENIED_FEATURES = (
    "accelerometer",
    "autoplay",
    "camera",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "screen-wake-lock",
    "usb",
    "xr-spatial-tracking",
)
_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"permissions-policy",
        ", ".join(f"{feature}=()" for feature in _DENIED_FEATURES).encode(),
    ),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
_OVER_TLS = [
    *_ALWAYS,
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),
]


class SecurityHeadersMiddleware:
    """Adds to every answer those security headers that it does not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent, send = sent_answer(scope, send)
        sent.fallbacks = _OVER_TLS if scope["scheme"] == "https" else _ALWAYS
        await self._app(scope, receive, send)
