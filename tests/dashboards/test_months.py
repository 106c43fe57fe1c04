"""Months on the pages: who gets them, what they hold, and that nobody waits for them."""

from __future__ import annotations

import hashlib
import http.client
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dashboards.web import months
from tests.dashboards.clinic import PATIENT, fill
from tests.dashboards.serving import Served
from tests.dashboards.visiting import Visitor, clinic_with_people

pytestmark = pytest.mark.xdist_group("months")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with clinic_with_people(tmp_path_factory.mktemp("months")) as served:
        fill(served.clinic, days=5)
        yield served


def signed_in(served: Served, name: str = "Physicist A") -> Visitor:
    visitor = Visitor(served)
    visitor.sign_in(name=name)
    return visitor


@pytest.fixture(scope="module")
def physicist(clinic: Served) -> Visitor:
    return signed_in(clinic)


def download(visitor: Visitor, served: Served, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
    cookie = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    connection.request("GET", path, headers={"Cookie": cookie})
    got = connection.getresponse()
    content = got.read()
    connection.close()
    return got.status, {k.lower(): v for k, v in got.headers.items()}, content


def test_the_page_lists_months_with_results(physicist: Visitor) -> None:
    page = physicist.get("/export")
    assert page.status == 200
    assert 'href="/export/2026-03.pdf"' in page.text and 'href="/export/2026-02.zip"' in page.text
    assert "2026-01" not in page.text
    assert "January 1970" in page.text  # by the time of writing of a file that cannot be read
    assert page.text.index("March 2026") < page.text.index("February 2026")
    assert "incomplete" in page.text and PATIENT not in page.text


def test_document_and_package_agree(clinic: Served, physicist: Visitor) -> None:
    visitor = physicist
    status, headers, pdf = download(visitor, clinic, "/export/2026-02.pdf")
    assert (status, headers["content-type"]) == (200, "application/pdf")
    assert headers["content-disposition"] == 'attachment; filename="qa-2026-02.pdf"'
    assert headers["cache-control"] == "private, no-store"
    status, headers, packed = download(visitor, clinic, "/export/2026-02.zip")
    assert (status, headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(packed)) as package:
        assert package.testzip() is None
        assert package.read("qa-2026-02.pdf") == pdf
        sums = package.read("qa-2026-02.sha256").decode().splitlines()
        for line in sums:
            told, _, name = line.partition("  ")
            assert hashlib.sha256(package.read(name)).hexdigest() == told
        assert len(package.namelist()) == len(sums) + 1 == 5
    # Signing in again, in another session, changes nothing of what is told.
    assert download(signed_in(clinic), clinic, "/export/2026-02.zip")[2] == packed


@pytest.mark.parametrize("path", ["/export", "/export/2026-02.pdf", "/export/2026-02.zip"])
def test_it_is_for_physicists(clinic: Served, path: str) -> None:
    status, headers, _ = download(Visitor(clinic), clinic, path)
    assert status == 303 and headers["location"].startswith("/sign-in?next=%2Fexport")
    assert download(signed_in(clinic, "Reader B"), clinic, path)[0] == 403


@pytest.mark.parametrize(
    "name", ["2026-13", "2026-2", "2026-02-01", "..%2f..%2fetc", "x", "0000-01"]
)
def test_what_is_no_month_is_not_there(clinic: Served, physicist: Visitor, name: str) -> None:
    assert download(physicist, clinic, f"/export/{name}.pdf")[0] == 404
    assert download(physicist, clinic, f"/export/{name}.zip")[0] == 404


def test_others_are_served_while_a_month_is_made(
    clinic: Served, physicist: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*_: Any) -> bytes:
        begun.set()
        assert go_on.wait(30)
        return b"%PDF"

    monkeypatch.setattr(months, "month_pdf", slow)
    visitor, found = physicist, []
    thread = threading.Thread(
        target=lambda: found.append(download(visitor, clinic, "/export/2026-02.pdf"))
    )
    thread.start()
    try:
        assert begun.wait(30)
        assert clinic.get("/").status == 200
        status, _, text = download(visitor, clinic, "/export/2026-02.zip")
        assert status == 503 and b"try again in a minute" in text
    finally:
        go_on.set()
        thread.join()
    assert found[0][0] == 200
    assert download(visitor, clinic, "/export/2026-02.zip")[0] == 200


def test_nothing_is_left_on_the_disk(
    clinic: Served, physicist: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []
    write = months.write_zip

    def watched(files: Any, path: Path) -> None:
        made.append(path.parent)
        write(files, path)

    monkeypatch.setattr(months, "write_zip", watched)
    assert download(physicist, clinic, "/export/2026-02.zip")[0] == 200
    assert made and not made[0].exists()
