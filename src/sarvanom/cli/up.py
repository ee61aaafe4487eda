"""`sarvanom up`: both services at once, as child processes."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sarvanom.backends.identity.secret_files import ADMIN_KEY, read_secret
from sarvanom.cli.options import load_settings, settings_options
from sarvanom.cli.supervisor import ServiceSpec, supervise
from sarvanom.settings import UpSettings


@click.command("up")
@settings_options(UpSettings, without=["crud_urls", "master_keys"])
def up_command(**flags: Any) -> None:
    """Start gateway and crud on an embedded database; Ctrl-C stops both."""
    settings = load_settings(UpSettings, flags)
    _prepare_data_dir(settings.data_dir)
    key_file = settings.data_dir / ADMIN_KEY
    before = _key_in(key_file)
    specs = [
        ServiceSpec("crud", settings.crud_host, settings.crud_port, is_secure=settings.crud_tls is not None),
        ServiceSpec("gateway", settings.gateway_host, settings.gateway_port, is_secure=settings.tls is not None),
    ]

    def announce(urls: Sequence[str]) -> None:
        crud, gateway = urls
        click.echo(
            f"\nSarvanOM is up. Data in {settings.data_dir.resolve()}\n\n"
            f"  gateway  {gateway}   API documentation at {gateway}/docs\n"
            f"  crud     {crud}   for the gateway alone\n\n"
            f"{_new_key(key_file, before)}"
            "Create a user:\n\n"
            f"  curl -i {gateway}/users -H 'Content-Type: application/json' \\\n"
            f'    -H "Authorization: Bearer {_bearer(settings)}" \\\n'
            """    -d '{"user_id": "ada", "username": "ada", "email": "ada@example.org"}'\n\n"""
            "Ctrl-C stops both.\n",
            err=True,
        )

    sys.exit(supervise(specs, settings, announce))


def _new_key(file: Path, before: str | None) -> str:
    """Return how to tell of the key that this start has made; nothing if it made none."""
    try:
        key = read_secret(file)
    except OSError as error:
        return f"The administrator's key cannot be read: {error}\n\n"
    if key is None or key == before:
        return ""
    return f"The administrator's key, shown this once and kept in {file}:\n\n  {key}\n\n"


def _key_in(file: Path) -> str | None:
    """Return the key that is there before the start; what cannot be read is told of after it."""
    try:
        return read_secret(file)
    except OSError:
        return None


def _bearer(settings: UpSettings) -> str:
    """Return, for a shell, where the key is."""
    if settings.admin_key is not None:
        return "$SARVANOM_ADMIN_KEY"
    file = settings.data_dir / ADMIN_KEY
    return f"$(cat {shlex.quote(str(file))})" if file.exists() else "$SARVANOM_API_KEY"


def _prepare_data_dir(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
        reason = "no permission to write"
    except OSError as error:
        is_usable, reason = False, error.strerror or str(error)
    if not is_usable:
        raise click.ClickException(f"The data folder {folder} cannot be used: {reason}")
