"""The names of the server's metrics, with their types and texts: what dashboards, rules and pages may use."""

from slipway.metrics import layout

DURATION = "http_server_request_duration_seconds"  # OpenTelemetry's http.server.request.duration
LAG = "slipway_event_loop_lag_seconds"

# Name, type and help, then the place in a worker's figures (in DIRECTED: of received and of sent).
PER_SLOT = (
    ("http_server_active_requests", "gauge", "Requests under way, without streams.", layout.REQUESTS),
    ("slipway_active_streams", "gauge", "Answers that are streams and go on.", layout.STREAMS),
    ("slipway_active_websockets", "gauge", "Open websockets.", layout.WEBSOCKETS),
    ("slipway_worker_cpu_seconds", "counter", "CPU time of the slot's workers.", layout.CPU),
    ("slipway_log_lines_dropped", "counter", "Lines that stdout did not take.", layout.DROPPED),
)
DIRECTED = (
    ("slipway_websocket_messages", "Messages of websockets.", layout.MESSAGES_IN, layout.MESSAGES_OUT),
    ("slipway_websocket_message_bytes", "Bytes of websockets' messages.", layout.BYTES_IN, layout.BYTES_OUT),
)
COLLECTIONS = "slipway_worker_garbage_collections"
MEMORY = "slipway_worker_resident_memory_bytes"
SILENCE = "slipway_worker_heartbeat_age_seconds"
QUEUE = "slipway_listener_queue_length"
# Of the server as a whole: name, type, help, label.
OF_SERVER = (
    ("slipway_workers", "gauge", "Workers that should run.", ""),
    ("slipway_workers_ready", "gauge", "Workers that are ready and do not drain.", ""),
    ("slipway_start_time_seconds", "gauge", "When the server was started, as a Unix time.", ""),
    ("slipway_worker_restarts", "counter", "Workers that have ended, by cause.", "cause"),
    ("slipway_reloads", "counter", "Reloads, by result.", "result"),
    ("slipway_unclean_drains", "counter", "Workers that did not end cleanly.", ""),
    ("slipway_arbiter_faults", "counter", "Errors in the arbiter's own steps.", ""),
    ("slipway_arbiter_log_lines_dropped", "counter", "Lines of the arbiter that stdout did not take.", ""),
)
