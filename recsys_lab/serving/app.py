"""The app: ``create_app(settings)`` puts the parts together, and ends them in order."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from recsys_lab import __version__
from recsys_lab.serving.arms import no_model
from recsys_lab.serving.draining import CLOSING
from recsys_lab.serving.errors import Problem, add_error_handlers
from recsys_lab.serving.feedback import Feedback
from recsys_lab.serving.middleware import Around
from recsys_lab.serving.models import Models
from recsys_lab.serving.monitoring import Monitoring
from recsys_lab.serving.openapi import describe
from recsys_lab.serving.recent import Follow, Recent
from recsys_lab.serving.reload import Watcher
from recsys_lab.serving.retention import Retention
from recsys_lab.serving.routes import answer, router, service_of
from recsys_lab.serving.service import Service
from recsys_lab.serving.settings import HEALTH, METRICS, READY, Settings
from recsys_lab.serving.spool import Spool
from recsys_lab.serving.storage import LONGEST, Database
from recsys_lab.serving.tracing import telemetry

STATIC = Path(__file__).with_name("static")


def create_app(settings: Settings) -> FastAPI:
    """The service. Its threads start with the app's lifespan and end with it: what waits for the database is written.

    ``app.state`` holds ``service``, ``models``, ``watcher``, ``feedback``, ``follow``, ``monitoring`` and ``settings``;
    ``end``, which writes what waits; and ``n_lost``, how many accepted events neither the database nor the disk took
    then, None before.
    """
    monitoring, spans = Monitoring(), telemetry(settings.tracing)
    models = Models(monitoring)
    watcher = Watcher(settings, models)
    database, spool = Database(settings.database_url, longest=LONGEST), Spool(settings.bundle_dir / "spool")
    retention = Retention(database, spool.folder, settings.retention_days)
    feedback = Feedback(database, settings.queue_size, spool, retention, monitoring)
    recent = Recent(settings.recent_items)
    follow = Follow(Database(settings.database_url, longest=LONGEST), recent, monitoring)
    service = Service(settings, models, feedback, recent, monitoring)
    ending = threading.Lock()

    def end() -> None:
        with ending:
            if app.state.n_lost is None:
                service.close()
                app.state.n_lost = feedback.close(CLOSING)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        feedback.start()
        follow.start()
        watcher.start()
        yield
        end()
        follow.close()
        watcher.close()
        if provider := spans.get("tracer_provider"):
            provider.shutdown()

    app = FastAPI(
        title="recsys_lab",
        version=__version__,
        lifespan=lifespan,
        telemetry=spans,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    parts = {"service": service, "models": models, "watcher": watcher, "feedback": feedback, "follow": follow}
    for name, part in parts.items():
        setattr(app.state, name, part)
    app.state.monitoring, app.state.settings = monitoring, settings
    app.state.end, app.state.n_lost = end, None
    add_error_handlers(app)
    app.include_router(router)
    _add_probes(app)
    _add_pages(app)
    describe(app)
    hosts = (settings.host.lower(), *settings.hosts)
    app.add_middleware(Around, monitoring=monitoring, api_key=settings.api_key, hosts=hosts)
    return app


def _add_probes(app: FastAPI) -> None:
    async def healthz() -> Response:
        return answer({"status": "alive"})

    async def readyz(request: Request) -> Response:
        service = service_of(request)
        champion = service.models.champion
        if champion is None:
            raise no_model(service.settings)
        if service.draining:
            raise Problem(503, "this replica is about to end; another one answers", headers={"retry-after": "1"})
        return answer(
            {"status": "ready", "version": champion.version.number, "stale": service.models.stale["champion"]}
        )

    async def metrics(request: Request) -> Response:
        text, content_type = service_of(request).monitoring.page()
        return Response(text, headers={"content-type": content_type})

    for path, route in ((HEALTH, healthz), (READY, readyz), (METRICS, metrics)):
        app.add_api_route(path, route, include_in_schema=False)


def _add_pages(app: FastAPI) -> None:
    async def page() -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def docs() -> Response:
        return FileResponse(STATIC / "docs.html", headers={"cache-control": "no-cache"})

    app.add_api_route("/", page, include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
