"""Which URLs name an issuer of tokens, and where its documents may be read."""

import ipaddress
from urllib.parse import urlsplit


def check_issuer_url(url: str) -> None:
    """Refuse what is no issuer (RFC 8414, section 2): https, or http on the loopback, without query or fragment.

    Raises:
        ValueError: it is none.
    """
    if "?" in url or "#" in url or not may_be_read(url):
        raise ValueError(f"{url!r} is no issuer: it must be an https URL, or http on the loopback, and no more")


def may_be_read(url: str) -> bool:
    """Tell whether keys may be read from there: nobody on the way can change them, and no password stands in it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    if not host or "@" in parts.netloc or "#" in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
