"""Running the service: one process, one event loop, one BLAS thread."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import threading
import time
import urllib.request
import webbrowser
from contextlib import suppress

from recsys_lab.serving.logs import log, set_up
from recsys_lab.serving.memory import give_back
from recsys_lab.serving.rehearsal import rehearse
from recsys_lab.serving.settings import READY, Settings

KEEP_ALIVE = 75  # seconds that an idle connection stays open: longer than proxies keep theirs, so that they close first


def require_address(host: str, port: int) -> None:
    """OSError, saying what would be right, where nothing can listen: known before anything is loaded."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, number) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does: a port just left is free
            probe.bind(address)
    except OSError as error:
        wrong, right = f"nothing can listen at {host}", "an address of this machine, such as 127.0.0.1 or 0.0.0.0"
        if error.errno == errno.EADDRINUSE:
            wrong, right = f"port {port} of {host} is taken", f"another one: --port {port % 65535 + 1}"
        elif error.errno == errno.EACCES:
            wrong, right = f"this user may not listen at port {port}", "a port above 1023"
        raise OSError(f"{wrong} ({error.strerror}); right would be {right}") from None


def serve(settings: Settings, *, open_page: bool = False) -> int:
    """Answer until SIGTERM or Ctrl-C, then end open requests and write what waits for the database.

    The exit code: 1 when accepted events are lost, because neither the database nor the disk took them.
    """
    import uvicorn

    from recsys_lab.serving.app import create_app
    from recsys_lab.serving.draining import GRACE, DrainingServer, leave_after
    from recsys_lab.serving.protocol import Protocol

    registry = {os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")}
    set_up(secrets=settings.secrets() | registry)
    if settings.registry_password:
        os.environ["MLFLOW_TRACKING_PASSWORD"] = settings.registry_password  # where MLflow's client looks for it too
    if settings.kernels and (writable := os.environ.get("NUMBA_CACHE_DIR")):
        shutil.copytree(settings.kernels, writable, dirs_exist_ok=True)  # Numba does not read where it cannot write
    app = create_app(settings)
    app.state.watcher.rehearse, app.state.watcher.after_loading = rehearse, give_back
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Protocol,
        loop="auto",  # uvloop where it is installed
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )
    if open_page:
        threading.Thread(target=_open, args=(settings.host, settings.port), daemon=True).start()
    log("serving", host=settings.host, port=settings.port, model=settings.model, alias=settings.alias)

    def code() -> int:
        return 0 if app.state.n_lost == 0 else 1

    server = DrainingServer(
        config, settings.drain_seconds, app.state.service.drain, lambda drain: leave_after(drain, app.state.end, code)
    )
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # a terminal that is closed ends the replica as SIGTERM does
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    with suppress(KeyboardInterrupt):
        server.run()
    app.state.end()  # a second Ctrl-C ends the server without the app
    log("stopped")
    return code()


def _open(host: str, port: int) -> None:
    page = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(page + READY, timeout=1):
            webbrowser.open(page)
            return
        time.sleep(0.2)
