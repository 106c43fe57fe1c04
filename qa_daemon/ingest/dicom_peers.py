"""Who may send objects: by address and by calling AE title, both."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from qa_daemon.site.dicom_settings import Dicom
from qa_daemon.site.site import Site


class Peers:
    """The senders of the site file.

    An AE title proves nothing, anybody can use it; it says who a sender claims to be.
    """

    def __init__(self, dicom: Dicom, site: Site) -> None:
        self._peers = dicom.peer
        self._machines = {m.ae_title: m.name for m in site.machines if m.ae_title is not None}

    def titles_at(self, address: str) -> list[str]:
        """The AE titles that may call from an address; empty where nobody may."""
        host = ip_address(address)
        if isinstance(host, IPv6Address) and host.ipv4_mapped is not None:
            host = host.ipv4_mapped  # how a listener on :: sees IPv4
        return [p.ae_title for p in self._peers if any(host in net for net in p.addresses)]

    def machine_of(self, ae_title: str) -> str | None:
        """The machine whose objects a sender sends; None where the objects have to say."""
        return self._machines.get(ae_title)
