"""Where the services of this machine are, as its settings have it: also if they listen elsewhere than by default."""

from sarvanom.cli.options import load_settings
from sarvanom.cli.supervisor import url_of
from sarvanom.settings import ClientSettings, UpSettings


def gateway_url() -> str:
    """Return where the gateway is: as it is set, or else where the settings have it listen."""
    client = load_settings(ClientSettings, {})
    if "url" in client.model_fields_set:
        return client.url
    settings = load_settings(UpSettings, {})
    return url_of(settings.gateway_host, settings.gateway_port, is_secure=settings.tls is not None)


def crud_urls(settings: UpSettings) -> str:
    """Return where crud is: as the settings say, or, as for `sarvanom up`, where crud itself is to listen."""
    if "crud_urls" in settings.model_fields_set:
        return settings.crud_urls
    return url_of(settings.crud_host, settings.crud_port, is_secure=settings.crud_tls is not None)
