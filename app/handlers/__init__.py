"""Handlers, one file per topic: each validates, calls a service and answers."""
