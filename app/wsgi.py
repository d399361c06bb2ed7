"""The benchmark's WSGI baseline, without a framework: users and bench endpoints with byte for byte the same bodies.

gunicorn -k gthread app.wsgi:application
"""

import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from random import getrandbits
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from app.asgi.errors import HTTPError
from app.asgi.request import parse_json, parse_query, too_large
from app.asgi.response import NO_STORE, Response
from app.asgi.routing import Route, Routes
from app.asgi.standalone import REQUEST_ID
from app.config import AppSettings
from app.handlers import bench
from app.handlers import users as shared
from app.main import unavailable
from app.services import users, work
from app.services.database import sync_engine
from app.services.errors import NameTaken, Unavailable
from app.services.users import BlockingUsers, ping


class Call:
    """One request; the counterpart of `app.asgi.request.Request` in the ASGI app."""

    def __init__(self, environ: WSGIEnvironment, params: dict[str, str], max_body_bytes: int) -> None:
        self.environ = environ
        self.params = params
        self.max_body_bytes = max_body_bytes

    @property
    def query(self) -> dict[str, str]:
        return parse_query(self.environ.get("QUERY_STRING", "").encode("latin-1"))

    def body(self) -> bytes:
        if int(self.environ.get("CONTENT_LENGTH") or 0) > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        body: bytes = self.environ["wsgi.input"].read(self.max_body_bytes + 1)
        if len(body) > self.max_body_bytes:
            raise too_large(self.max_body_bytes)
        return body

    def json(self) -> Any:
        return parse_json(self.environ.get("CONTENT_TYPE", "").encode("latin-1"), self.body())


class Application:
    """The WSGI callable (PEP 3333). Its engine opens connections on first use, which is after the fork."""

    def __init__(self, settings: AppSettings) -> None:
        self.max_body_bytes = settings.max_body_bytes
        self.users = BlockingUsers(sync_engine(settings.database_url, settings.database_pool))
        routes = [
            Route("GET", "/readyz", self.readyz),
            Route("GET", "/api/users", self.list_users),
            Route("POST", "/api/users", self.create_user),
            Route("GET", "/api/users/{id}", self.get_user),
            Route("DELETE", "/api/users/{id}", self.delete_user),
        ]
        if settings.bench_endpoints:
            routes += [
                Route("GET", "/plaintext", lambda call: Response.text(work.PLAINTEXT)),
                Route("GET", "/json", lambda call: Response.json(work.GREETING)),
                Route("GET", "/wait", self.wait),
                Route("GET", "/cpu", self.cpu),
                Route("GET", "/db", lambda call: bench.first_user_response(self.users.read(users.page, 1, 0))),
                Route("POST", "/echo", lambda call: Response(call.body(), headers=(bench.OCTETS,))),
            ]
        self.routes = Routes(routes)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "").encode("latin-1")
        request_id = given.decode() if REQUEST_ID.fullmatch(given) else f"{getrandbits(128):032x}"
        try:
            response = self._answer(environ)
        except HTTPError as error:
            response = Response.problem(error, request_id)
        except Unavailable as error:
            response = Response.problem(unavailable(error), request_id)
        headers = [
            (name.decode(), value.decode("latin-1")) for name, value in response.headers if name != b"connection"
        ]
        headers.append(("x-request-id", request_id))
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]

    def _answer(self, environ: WSGIEnvironment) -> Response:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        try:
            route, params = self.routes.match(method, path)
        except HTTPError as error:
            if error.status == 405 and method == "OPTIONS":
                return Response(status=204, headers=error.headers)
            raise
        handler: Callable[[Call], Response] = route.handler
        return handler(Call(environ, params, self.max_body_bytes))

    def readyz(self, call: Call) -> Response:
        self.users.read(ping)
        return Response.json({"status": "pass"}, headers=(NO_STORE,))

    def list_users(self, call: Call) -> Response:
        limit, after = shared.page_query(call.query)
        return shared.page_response(self.users.read(users.page, limit + 1, after), limit)

    def create_user(self, call: Call) -> Response:
        name = shared.user_name(call.json())
        try:
            return shared.created_response(self.users.write(users.create, name), call.environ.get("SCRIPT_NAME", ""))
        except NameTaken:
            raise shared.name_taken(name) from None

    def get_user(self, call: Call) -> Response:
        return shared.user_response(self.users.read(users.find, shared.user_id(call.params["id"])))

    def delete_user(self, call: Call) -> Response:
        return shared.deleted_response(self.users.write(users.delete, shared.user_id(call.params["id"])))

    def wait(self, call: Call) -> Response:
        ms = bench.milliseconds(call.query)
        time.sleep(ms / 1_000)
        return bench.milliseconds_response(ms)

    def cpu(self, call: Call) -> Response:
        ms = bench.milliseconds(call.query)
        work.burn(ms)
        return bench.milliseconds_response(ms)


application = Application(AppSettings.from_environment())
