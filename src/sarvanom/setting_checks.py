"""What the values of settings must be like."""

import ipaddress
import json
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from sarvanom.security.api_keys import ANY_PREFIX, MAX_KEY_LENGTH
from sarvanom.security.issuer_urls import check_issuer_url
from sarvanom.security.placeholders import MIN_LENGTH, is_placeholder

_HOST = r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?"
is_host = re.compile(rf"\*|{_HOST}").fullmatch
_is_plain_url = re.compile(r"https?://([A-Za-z0-9._-]+|\[[^][]+\])(:[0-9]+)?(/[A-Za-z0-9/._~-]*)?").fullmatch
is_origin = re.compile(rf"\*|https?://({_HOST})(:[0-9]{{1,5}})?").fullmatch


def split_list(value: str | None) -> list[str]:
    """Return the items of a setting that holds several, separated by commas."""
    return [item.strip() for item in (value or "").split(",") if item.strip()]


def check_secret(name: str, secret: str | None, *, accepts_placeholders: bool) -> None:
    """Refuse what is no secret, without saying what it is."""
    if secret is None:
        return
    setting = f"SARVANOM_{name.upper()}"
    if len(secret) < MIN_LENGTH or not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise ValueError(f"{setting}=***: must be at least {MIN_LENGTH} characters of printable ASCII without spaces")
    if name == "admin_key" and not (secret.startswith("sk-") and len(secret) <= MAX_KEY_LENGTH):
        raise ValueError(f"{setting}=***: must begin with sk- and have at most {MAX_KEY_LENGTH} characters")
    if name == "metrics_token" and secret.startswith(ANY_PREFIX):
        raise ValueError(f"{setting}=***: must not begin as API keys do")
    if not accepts_placeholders and is_placeholder(secret):
        raise ValueError(
            f"{setting}=***: is a placeholder; take random characters, or SARVANOM_DEV=true on your own machine"
        )


def is_network(text: str) -> bool:
    """Tell whether a text is an address, a network, or `*`."""
    if text == "*":
        return True
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def check_each(value: str | None, is_right: Callable[[str], object], right: str) -> str | None:
    """Return a setting whose items are all right; raises `ValueError` otherwise."""
    if not all(is_right(item) for item in split_list(value)):
        raise ValueError(f"must be {right}, separated by commas")
    return value


def check_public_url(url: str | None) -> str | None:
    """Return the URL of an issuer; raises `ValueError` if it can be none."""
    if url is not None:
        check_issuer_url(url)
    return url


def check_collector(url: str | None) -> str | None:
    """Return the URL of a collector; raises `ValueError` if it can be none."""
    try:
        is_right = url is None or (_is_plain_url(url) and urlsplit(url).port != 0)
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError("must be http:// or https://, a host, and perhaps a port and a path")
    return url


def check_issuers(value: object) -> object:
    """Return the outside issuers as JSON, also if TOML has them as a list; raises `ValueError` if they are none."""
    text = json.dumps(value) if isinstance(value, list) else value
    if isinstance(text, str):
        from sarvanom.security.trusted_issuers import parse_issuers  # what reads tokens is loaded where it is used

        parse_issuers(text)
    return text
