"""The ASGI app: Django for HTTP, Channels for websockets."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
django = get_asgi_application()  # before anything that imports models

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from .sockets import Talk  # noqa: E402

websockets = AuthMiddlewareStack(URLRouter([path("ws", Talk.as_asgi())]))

application = ProtocolTypeRouter({"http": django, "websocket": websockets})
