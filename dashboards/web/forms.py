"""What browsers send: read within bounds, and only from our own pages.

A form comes from our pages when the browser says so (`Sec-Fetch-Site`, `Origin`; OWASP Cross-Site
Request Forgery Prevention Cheat Sheet, and Fetch Metadata) and it carries the session's own token.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from fastapi import HTTPException, Request

MOST_BYTES = 64 * 1024
MOST_FIELDS = 100
MOST_FIELDS_OF_CHECK = 600
"""A check of a kV unit: up to 20 readings for every beam."""
CHECK = re.compile(r"/units/.+/check")
LONGEST_S = 10.0
LONGEST_NUMBER = 15
FORM = "application/x-www-form-urlencoded"
TOKEN = "token"  # noqa: S105 - the name of the field
THIS_COMPUTER = ("127.0.0.1", "localhost", "::1")


class Refusal(HTTPException):
    """A request that is not answered; title and sentence are for people."""

    def __init__(self, status: int, title: str, sentence: str) -> None:
        super().__init__(status, sentence)
        self.title, self.sentence = title, sentence


def refuse_other_sites(request: Request, public_url: str) -> None:
    """Raise `Refusal` for a request that another site, or no page at all, made the browser send."""
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    # Our pages send no referrer, and with it browsers send the origin `null`.
    is_told = origin is not None and origin != "null"
    ours = _is_ours(origin or "", headers.get("host", ""), public_url) if is_told else None
    if site not in (None, "same-origin") or ours is False or (site is None and not ours):
        raise Refusal(
            403,
            "Not from these pages",
            "Nothing was done: the browser does not say that the form is from these pages. Open "
            "them by https, or on this computer, at the address that the site file names.",
        )


def most_fields(path: str) -> int:
    """How many fields a form that is sent there may have."""
    return MOST_FIELDS_OF_CHECK if CHECK.fullmatch(path) else MOST_FIELDS


async def read(request: Request, most: int = MOST_FIELDS) -> Mapping[str, str]:
    """The fields of a form, `most` at most.

    Raises `Refusal` for anything else, too much of it, or a slow one.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise Refusal(415, "Not a form", "Nothing was done: only a form can be sent to this page.")
    try:
        async with asyncio.timeout(LONGEST_S):
            body = await _body(request)
    except TimeoutError:
        raise Refusal(408, "Too slow", "Nothing was done: the form did not arrive whole.") from None
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=most,
        )
    except ValueError:
        pairs = [("", ""), ("", "")]
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Refusal(400, "Not understood", "Nothing was done: the form is not whole.")
    return fields


def whole_number(text: str) -> int:
    """A number out of a form.  Raises `Refusal`."""
    if not text.isascii() or not text.isdigit() or len(text) > LONGEST_NUMBER:
        raise Refusal(400, "Not understood", "Nothing was done: the form is not whole.")
    return int(text)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise Refusal(413, "Too large", "Nothing was done: the form is larger than any here.")
    return bytes(body)


def _is_ours(origin: str, host: str, public_url: str) -> bool:
    """The published address; or this computer's own, also at the near end of an SSH tunnel."""
    if origin == _origin(public_url):
        return True
    return urlsplit(f"//{host}").hostname in THIS_COMPUTER and origin == f"http://{host}"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
