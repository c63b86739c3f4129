"""Spans of requests by FastAPI's own telemetry, where they are asked for and OpenTelemetry's SDK is installed."""

from __future__ import annotations

import logging
import sys
from typing import Any

from fastapi.telemetry import TelemetryConfig

from recsys_lab.serving.logs import log

OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
# FastAPI writes these into every span; a path has the id of a user, a query may have one
_IDS = ("url.path", "url.query")


def telemetry(where: str) -> TelemetryConfig:
    """FastAPI's setting. ``where``: "" for no spans, "console", or the URL of an OTLP collector."""
    if not where:
        return OFF
    try:
        provider = _provider(where)
    except ImportError as error:
        log(
            f"no tracing: {error.name} is missing; pip install opentelemetry-exporter-otlp-proto-http",
            level=logging.WARNING,
        )
        return OFF
    return {**OFF, "tracing": True, "tracer_provider": provider, "operation_spans": False}


def _provider(where: str) -> Any:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

    class WithoutIds(SpanProcessor):
        """Ids of users leave this process only as salted hashes."""

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            """Hide what may hold one."""
            span.set_attributes({name: "[hidden]" for name in _IDS if name in span.attributes})

    provider = TracerProvider(resource=Resource.create({"service.name": "recsys_lab"}), shutdown_on_exit=False)
    provider.add_span_processor(WithoutIds())
    if where == "console":
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stdout)))
        return provider
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=where)))
    return provider
