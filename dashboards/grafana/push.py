"""Dashboards over Grafana's HTTP API, for a Grafana whose disk is not at hand.

Only what grafana-api still does right is used: folders and dashboards, both by uid.  What stands
there as it should is left alone, so that a push without a change makes no new version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dashboards.grafana.dashboard import Dashboard
from dashboards.grafana.panels import Json
from dashboards.grafana.provisioning import FOLDER, FOLDER_UID
from qa_daemon.failures import Unavailable

TIMEOUT_S = 20.0
FROM_FILES, NOT_FOUND, UNKNOWN, DENIED = (400, 409, 412), 404, 401, 403
ITS_OWN = ("id", "version")
"""What Grafana writes into a dashboard itself."""


class BadAddress(Exception):  # noqa: N818 - a fact about what was given
    """The address or the token's file cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """How many dashboards were written, and how many stood there as they should."""

    written: int
    unchanged: int


def push(url: str, token: str, dashboards: Sequence[Dashboard]) -> Pushed:
    """Write the folder and every dashboard.

    Raises `BadAddress`, or `Unavailable` with what to do; neither holds the address or the token.
    """
    grafana = _client(url, token)
    _ask(lambda: _make_folder(grafana))
    written = 0
    for dashboard in dashboards:
        wanted = dashboard.json()
        if _ask(lambda uid=dashboard.uid: _standing(grafana, uid)) == _without_its_own(wanted):
            continue
        body = {
            "dashboard": {**wanted, "id": None},
            "folderUid": FOLDER_UID,
            "overwrite": True,
            "message": "qa-daemon grafana push",
        }
        _ask(lambda body=body: grafana.dashboard.update_dashboard(body))
        written += 1
    return Pushed(written, len(dashboards) - written)


def read_token(path: Path) -> str:
    """The only line of a file.  Raises `BadAddress`."""
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as why:
        reason = why.strerror if isinstance(why, OSError) else "not UTF-8"
        raise BadAddress(f"the token's file cannot be read: {reason}") from None
    if not token or len(token.split()) != 1 or not token.isascii() or not token.isprintable():
        raise BadAddress("the token's file must hold the token of a service account on one line")
    return token


def _client(url: str, token: str) -> Any:
    try:
        from grafana_api.grafana_face import GrafanaFace
    except ImportError:
        raise Unavailable(
            "grafana-api is not installed: install all that QA Daemon needs, or use `render`"
        ) from None
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise BadAddress("an address is written like http://grafana.example.org:3000")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadAddress("the address holds nothing but host, port and path: the token has a file")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.strip("/")
    return GrafanaFace(
        auth=token,
        host=host,
        port=port,
        url_path_prefix=f"{path}/" if path else "",
        protocol=parts.scheme,
        timeout=TIMEOUT_S,
    )


def _make_folder(grafana: Any) -> None:
    from grafana_api.grafana_api import GrafanaClientError

    try:
        grafana.folder.get_folder(FOLDER_UID)
    except GrafanaClientError as why:
        if why.status_code != NOT_FOUND:
            raise
        grafana.folder.create_folder(FOLDER, uid=FOLDER_UID)


def _standing(grafana: Any, uid: str) -> Json | None:
    """The dashboard as it is; None where there is none, or it lies in another folder."""
    from grafana_api.grafana_api import GrafanaClientError

    try:
        found = grafana.dashboard.get_dashboard(uid)
    except GrafanaClientError as why:
        if why.status_code != NOT_FOUND:
            raise
        return None
    if found.get("meta", {}).get("folderUid") != FOLDER_UID:
        return None
    return _without_its_own(found.get("dashboard", {}))


def _without_its_own(dashboard: Json) -> Json:
    return {name: value for name, value in dashboard.items() if name not in ITS_OWN}


def _ask(call: Any) -> Any:
    """One request; a failure in a sentence of our own: the library's hold the address."""
    import requests
    from grafana_api.grafana_api import GrafanaException

    try:
        return call()
    except GrafanaException as why:
        raise Unavailable(_said(why.status_code)) from None
    except requests.exceptions.SSLError:
        raise Unavailable("Grafana's certificate is not accepted by this computer") from None
    except requests.exceptions.Timeout:
        raise Unavailable(f"Grafana did not answer within {TIMEOUT_S:g} s") from None
    except requests.exceptions.ConnectionError:
        raise Unavailable("Grafana does not answer at this address: is it running?") from None
    except (requests.exceptions.RequestException, ValueError, TypeError, AttributeError):
        raise Unavailable("what answers at this address does not speak as Grafana does") from None


def _said(status: int) -> str:
    if status == UNKNOWN:
        return "Grafana does not know this token (401): make a new one for a service account"
    if status == DENIED:
        return "this token may not write dashboards (403): its service account has to be Editor"
    if status in FROM_FILES:
        return (
            "Grafana does not take these dashboards, most likely because it has them from files "
            f"({status}): render there and do not push, or remove its files"
        )
    return f"Grafana answered {status}; its log says why"
