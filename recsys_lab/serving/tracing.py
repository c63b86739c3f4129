"""One span a request through OpenTelemetry, where it is asked for and installed; otherwise nothing."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recsys_lab.serving.logs import log


class Tracer:
    """Spans named after the route. ``where``: "" for none, "console", or the URL of an OTLP collector."""

    def __init__(self, where: str) -> None:
        self._tracer: Any = None
        self._provider: Any = None
        if not where:
            return
        try:
            self._provider = _provider(where)
        except ImportError as error:
            log(
                f"no tracing: {error.name} is missing; pip install opentelemetry-exporter-otlp-proto-http",
                level=logging.WARNING,
            )
            return
        self._tracer = self._provider.get_tracer("recsys_lab.serving")

    @contextmanager
    def span(self, scope: Any, headers: dict[bytes, bytes]) -> Iterator[Any]:
        """A span around a request, below the caller's when it sent ``traceparent``; None without tracing."""
        if self._tracer is None:
            yield None
            return
        from opentelemetry.propagate import extract

        parent = {
            name: headers[name.encode()].decode("latin-1") for name in ("traceparent",) if name.encode() in headers
        }
        with self._tracer.start_as_current_span(scope["method"], context=extract(parent)) as span:
            span.set_attribute("request_id", scope["request_id"])
            yield span

    def end(self, span: Any, route: str, status: int) -> None:
        """Name the span, once the route is known."""
        if span is not None:
            span.update_name(route)
            span.set_attributes({"http.route": route, "http.response.status_code": status})

    def close(self) -> None:
        """Send what is not sent."""
        if self._provider is not None:
            self._provider.shutdown()


def _provider(where: str) -> Any:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "recsys_lab"}))
    if where == "console":
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stdout)))
        return provider
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=where)))
    return provider
