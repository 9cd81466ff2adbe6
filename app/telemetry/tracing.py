"""Spans of requests and builds for OpenTelemetry, if an endpoint is set: the extra ``nixery[otel]``.

The SDK is imported on demand, and sends spans from a thread of its own.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.errors import Unavailable
from app.telemetry.log import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_SERVICE = "nixery"
# Spans that wait to be sent; more are dropped.
_QUEUED = 2048
_SEND_SECONDS = 10
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Traced:
    """A piece of work that has ended; times are those of the monotonic clock, in seconds."""

    name: str
    begun: float
    ended: float
    attributes: Mapping[str, str | int | float]
    failed: bool = False


class Tracing:
    """A queue of spans that are sent to one endpoint."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(_SERVICE, VERSION)

    def record(self, work: Traced, parts: Mapping[str, Interval] | None = None) -> None:
        """Queue a span, with a child for each part; never waits."""
        from opentelemetry import trace  # noqa: PLC0415  # an extra
        from opentelemetry.context import Context  # noqa: PLC0415  # an extra

        offset = time.time_ns() - time.monotonic_ns()
        span = self._tracer.start_span(
            work.name,
            context=Context(),
            attributes=work.attributes,
            start_time=_nanoseconds(work.begun, offset),
        )
        within = trace.set_span_in_context(span, Context())
        for name, (begun, ended) in (parts or {}).items():
            child = self._tracer.start_span(
                name, context=within, start_time=_nanoseconds(begun, offset)
            )
            child.end(_nanoseconds(ended, offset))
        if work.failed:
            span.set_status(trace.StatusCode.ERROR)
        span.end(_nanoseconds(work.ended, offset))

    def close(self) -> None:
        """Send what is queued, for some seconds at most.  Blocks."""
        self._provider.shutdown()


def open_tracing(endpoint: str) -> Tracing:
    """Start to send spans to ``endpoint``, which takes OTLP over HTTP.

    Raises Unavailable if the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        raise Unavailable(
            "NIXERY_OTLP_ENDPOINT needs OpenTelemetry: install nixery[otel]"
        ) from None
    resource = Resource.create({"service.name": _SERVICE, "service.version": VERSION})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_SEND_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=_QUEUED))
    return Tracing(provider)


def _nanoseconds(seconds: float, offset: int) -> int:
    return int(seconds * 1e9) + offset
