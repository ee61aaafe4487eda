"""Listening sockets, and addresses that cannot be had."""

import os
import socket
from contextlib import closing

import pytest

from sarvanom.cli.sockets import PortUnavailable, listen


def test_socket_listens_and_may_be_inherited() -> None:
    with closing(listen("127.0.0.1", 0)) as listener:
        assert os.get_inheritable(listener.fileno())
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        with closing(socket.create_connection(listener.getsockname())) as connection:
            assert connection.getpeername() == listener.getsockname()


def test_name_is_resolved() -> None:
    with closing(listen("localhost", 0)) as listener:
        assert listener.getsockname()[0] in {"127.0.0.1", "::1"}


def test_taken_port_is_named() -> None:
    with closing(listen("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortUnavailable, match=f"^Cannot listen on 127.0.0.1:{port}: Address already in use$"):
            listen("127.0.0.1", port)


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(PortUnavailable, match=r"192\.0\.2\.1:0: Cannot assign requested address"):
        listen("192.0.2.1", 0)


def test_name_that_nobody_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(PortUnavailable, match=r"Cannot listen on crud\.invalid:1: .*Name or service not known"):
        listen("crud.invalid", 1)


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "\u0130" * 70], ids=len)
def test_name_that_cannot_be_one_is_refused(host: str) -> None:
    with pytest.raises(PortUnavailable):
        listen(host, 0)
