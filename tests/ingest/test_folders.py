"""What is watched, and what lies on a network."""

from __future__ import annotations

from pathlib import Path

from qa_daemon.ingest.folders import Mount, is_network, network_parts, read_mounts, watched_folders
from tests.ingest.clinic import SITE, Clinic

MOUNTINFO = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:44 / /mnt/My\040Share rw,relatime shared:2 master:3 - cifs //server/share rw
31 22 0:45 / /mnt/nfs rw - nfs4 server:/x rw
32 31 8:2 / /mnt/nfs/disk rw - xfs /dev/sdb1 rw
33 22 0:46 / /mnt/home rw - fuse.sshfs me@host: rw
"""


def test_the_deepest_mount_decides(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTINFO)
    mounts = read_mounts(tmp_path / "mountinfo")
    assert is_network("/mnt/My Share/TB1", mounts)
    assert is_network("/mnt/nfs", mounts)
    assert not is_network("/mnt/nfs/disk/TB1", mounts)
    assert is_network("/mnt/home/x", mounts)
    assert not is_network("/mnt/nfsother", mounts)
    assert not is_network("/srv", mounts)


def test_this_computer_s_own_mounts_are_read() -> None:
    assert any(mount.path == "/" for mount in read_mounts())


def test_folders_have_their_machine_and_leave_out_folders_inside(tmp_path: Path) -> None:
    more = SITE + '[[machine]]\nname = "TB2"\nmachine_class = "truebeam"\nfolders = ["in/tb2"]\n'
    clinic = Clinic(tmp_path, text=more)
    found = {f.path: f for f in watched_folders(clinic.site, [Mount(str(tmp_path / "in"), "nfs")])}
    outer, inner = found[str(tmp_path / "in")], found[str(tmp_path / "in/tb2")]
    assert (outer.machine, inner.machine) == ("TB1", "TB2")
    assert outer.apart == {inner.path}
    assert outer.is_network
    inbox = found[str(tmp_path / "state/inbox")]
    assert inbox.is_inbox
    assert inbox.machine is None
    clinic.close()


def test_a_folder_of_two_machines_belongs_to_neither(tmp_path: Path) -> None:
    more = SITE + '[[machine]]\nname = "TB2"\nmachine_class = "truebeam"\nfolders = ["in/"]\n'
    clinic = Clinic(tmp_path, text=more)
    (shared,) = [f for f in watched_folders(clinic.site) if not f.is_inbox]
    assert shared.machine is None
    clinic.close()


def test_a_network_file_system_below_a_local_folder_is_found(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    (local,) = [f for f in watched_folders(clinic.site) if not f.is_inbox]
    inside = str(tmp_path / "in/share")
    assert network_parts(local, [Mount(inside, "cifs"), Mount("/other", "cifs")]) == [inside]
    clinic.close()
