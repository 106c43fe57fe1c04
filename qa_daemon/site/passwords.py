"""Passwords of the people who sign in: what a password file holds, and whether a password fits it.

The file holds one line, `scrypt$n$r$p$salt$key` with salt and key in hexadecimal digits: it cannot
be turned back into the password.  The cost is that of the OWASP Password Storage Cheat Sheet
(scrypt, N = 2^15, r = 8, p = 3): 32 MiB, and some tenths of a second.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from pathlib import Path

N, R, P = 2**15, 8, 3
SALT_BYTES, KEY_BYTES = 16, 32
SHORTEST, LONGEST = 12, 256
LINE = re.compile(rf"scrypt\${N}\${R}\${P}\$([0-9a-f]{{{2 * SALT_BYTES}}})\$([0-9a-f]{{64}})")
LONGEST_FILE = 1024


class PasswordError(ValueError):
    """A password or its file cannot be used; the sentence says why and repeats neither."""


def line_of(password: str) -> str:
    """The line to keep for a new password.  Raises `PasswordError` when it is not a fit one."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordError(f"a password has {SHORTEST} to {LONGEST} characters; a sentence is one")
    salt = secrets.token_bytes(SALT_BYTES)
    return f"scrypt${N}${R}${P}${salt.hex()}${_key(password, salt).hex()}"


def fits(password: str, line: str | None) -> bool:
    """Whether the password is the one of the line; None, for somebody who has none, fits nothing.

    Takes the same time either way, so that the time does not tell who can sign in.
    """
    salt, key = _parts(line) if line is not None else (bytes(SALT_BYTES), b"")
    is_same = hmac.compare_digest(_key(password[:LONGEST], salt), key)
    return is_same and len(password) <= LONGEST


def read(path: Path) -> str:
    """The line of a password file.  Raises `OSError`, or `PasswordError` for anything else."""
    with path.open("rb") as stream:
        line = stream.read(LONGEST_FILE).decode("ascii", "replace").strip()
    _parts(line)
    return line


def _parts(line: str) -> tuple[bytes, bytes]:
    found = LINE.fullmatch(line)
    if found is None:
        raise PasswordError("not a password file: write it with `qa-daemon people password`")
    return bytes.fromhex(found[1]), bytes.fromhex(found[2])


def _key(password: str, salt: bytes) -> bytes:
    # One character can be typed as one code point or as two: they are the same password.
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(text, salt=salt, n=N, r=R, p=P, maxmem=2**26, dklen=KEY_BYTES)
