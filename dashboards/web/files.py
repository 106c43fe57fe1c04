"""Files that pages load: our own style and script, and plotly.js out of the installed package."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import FileResponse

STATIC = Path(__file__).with_name("static")
OURS = {
    "style.css": "text/css",
    "charts.js": "text/javascript",
    "check.js": "text/javascript",
    "check.css": "text/css",
    "icon.svg": "image/svg+xml",
}
A_DAY = {"Cache-Control": "public, max-age=86400"}


def router() -> APIRouter:
    """Routes below `/static`."""
    routes = APIRouter()

    def plotly_js() -> FileResponse:
        path = plotly_path()
        if path is None:
            raise HTTPException(404)
        return FileResponse(path, media_type="text/javascript", headers=A_DAY)

    def ours(name: str) -> FileResponse:
        if name not in OURS:
            raise HTTPException(404)
        headers = {"Cache-Control": "no-cache"}
        return FileResponse(STATIC / name, media_type=OURS[name], headers=headers)

    for path, serve in (("/static/plotly.min.js", plotly_js), ("/static/{name}", ours)):
        routes.add_api_route(path, serve, methods=["GET", "HEAD"], response_class=FileResponse)
    return routes


@cache
def plotly_path() -> Path | None:
    """Where plotly.js is; found without importing the package, which is heavy."""
    package = find_spec("plotly")
    for folder in package.submodule_search_locations or () if package else ():
        script = Path(folder) / "package_data" / "plotly.min.js"
        if script.is_file():
            return script
    return None
