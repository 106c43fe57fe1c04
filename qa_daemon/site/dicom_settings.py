"""`[dicom]`: who may send objects over the network, and how much of them is taken."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator, model_validator

from qa_daemon.site.values import AeTitle, Duration, Model


def _network(value: object) -> object:
    try:
        network = ip_network(str(value))
    except ValueError:
        raise ValueError(
            "an address is written like 10.1.2.3, a network like 10.1.2.0/24 with zeros at its end"
        ) from None
    if network.prefixlen == 0:
        raise ValueError("this names every address there is: name those that may send")
    return network


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


class DicomPeer(Model):
    """`[[dicom.peer]]`: one sender.  Title and address must both be right."""

    ae_title: AeTitle
    """As the sender calls itself, in the same case."""
    addresses: tuple[Network, ...] = Field(min_length=1)
    """Where it sends from: addresses, or networks such as 10.1.2.0/24."""


class Dicom(Model):
    """`[dicom]`: left out, nothing is received over the network."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every IPv4 address of this computer."""
    port: int = Field(default=11112, ge=0, le=65535)
    """Below 1024 the service may not open one."""
    ae_title: AeTitle = "QA_DAEMON"
    """What senders have to call us."""
    peer: tuple[DicomPeer, ...] = Field(min_length=1)
    """Everybody who may send."""
    certificate_file: Path | None = None
    """With this and `key_file`, connections are taken with TLS alone.  PEM, with its chain."""
    key_file: Path | None = None
    """PEM, without a password."""
    client_ca_file: Path | None = None
    """With this, senders must show a certificate that one of these authorities signed.  PEM."""
    largest_object_mb: float | None = Field(default=None, gt=0)
    """Larger objects are refused; left out: what `[ingest] largest_file_mb` allows."""
    keep_free_gb: float = Field(default=2.0, ge=0)
    """With less space free on the state folder's disk, objects are refused and sent again later."""
    associations: int = Field(default=32, ge=1, le=64)
    """At the same time, from everywhere."""
    associations_per_address: int = Field(default=8, ge=1, le=64)
    """At the same time from one address, so that no sender takes up all of them."""
    idle_timeout: Duration = Field(
        default=timedelta(seconds=60), ge=timedelta(seconds=1), le=timedelta(hours=1)
    )
    """A connection on which no message part arrives whole for so long is cut."""

    @field_validator("host")
    @classmethod
    def _address(cls, host: str) -> str:
        try:
            ip_address(host)
        except ValueError:
            raise ValueError("an address of this computer, such as 127.0.0.1 or 0.0.0.0") from None
        return host

    @model_validator(mode="after")
    def _consistent(self) -> Dicom:
        titles = [peer.ae_title for peer in self.peer]
        for title in titles:
            if titles.count(title) > 1:
                raise ValueError(f"two [[dicom.peer]] entries are named {title!r}")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        if self.client_ca_file is not None and self.certificate_file is None:
            raise ValueError("client_ca_file needs certificate_file and key_file")
        return self

    @property
    def tls_files(self) -> tuple[Path, ...]:
        """The files that TLS needs; empty without TLS."""
        named = (self.certificate_file, self.key_file, self.client_ca_file)
        return tuple(path for path in named if path is not None)

    def check(self, machine_titles: Iterable[str], largest_file_mb: float) -> None:
        """What other sections have to do with it; raises ValueError."""
        titles = {peer.ae_title for peer in self.peer}
        for title in machine_titles:
            if title not in titles:
                raise ValueError(
                    f"machine: there is no [[dicom.peer]] with the ae_title {title!r}: "
                    "nothing would be received from it"
                )
        if self.largest_object_mb is not None and self.largest_object_mb > largest_file_mb:
            raise ValueError(
                "dicom: largest_object_mb is more than [ingest] largest_file_mb: such an object "
                "would be received and never read"
            )
