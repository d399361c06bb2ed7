"""What carries any ASGI app: the process model, the verbs, the reader of settings. Keep it; `app/` is yours."""
