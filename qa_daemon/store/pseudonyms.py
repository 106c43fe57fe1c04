"""What a patient is called on pages and in tables: a name that only this clinic's key can make.

The same patient has the same pseudonym for as long as the key is kept.  Whoever has the key and a
list of patient ids can tell who is who, so it stays in the state folder, for the service alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from sqlalchemy import select

from qa_daemon.store.schema import patients
from qa_daemon.store.store import Store, StoreError

KEY_BYTES = 32
LETTERS = 10
PERSON_LETTERS = 6
PUT_BACK = "put it back from a backup; with a new one, every patient would get another pseudonym"


class Pseudonyms:
    """Makes pseudonyms with the site's key, which is made when the store is new.

    Raises `StoreError` when the key of a store with patients is gone, or not fit to be used.
    """

    def __init__(self, state_dir: Path, store: Store) -> None:
        path = state_dir / "pseudonym.key"
        if not path.exists():
            with store.read() as connection:
                if connection.execute(select(patients.c.pseudonym).limit(1)).first() is not None:
                    raise StoreError(f"{path} is gone: {PUT_BACK}")
            _make(path)
        self._key = _read(path)

    def of(self, patient_id: str | None) -> str | None:
        """`P-` and ten letters and digits; None where the file does not say whose it is.

        Ids that differ in case and spaces alone are one patient's.
        """
        plain = "".join((patient_id or "").casefold().split())
        if not plain:
            return None
        return f"P-{self._letters(plain)[:LETTERS]}"

    def of_person(self, name: str) -> str:
        """`U-` and six letters and digits: what a check calls whoever entered it."""
        return f"U-{self._letters(f'person{chr(0)}{name}')[:PERSON_LETTERS]}"

    def _letters(self, text: str) -> str:
        digest = hmac.digest(self._key, text.encode(), hashlib.sha256)
        return base64.b32encode(digest).decode()


def _read(path: Path) -> bytes:
    key = path.read_bytes()
    if path.stat().st_mode & 0o077:
        raise StoreError(
            f"{path} can be read by others: with it, patient ids can be told from pseudonyms. "
            "Take their rights away: chmod 600"
        )
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path} has {len(key)} bytes, not {KEY_BYTES}: {PUT_BACK}")
    return key


def _make(path: Path) -> None:
    """A new key, durable before it is used."""
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(secrets.token_bytes(KEY_BYTES))
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
