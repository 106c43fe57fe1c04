"""Telling systemd how we are: ready, alive, stopping."""

from __future__ import annotations

import socket


class Notifier:
    """The sd_notify protocol: one datagram a message to the socket systemd names."""

    def __init__(self, address: str | None) -> None:
        # A leading @ stands for the abstract namespace.
        self._address = "\0" + address[1:] if address and address[0] == "@" else address

    def tell(self, message: str) -> None:
        """Send a message such as `READY=1`; without systemd nothing happens."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.connect(self._address)
            channel.sendall(message.encode())
