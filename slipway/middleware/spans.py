"""Sends spans to a collector by OTLP over HTTP: with OTEL_EXPORTER_OTLP_ENDPOINT set and the extra `otel` installed.

Set up in each worker after the fork, which would not copy its thread, and flushed in the drain. The settings are
OpenTelemetry's own: https://opentelemetry.io/docs/specs/otel/protocol/exporter/. It is imported only if used.
"""

import logging
import os
import threading
import time
from typing import Any

from slipway.environment import Environment
from slipway.middleware.access import route_of
from slipway.middleware.exchange import Exchange
from slipway.middleware.types import ASGIApp, Receive, Scope, Send

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
FLUSH_SECONDS = 1.0  # in the drain; the longest wait for a collector that does not answer

log = logging.getLogger("slipway.traces")


def wanted() -> bool:
    """Whether a collector is configured, and OpenTelemetry's own switch (OTEL_SDK_DISABLED) is not set."""
    env = Environment()
    return any(map(env.text, ENDPOINTS)) and env.text("OTEL_SDK_DISABLED").lower() != "true"


def started_spans(slot: int | None) -> "Spans | None":
    """Return the exporter of this worker; None if it is not wanted or fails, since the worker serves without it."""
    if not wanted():
        return None
    try:
        return Spans(slot)
    except ImportError as error:
        log.error("%s is set, but no span is sent: %s; install the extra `otel`", ENDPOINTS[0], error)
    except Exception:
        log.exception("Spans can't be sent")
    return None


class Spans:
    """Makes a span of each request, with the ids of its records."""

    def __init__(self, slot: int | None) -> None:
        from opentelemetry import context, trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        self._trace: Any = trace
        self._context: Any = context
        self._ids: Any = _ids()
        worker: dict[str, str | int] = {"process.pid": os.getpid(), **({} if slot is None else {"slipway.slot": slot})}
        if not Environment().text("OTEL_SERVICE_NAME"):
            worker["service.name"] = "slipway"
        resource = Resource.create(worker)
        self._provider = TracerProvider(resource=resource, id_generator=self._ids)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        if not isinstance(trace.get_tracer_provider(), TracerProvider):
            trace.set_tracer_provider(self._provider)  # for the app's own spans, unless it has set a provider
        self._tracer = self._provider.get_tracer("slipway")

    def begin(self, scope: Scope, exchange: Exchange) -> Any:
        """Begin the span of a request, as the parent of the spans that the app makes in it."""
        trace = self._trace
        parent = self._context.Context()
        if exchange.parent is not None:
            flags = trace.TraceFlags(1 if exchange.parent.sampled else 0)
            trace_id, span_id = int(exchange.parent.trace_id, 16), int(exchange.parent.span_id, 16)
            remote = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)
            parent = trace.set_span_in_context(trace.NonRecordingSpan(remote), parent)
        self._ids.next(exchange.trace_id, exchange.span_id)
        method = scope.get("method", "WEBSOCKET")
        span = self._tracer.start_span(method, parent, kind=trace.SpanKind.SERVER, start_time=time.time_ns())
        self._context.attach(trace.set_span_in_context(span))
        return span

    def end(self, span: Any, scope: Scope, exchange: Exchange, status: int) -> None:
        """End a request's span. Names are OpenTelemetry's for HTTP servers; the query may be secret and is left out."""
        if span.is_recording():
            route = route_of(scope)
            method, client = scope.get("method", "WEBSOCKET"), scope.get("client")
            span.update_name(f"{method} {route}" if route else method)
            span.set_attributes(
                {
                    "http.request.method": method,
                    "http.response.status_code": status,
                    "url.path": scope.get("path", ""),
                    "url.scheme": scope.get("scheme", "http"),
                    "request.id": exchange.request_id,
                    **({"http.route": route} if route else {}),
                    **({"client.address": client[0]} if client else {}),
                }
            )
            if status >= 500:
                span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def flush(self) -> None:
        """Send the remaining spans in at most FLUSH_SECONDS, at the end of the worker."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)
        if ending.is_alive():
            log.warning("The collector does not answer; the last spans are lost")


class Traced:
    """Wraps an app, within the guard: makes a span for each request and websocket."""

    def __init__(self, app: ASGIApp, spans: Spans) -> None:
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = scope.get("state", {}).get("exchange")
        if exchange is None:  # no request
            return await self._app(scope, receive, send)
        span, failed = self._spans.begin(scope, exchange), True
        try:
            await self._app(scope, receive, send)
            failed = False
        except Exception as error:
            span.record_exception(error)
            raise
        finally:
            self._spans.end(span, scope, exchange, 500 if failed or not exchange.status else exchange.status)


def _ids() -> Any:
    """Return an id generator: a request's span gets the ids of its records, other spans random ones."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        _given: tuple[int, int] | None = None

        def next(self, trace_id: str, span_id: str) -> None:
            self._given = int(trace_id, 16), int(span_id, 16)

        def generate_trace_id(self) -> int:
            if self._given is not None:
                return self._given[0]
            return super().generate_trace_id()

        def generate_span_id(self) -> int:
            given, self._given = self._given, None
            return given[1] if given is not None else super().generate_span_id()

    return Ids()
