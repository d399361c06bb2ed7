"""The layout of a worker's figures in memory: an array of doubles, first single figures, then a row for each series.

Names and limits of the histogram are OpenTelemetry's:
https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#metric-httpserverrequestduration
"""

from typing import Final

DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
GENERATIONS: Final = 3  # of the garbage collector

DOUBLE: Final = 8  # bytes

# Single figures. Counters first, so that those of a worker that has ended can be added to its slot's.
USED, MESSAGES_IN, MESSAGES_OUT, BYTES_IN, BYTES_OUT, CPU, DROPPED = range(7)
COLLECTIONS: Final = 7
LAG: Final = COLLECTIONS + GENERATIONS  # one bucket more than LAGS, and the sum
COUNTERS_END: Final = LAG + len(LAGS) + 2
REQUESTS, STREAMS, WEBSOCKETS = range(COUNTERS_END, COUNTERS_END + 3)
RELOADS: Final = COUNTERS_END + 3  # of the server; written by the arbiter
FIGURES: Final = COUNTERS_END + 4

# A series: its name in bytes, then one bucket more than DURATIONS, and the sum.
NAME_BYTES: Final = 160
NAME: Final = NAME_BYTES // DOUBLE
VALUES: Final = len(DURATIONS) + 2
SUM: Final = VALUES - 1
ROW: Final = NAME + VALUES
ROWS: Final = 400
SIZE: Final = (FIGURES + ROWS * ROW) * DOUBLE

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
OTHER: Final = "_OTHER"  # OpenTelemetry's word
