"""The part that serves any ASGI app: process model, verbs and settings. Keep it; `app/` is yours."""
