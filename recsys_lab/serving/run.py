"""Running the service: one process, one event loop, one BLAS thread."""

from __future__ import annotations

import gc
import threading
import time
import urllib.request
import webbrowser
from contextlib import suppress

from recsys_lab.serving.logs import log, set_up
from recsys_lab.serving.settings import READY, Settings

GRACE = 10  # seconds that open requests have at the end


def serve(settings: Settings, *, open_page: bool = False) -> None:
    """Answer until SIGTERM or Ctrl-C, then end open requests and write what waits for the database."""
    import uvicorn

    from recsys_lab.serving.app import create_app

    set_up()
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
    )
    if open_page:
        threading.Thread(target=_open, args=(settings.host, settings.port), daemon=True).start()
    log("serving", host=settings.host, port=settings.port, model=settings.model, alias=settings.alias)
    gc.collect()
    gc.freeze()  # what is loaded now stays: the collector need not look at it again
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run()
    log("stopped")


def _open(host: str, port: int) -> None:
    page = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(page + READY, timeout=1):
            webbrowser.open(page)
            return
        time.sleep(0.2)
