"""What is watched: the machines' folders and the inbox, and which of it lies on a network.

A change that another host makes on a network share raises no event here, so it has to be polled.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from qa_daemon.site.site import Site

MOUNTS = Path("/proc/self/mountinfo")
NETWORK_TYPES = frozenset(
    {"9p", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs"}
    | {"lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs"}
    | {"vboxsf", "virtiofs", "webdav"}
)


@dataclass(frozen=True, slots=True)
class Folder:
    """A watched folder, with everything below it.

    `machine` is None where the files themselves have to say whose they are.  `apart` lists watched
    folders inside this one, which are not part of it.
    """

    path: str
    machine: str | None
    is_network: bool = False
    is_inbox: bool = False
    apart: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system."""

    path: str
    kind: str

    @property
    def is_network(self) -> bool:
        """Whether other hosts may change it behind our back; every FUSE mount may be one."""
        return self.kind in NETWORK_TYPES or self.kind.split(".")[0] in ("fuse", "fuseblk")


def watched_folders(site: Site, mounts: Iterable[Mount] | None = None) -> list[Folder]:
    """One for each watched folder of the site file, and the inbox.

    A folder that two machines name belongs to neither: its files say whose they are.
    """
    known = list(read_mounts() if mounts is None else mounts)
    owners: dict[str, set[str]] = {}
    for machine in site.machines:
        for folder in site.folders_of(machine):
            owners.setdefault(os.path.normpath(folder), set()).add(machine.name)
    inbox = os.path.normpath(site.state_dir / "inbox")
    paths = [*owners, inbox]
    return [
        Folder(
            path,
            next(iter(owners[path])) if len(owners.get(path, ())) == 1 else None,
            is_network=is_network(path, known),
            is_inbox=path == inbox,
            apart=frozenset(other for other in paths if is_below(other, path)),
        )
        for path in paths
    ]


def read_mounts(source: Path = MOUNTS) -> list[Mount]:
    """The mounted file systems of this process, in the order they were mounted."""
    try:
        lines = source.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) > 4 and kinds[0]:
            found.append(Mount(_unescaped(fields[4]), kinds[0]))
    return found


def is_network(path: str, mounts: Iterable[Mount]) -> bool:
    """Whether a path lies on a network file system; of mounts on one point the last one counts."""
    real = os.path.realpath(path)
    holding = [m for m in mounts if real == m.path or is_below(real, m.path)]
    return bool(holding) and max(holding, key=lambda m: len(m.path.rstrip("/"))).is_network


def network_parts(folder: Folder, mounts: Iterable[Mount]) -> list[str]:
    """The network file systems mounted below a local folder."""
    real = os.path.realpath(folder.path)
    return [m.path for m in mounts if m.is_network and is_below(m.path, real)]


def is_below(path: str, folder: str) -> bool:
    """Whether a path lies inside a folder, however deep."""
    return path != folder and path.startswith(folder.rstrip("/") + "/")


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), text)
