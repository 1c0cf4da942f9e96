"""The application: every answer is read from disk; names are looked up, never turned into paths."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Query, Response
from fastapi.responses import StreamingResponse

from sis_engine.commands.status import open_ledger
from sis_engine.report.page import asset as report_asset
from sis_engine.service.following import last_lines
from sis_engine.service.places import NAME, Places
from sis_engine.service.views import Board, View, as_json
from sis_engine.service.web.drawings import Drawings
from sis_engine.service.web.guard import Guard
from sis_engine.service.web.metrics import metrics_text
from sis_engine.service.web.shapes import Campaign, Campaigns, Drawn, Event, Fault
from sis_engine.service.web.stream import Stream, line_of

Name = Annotated[str, Path(pattern=f"^{NAME.pattern}$", description="A name of /api/campaigns")]
DOOR: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"text/plain": {"schema": {"type": "string"}}}}
    for status, text in (
        (400, "No address here has such characters"),
        (401, "The token is missing or wrong"),
        (403, "Not a name of this server"),
        (405, "This server is only read"),
        (414, "The address is too long"),
        (431, "The headers are too long"),
    )
}
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Fault, "description": "No such name"}}
"""What :class:`Guard` answers, for the OpenAPI description."""

ASSETS: dict[str, tuple[str, Callable[[], str]]] = {
    "report.css": ("text/css", partial(report_asset, "report.css")),
    "viewer.js": ("text/javascript", partial(report_asset, "viewer.js")),
    "dashboard.css": ("text/css", lambda: _own("dashboard.css")),
    "dashboard.js": ("text/javascript", lambda: _own("dashboard.js")),
}
"""Every file the page needs, by the only names under which they can be asked for."""


def _own(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


class Answers:
    """What the routes answer from."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.stream = Stream(Board(places))
        self.drawings = Drawings(places)

    async def view(self, name: str) -> View:
        """A campaign by name, out of those that are there. 404 for any other."""
        view = (await self.stream.now()).views.get(name)
        if view is None:
            raise HTTPException(404, f"there is no campaign {name}")
        return view

    async def drawn(self, name: str, draw: Callable[[str, str], str]) -> Response:
        view = await self.view(name)
        if view.unreadable is not None:
            raise HTTPException(404, view.unreadable)
        return _json(await asyncio.to_thread(draw, name, view.version))


def make_app(places: Places, *, token: str, hosts: tuple[str, ...]) -> Guard:
    """The application behind its guard."""
    answers = Answers(places)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await answers.stream.close()

    app = FastAPI(
        title="sis-engine",
        description="Campaigns of one root folder, read-only.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # their pages fetch scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        responses=DOOR,
    )
    _add_api(app, answers)
    _add_details(app, answers)
    _add_page(app, answers)
    return Guard(app, token=token, hosts=hosts)


def _add_api(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/campaigns", response_model=Campaigns)
    async def campaigns() -> Response:
        """Every campaign in one line."""
        shown = await answers.stream.now()
        lines = [line_of(view) for view in shown.views.values()]
        return _json(json.dumps({"campaigns": lines, "daemon_beat": shown.beat}))

    @app.get("/api/campaigns/{name}", response_model=Campaign, responses=MISSING)
    async def campaign(name: Name) -> Response:
        """One campaign in full."""
        view = await answers.view(name)
        return _json(json.dumps(as_json(view), ensure_ascii=False, allow_nan=False))

    @app.get(
        "/api/stream",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def stream(
        campaign: Annotated[str | None, Query(pattern=f"^{NAME.pattern}$")] = None,
    ) -> StreamingResponse:
        """Server-sent events: `board`, and `campaign` and `live` of the one that is named."""
        events = answers.stream.events(campaign)
        return StreamingResponse(events, media_type="text/event-stream")


def _add_details(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/campaigns/{name}/figures", response_model=list[Drawn], responses=MISSING)
    async def figures(name: Name) -> Response:
        """Live T(t) and E(t), lives, survival, errors, cost, and the MD of the last generations."""
        return await answers.drawn(name, answers.drawings.figures)

    @app.get("/api/campaigns/{name}/scenes", response_model=list[dict[str, Any]], responses=MISSING)
    async def scenes(name: Name) -> Response:
        """The last frames of replicas that ended in a catastrophe."""
        return await answers.drawn(name, answers.drawings.scenes)

    @app.get("/api/campaigns/{name}/log", response_model=list[str], responses=MISSING)
    async def log(name: Name, lines: Annotated[int, Query(ge=1, le=1000)] = 100) -> Response:
        """The last lines of its log."""
        view = await answers.view(name)
        found = await asyncio.to_thread(last_lines, answers.places.campaign(view.name), lines)
        return _json(json.dumps(found))

    @app.get("/api/campaigns/{name}/events", response_model=list[Event], responses=MISSING)
    async def events(
        name: Name,
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    ) -> Response:
        """Entries of its event log above a number, oldest first; the last of them."""
        view = await answers.view(name)
        if view.unreadable is not None:
            raise HTTPException(404, view.unreadable)
        found = await asyncio.to_thread(_events, answers.places, view.name, after, limit)
        return _json(json.dumps(found))


def _events(places: Places, name: str, after: int, limit: int) -> list[dict[str, Any]]:
    with open_ledger(places.campaign(name)) as ledger:
        rows = ledger.events(after=after, limit=limit)
    return [
        {"seq": row.seq, "time": row.time, "level": row.level, "kind": row.kind, "text": row.text}
        for row in rows
    ]


def _add_page(app: FastAPI, answers: Answers) -> None:
    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """For Prometheus."""
        text = metrics_text(await answers.stream.now(), answers.places)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(_own("dashboard.html"), media_type="text/html; charset=utf-8")

    @app.get("/assets/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404, "no such asset")
        kind, text = ASSETS[name]
        return Response(text(), media_type=f"{kind}; charset=utf-8")


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
