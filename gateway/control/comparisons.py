"""Reports of compared answers over the control API: as JSON, as Markdown, and as pages for a browser."""

from __future__ import annotations

import asyncio
import difflib
import errno
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.tap.report.markdown import markdown
from gateway.tap.report.model import REPORT, Damaged, Report, place_of
from gateway.tap.report.page import overview, page

_log = logging.getLogger("gateway.comparisons")

# The page needs its own style and nothing else, and what it tells comes from models and clients.
_ALONE = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
_API, _PAGES = "/v1/comparisons", "/comparisons"


class Comparisons:
    """The routes below `/v1/comparisons` and `/comparisons`.

    Args:
        folder: where the tap process writes the reports; it need not exist.
    """

    pages: ClassVar[Mapping[str, str]] = {"comparisons": _API, "pages of comparisons": _PAGES}

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def routes(self) -> list[Route]:
        """What is answered."""
        pair = "/{route}/{mirror:path}"  # whose name is free text
        return [
            Route(_API, self._list),
            Route(f"{_API}{pair}/report.md", self._markdown),
            Route(f"{_API}{pair}", self._show),
            Route(_PAGES, self._overview),
            Route(f"{_PAGES}{pair}", self._page),
        ]

    async def _list(self, _: Request) -> Response:
        reports = await asyncio.to_thread(self._all)
        return JSONResponse({"comparisons": [_summary(report) for report in reports]})

    async def _show(self, request: Request) -> Response:
        return await self._rendered(request, lambda report: JSONResponse(report.as_dict()))

    async def _markdown(self, request: Request) -> Response:
        media_type = "text/markdown"
        return await self._rendered(request, lambda report: PlainTextResponse(markdown(report), media_type=media_type))

    async def _overview(self, _: Request) -> Response:
        def render() -> str:
            reports = self._all()
            return overview(reports, {(each.route, each.mirror): _address(_PAGES, each) for each in reports})

        return HTMLResponse(await asyncio.to_thread(render), headers=_ALONE)

    async def _page(self, request: Request) -> Response:
        def render(report: Report) -> Response:
            json = _address(_API, report)
            links = {"All comparisons": _PAGES, "JSON": json, "Markdown": f"{json}/report.md"}
            return HTMLResponse(page(report, links), headers=_ALONE)

        return await self._rendered(request, render)

    async def _rendered(self, request: Request, render: Callable[[Report], Response]) -> Response:
        route, mirror = request.path_params["route"], request.path_params["mirror"]

        def answer() -> Response:
            return render(self._report(route, mirror))

        return await asyncio.to_thread(answer)

    def _report(self, route: str, mirror: str) -> Report:
        """The report of the pair that the path names.

        Raises:
            HTTPException: there is none, or it cannot be read.
        """
        try:
            return _read(place_of(self._folder, route, mirror) / REPORT)
        except FileNotFoundError:
            known = [f"{each.route}/{each.mirror}" for each in self._all()]
        except (OSError, Damaged) as error:
            _log.error("the report of route %s with %s cannot be read: %s", route, mirror, error)
            raise HTTPException(500, f"the report of {route}/{mirror} cannot be read; the log says why") from None
        near = difflib.get_close_matches(f"{route}/{mirror}", known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none yet'}"
        raise HTTPException(404, f"nothing is known of route {route!r} with {mirror!r}; {hint}")

    def _all(self) -> list[Report]:
        """All reports that can be read, by their names."""
        reports = []
        for path in self._folder.glob(f"*/*/{REPORT}"):
            try:
                reports.append(_read(path))
            except FileNotFoundError:  # it has just been put aside, for a new one
                continue
            except (OSError, Damaged) as error:
                _log.error("%s is left out: %s", path, error)
        return sorted(reports, key=lambda report: (report.route, report.mirror))


def _read(path: Path) -> Report:
    try:
        return Report.decoded(path.read_bytes())
    except OSError as error:
        if isinstance(error, FileNotFoundError) or error.errno == errno.ENAMETOOLONG:
            raise FileNotFoundError(path) from None
        raise


def _summary(report: Report) -> dict[str, Any]:
    counts = report.counts
    return {
        "route": report.route,
        "mirror": report.mirror,
        "baseline": str(report.baseline),
        "candidate": str(report.candidate),
        "agreement": counts.agreement,
        "agreed": counts.agreed,
        "differed": counts.differed,
        "unreadable": counts.unreadable,
        "kept": report.kept,
        "first": report.first,
        "last": report.last,
        "page": _address(_PAGES, report),
    }


def _address(base: str, report: Report) -> str:
    return f"{base}/{quote(report.route, safe='')}/{quote(report.mirror, safe='~')}"
