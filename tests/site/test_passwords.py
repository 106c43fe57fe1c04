"""Passwords: what fits, what does not, and what is no password file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from qa_daemon.site import passwords
from qa_daemon.site.passwords import PasswordError

GOOD = "twelve leaves in a row"


@pytest.fixture(scope="module")
def line() -> str:
    return passwords.line_of(GOOD)


def test_the_derived_key_is_that_of_rfc_7914(monkeypatch: pytest.MonkeyPatch) -> None:
    # RFC 7914, section 12, third test vector: N = 16384, r = 8, p = 1, of 64 bytes.
    for name, value in (("N", 16384), ("R", 8), ("P", 1), ("KEY_BYTES", 64)):
        monkeypatch.setattr(passwords, name, value)
    key = passwords._key("pleaseletmein", b"SodiumChloride")
    assert key.hex().startswith("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")


def test_only_the_password_itself_fits(line: str) -> None:
    assert passwords.fits(GOOD, line)
    for wrong in (GOOD[:-1], GOOD + " ", GOOD.upper(), "", line, "x" * 5000):
        assert not passwords.fits(wrong, line)


def test_a_line_never_repeats_and_does_not_hold_the_password(line: str) -> None:
    assert passwords.line_of(GOOD) != line
    assert GOOD not in line and line.startswith("scrypt$32768$8$3$")


def test_a_character_may_be_typed_as_one_code_point_or_as_two() -> None:
    composed = "schöne Blätter im Feld"
    line = passwords.line_of(composed)
    assert passwords.fits(unicodedata.normalize("NFD", composed), line)


def test_the_longest_password_fits_and_a_longer_one_with_the_same_start_does_not() -> None:
    longest = "x" * passwords.LONGEST
    line = passwords.line_of(longest)
    assert passwords.fits(longest, line)
    assert not passwords.fits(longest + "x", line)


@pytest.mark.parametrize("bad", ["", "short", "x" * (passwords.LONGEST + 1)])
def test_a_password_too_short_or_too_long_is_refused(bad: str) -> None:
    with pytest.raises(PasswordError, match="12 to 256 characters"):
        passwords.line_of(bad)


def test_somebody_without_a_password_costs_as_much_and_never_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []
    derive = passwords._key

    def counted(password: str, salt: bytes) -> bytes:
        made.append(salt)
        return derive(password, salt)

    monkeypatch.setattr(passwords, "_key", counted)
    assert not passwords.fits(GOOD, None)
    assert not passwords.fits("", None)
    assert [len(salt) for salt in made] == [16, 16]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"twelve leaves in a row\n",
        b"scrypt$2$8$3$" + b"00" * 16 + b"$" + b"00" * 32,
        b"scrypt$32768$8$3$" + b"00" * 16 + b"$" + b"00" * 31,
        b"scrypt$32768$8$3$" + b"00" * 16 + b"$" + b"00" * 32 + b"\nmore",
        b"\xff" * 100,
    ],
)
def test_another_file_is_refused_without_repeating_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(PasswordError) as why:
        passwords.read(tmp_path / "file")
    assert str(why.value) == "not a password file: write it with `qa-daemon people password`"


def test_a_file_is_read_with_or_without_a_line_end(tmp_path: Path, line: str) -> None:
    for end in ("", "\n", "\r\n"):
        (tmp_path / "file").write_text(line + end)
        assert passwords.read(tmp_path / "file") == line
