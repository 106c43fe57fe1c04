"""Run a command with only the named system calls: `python under_filter.py FILE COMMAND…`.

The kernel filter is the one systemd would make of the unit: what is not named fails with EPERM.
FILE lists the allowed calls, one to a line.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

ALLOW = 0x7FFF0000
REFUSE_WITH_EPERM = 0x00050000 | 1
UNKNOWN = -1


def restrict_to(names: list[str]) -> None:
    """Load the filter into this process; its children inherit it."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(REFUSE_WITH_EPERM)))
    for name in names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        # Calls of other processors have no number here.
        if number != UNKNOWN:
            library.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0)
    if library.seccomp_load(context) != 0:
        raise OSError("the kernel does not take the filter")


if __name__ == "__main__":
    restrict_to(Path(sys.argv[1]).read_text("utf-8").split())
    os.execv(sys.argv[2], sys.argv[2:])
