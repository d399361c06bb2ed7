"""The parts of gunicorn and uvicorn on which slipway/serving/ relies, by name and signature.

A failure means that a new version has changed something that we override, call or read. Compare the named method with
ours, adapt slipway/serving/, then this file.
"""

import ast
import hashlib
import inspect
import warnings
from collections.abc import Callable
from typing import Any
from unittest.mock import MagicMock

import gunicorn.app.base
import gunicorn.arbiter
import gunicorn.config
import gunicorn.glogging
import gunicorn.reloader
import gunicorn.sock
import gunicorn.util
import gunicorn.workers.base
import gunicorn.workers.workertmp
import pytest
import uvicorn
import uvicorn.server
from uvicorn.lifespan.on import LifespanOn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets import websockets_sansio_impl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import Protocol
from websockets.server import ServerProtocol

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import uvicorn.workers

from slipway.serving.arbiter import BOOT_FAILURES, Arbiter
from slipway.serving.cycle import Cycle
from slipway.serving.hooks import Refusals
from slipway.serving.http import Http, OneRequest
from slipway.serving.server import Server, WorkerLifespan
from slipway.serving.websocket import WebSocketProtocol
from slipway.serving.websocket_parser import Parser
from slipway.serving.worker import Worker

G = gunicorn.arbiter.Arbiter
W = gunicorn.workers.base.Worker

SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    # Called by slipway/serving/development.py.
    (gunicorn.util.import_app, "(module)"),
    # Overridden by the arbiter.
    (G.__init__, "(self, app)"),
    (G.spawn_worker, "(self)"),
    (G.manage_workers, "(self)"),
    (G.murder_workers, "(self)"),
    (G.wait_for_signals, "(self, timeout=1.0)"),
    (G.reload, "(self)"),
    (G.stop, "(self, graceful=True)"),
    (G.handle_ttou, "(self)"),
    (G.reap_workers, "(self)"),
    (G.handle_chld, "(self)"),
    (G.handle_term, "(self)"),
    (G.handle_hup, "(self)"),
    (G.handle_usr1, "(self)"),
    (G.handle_usr2, "(self)"),
    (G.handle_winch, "(self)"),
    (G.manage_dirty_arbiter, "(self)"),
    (G.maybe_promote_master, "(self)"),
    # Called by the arbiter.
    (G.setup, "(self, app)"),
    (G.kill_worker, "(self, pid, sig)"),
    (G.kill_workers, "(self, sig)"),
    (G.handle_dirty_arbiter_exit, "(self, wpid, status)"),
    (gunicorn.app.base.BaseApplication.reload, "(self)"),
    (gunicorn.workers.workertmp.WorkerTmp.notify, "(self)"),
    (gunicorn.workers.workertmp.WorkerTmp.last_update, "(self)"),
    (gunicorn.sock.BaseSocket.close, "(self)"),
    (gunicorn.sock.UnixSocket.__init__, "(self, addr, conf, log, fd=None)"),
    (gunicorn.reloader.ReloaderBase.__init__, "(self, extra_files=None, interval=1, callback=None)"),
    # Wrapped by `install`.
    (gunicorn.config.Config.validate, "(self)"),
    # Overridden by the worker.
    (gunicorn.workers.base.Worker.__init__, "(self, age, ppid, sockets, app, timeout, cfg, log)"),
    (gunicorn.workers.base.Worker.notify, "(self)"),
    (gunicorn.workers.base.Worker.init_signals, "(self)"),
    (gunicorn.workers.base.Worker.run, "(self)"),
    (gunicorn.workers.base.Worker.handle_usr1, "(self, sig, frame)"),
    # Overridden by the server.
    (uvicorn.Server.serve, "(self, sockets: 'list[socket.socket] | None' = None) -> 'None'"),
    (uvicorn.Server.startup, "(self, sockets: 'list[socket.socket] | None' = None) -> 'None'"),
    (uvicorn.Server.shutdown, "(self, sockets: 'list[socket.socket] | None' = None) -> 'None'"),
    (uvicorn.Server.main_loop, "(self) -> 'None'"),
    (uvicorn.Server.on_tick, "(self, counter: 'int') -> 'bool'"),
    (uvicorn.Server.capture_signals, "(self) -> 'Generator[None, None, None]'"),
    (LifespanOn.__init__, "(self, config: 'Config') -> 'None'"),
    (LifespanOn.receive, "(self) -> 'LifespanReceiveMessage'"),
    (LifespanOn.shutdown, "(self) -> 'None'"),
    (
        HttpToolsProtocol._start_asgi_task,
        "(self, cycle: 'RequestResponseCycle', app: 'ASGI3Application') -> 'None'",
    ),
    (HttpToolsProtocol.connection_made, "(self, transport: 'asyncio.Transport') -> 'None'"),
    (HttpToolsProtocol.data_received, "(self, data: 'bytes') -> 'None'"),
    (HttpToolsProtocol._should_upgrade, "(self) -> 'bool'"),
    (HttpToolsProtocol.on_headers_complete, "(self) -> 'None'"),
    (HttpToolsProtocol.on_response_complete, "(self) -> 'None'"),
    (WebSocketsSansIOProtocol.data_received, "(self, data: 'bytes') -> 'None'"),
    (WebSocketsSansIOProtocol.shutdown, "(self) -> 'None'"),
    (ServerProtocol.reject, "(self, status: 'StatusLike', text: 'str') -> 'Response'"),
    (ServerProtocol.recv_frame, "(self, frame: 'Frame') -> 'None'"),
    # Called by the server and its protocols.
    (
        WebSocketsSansIOProtocol.__init__,
        "(self, config: 'Config', server_state: 'ServerState', app_state: 'dict[str, Any]', "
        "_loop: 'asyncio.AbstractEventLoop | None' = None) -> 'None'",
    ),
    (HttpToolsProtocol.shutdown, "(self) -> 'None'"),
    (ServerProtocol.fail, "(self, code: 'CloseCode | int', reason: 'str' = '') -> 'None'"),
    (ServerProtocol.receive_data, "(self, data: 'bytes | bytearray') -> 'None'"),
    (ServerProtocol.data_to_send, "(self) -> 'list[bytes]'"),
]


@pytest.mark.parametrize(("function", "signature"), SIGNATURES, ids=lambda value: getattr(value, "__qualname__", ""))
def test_signature(function: Callable[..., Any], signature: str) -> None:
    """The function exists and has the same signature."""
    assert str(inspect.signature(function)) == signature


ATTRIBUTES: list[tuple[type, set[str]]] = [
    (
        G,
        {
            "LISTENERS", "WORKERS", "START_CTX", "master_pid", "reexec_pid", "dirty_arbiter_pid", "systemd",
            "num_workers", "cfg", "log", "app", "worker_class", "worker_age",
        },
    ),
    (W, {"age", "ppid", "sockets", "tmp", "pid", "max_requests", "cfg", "log", "wsgi", "reloader", "SIGNALS"}),
    (gunicorn.config.Config, {"settings", "env", "env_orig", "address", "worker_class", "worker_class_str", "is_ssl"}),
    (gunicorn.config.Setting, {"cli", "default", "get"}),
    (gunicorn.reloader.ReloaderBase, {"_callback"}),
    (
        uvicorn.Server,
        {"config", "server_state", "servers", "lifespan", "started", "should_exit"},
    ),
    (uvicorn.server.ServerState, {"total_requests", "connections", "tasks", "default_headers"}),
    (LifespanOn, {"config", "state", "error_occurred", "shutdown_failed", "should_exit"}),
    (
        HttpToolsProtocol,
        {
            "cycle", "transport", "connections", "parser", "pipeline", "scope", "headers", "url", "config", "app_state",
            "server_state", "logger", "timeout_keep_alive_task", "timeout_keep_alive", "timeout_keep_alive_handler",
            "access_log", "access_logger", "app", "expect_100_continue", "flow", "limit_concurrency", "loop",
            "root_path", "tasks",
        },
    ),
    (
        WebSocketsSansIOProtocol,
        {
            "handshake_complete", "handshake_initiated", "transport", "connections", "conn", "queue", "frames",
            "curr_msg_data_type", "read_paused", "writable", "close_sent", "disconnected", "pong_timer",
            "pending_ping_payload", "initial_response", "response", "scope",
        },
    ),
    (Protocol, {"handshake_exc", "parser_exc", "close_sent", "state", "extensions"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "names"), ATTRIBUTES, ids=lambda value: getattr(value, "__name__", ""))
def test_attributes(kind: type, names: set[str]) -> None:
    """Each attribute that slipway/serving/ reads or sets exists in the class, or is used in its module."""
    source = inspect.getsource(inspect.getmodule(kind) or kind)
    assigned = {
        node.attr for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr in names
    }

    assert names - assigned - set(dir(kind)) == set()


# Methods that we override, or whose order of steps we took over: a change of their text must be reviewed.
BODIES: list[tuple[Callable[..., Any], str]] = [
    (G.__init__, "f9be1327ed61"),
    (G.run, "fc33ca162f6f"),
    (G.stop, "e82ab948fed0"),
    (G.spawn_worker, "c6e0c8fc1015"),
    (G.reap_workers, "4bc894f53cfa"),
    (G.reload, "77f9e7ee89a2"),
    (G.murder_workers, "4a9764a53769"),
    (G.manage_workers, "de0e6b4df6e4"),
    (G.wait_for_signals, "c338acd70c58"),
    (G.handle_ttou, "6bfdf1f0067d"),
    (G.handle_chld, "b49a2450073d"),
    (G.handle_term, "0be0ee499f21"),
    (G.handle_hup, "98211abd0b7c"),
    (G.handle_usr1, "55cf7712867b"),
    (G.handle_usr2, "08060a19bccf"),
    (G.handle_winch, "d40f3e772ffb"),
    (G.kill_worker, "1f73ca156a69"),
    (G.manage_dirty_arbiter, "0b5be752eba1"),
    (G.maybe_promote_master, "d9b2b325492d"),
    (G.setup, "f0832d79bd3f"),
    (gunicorn.app.base.Application.load_config, "2c9fa1f0b2bc"),
    (gunicorn.app.base.BaseApplication.do_load_config, "ae3813fe14ac"),  # validates before anything is started
    (gunicorn.config.Config.validate, "3343da314564"),
    (gunicorn.sock.UnixSocket.__init__, "6fc942d6e9a8"),
    (gunicorn.sock.UnixSocket.bind, "4c167551d092"),
    (gunicorn.reloader.Reloader.run, "c49b248c85a9"),
    (gunicorn.workers.base.Worker.__init__, "80c4830e9078"),  # max_requests with its jitter
    (G.reexec, "7d35172293ca"),  # calls the pre_exec hook in the process that becomes the new server
    (uvicorn.Config.load, "38257171a8cd"),
    (ProxyHeadersMiddleware.__init__, "d614630b9b55"),
    (ProxyHeadersMiddleware.__call__, "b24a1ddd3ecb"),  # sets the client before the guard is called
    (gunicorn.workers.base.Worker.init_process, "aaab22c2f226"),  # the reloader calls the worker_int hook
    (gunicorn.workers.base.Worker.init_signals, "298c525bd3da"),
    (gunicorn.workers.base.Worker.run, "fdfa492f04e4"),
    (uvicorn.Server.__init__, "cdb3060df322"),
    (uvicorn.Server._serve, "37c2a1de3c24"),
    (uvicorn.Server.startup, "884cdd027a0a"),
    (uvicorn.Server.shutdown, "0c7399d44c41"),
    (uvicorn.Server.main_loop, "37502fa8d66e"),
    (uvicorn.Server.on_tick, "a48e320b5e1a"),
    (uvicorn.Server.capture_signals, "f5efdd178894"),
    (HttpToolsProtocol._start_asgi_task, "d743ab7b3dbc"),
    (HttpToolsProtocol.connection_made, "57022c8ff63c"),
    (HttpToolsProtocol.connection_lost, "d94c8f881c93"),  # called by Lingering when the transport is closed
    (HttpToolsProtocol.data_received, "77d64a8ed713"),
    (HttpToolsProtocol.handle_websocket_upgrade, "616bf4fb0754"),  # replaced by Http._handshake
    (HttpToolsProtocol.send_400_response, "8e00496f6435"),  # replaced by Http.refuse
    (HttpToolsProtocol._should_upgrade, "41b12938b28e"),
    (HttpToolsProtocol.on_message_begin, "edabbefc2c67"),  # makes a new scope for each message
    (
        HttpToolsProtocol.on_headers_complete,
        "8340d55da54a",
    ),  # ignores a request with an upgrade, as the next two do
    (HttpToolsProtocol.on_body, "a8b4e86add6c"),
    (HttpToolsProtocol.on_message_complete, "637e321f44da"),
    (HttpToolsProtocol.on_response_complete, "711703bdb94f"),  # does nothing more on a closing transport
    (HttpToolsProtocol.shutdown, "1289206de08e"),
    (HttpToolsProtocol.timeout_keep_alive_handler, "347bfacb1966"),
    # The originals of slipway/serving/answer.py and cycle.py.
    (RequestResponseCycle.__init__, "3fe4fe02c3e8"),
    (RequestResponseCycle.run_asgi, "ea88af1b2d3e"),
    (RequestResponseCycle.receive, "e8e7d1f9ef89"),
    (RequestResponseCycle.send, "2283ee63dfa5"),
    (RequestResponseCycle.send_500_response, "8fb08fb90ce0"),
    (WebSocketsSansIOProtocol.__init__, "9275f369c8c7"),
    (WebSocketsSansIOProtocol.connection_lost, "a6f38b7afc4b"),
    (WebSocketsSansIOProtocol.data_received, "92336f21d502"),
    (WebSocketsSansIOProtocol.handle_connect, "480d718a3ddb"),
    (WebSocketsSansIOProtocol.handle_close, "b50fe407b9a5"),
    (WebSocketsSansIOProtocol.handle_ping, "f1b618686f83"),
    (WebSocketsSansIOProtocol.handle_parser_exception, "162a244b9584"),
    (WebSocketsSansIOProtocol.keepalive_timeout, "304d9b2dd412"),
    (WebSocketsSansIOProtocol.resume_writing, "aa0d14d7f70b"),
    (WebSocketsSansIOProtocol.run_asgi, "e7cd437ec983"),
    (WebSocketsSansIOProtocol.send, "337c88bc1bbb"),
    (WebSocketsSansIOProtocol.send_500_response, "403da3410eb1"),
    (WebSocketsSansIOProtocol.send_keepalive_ping, "ceaa20b6279a"),
    (WebSocketsSansIOProtocol.send_receive_event_to_app, "d09536f6c21d"),
    (WebSocketsSansIOProtocol.shutdown, "4cf457a1f59d"),
    (WebSocketsSansIOProtocol.start_keepalive, "b9ace29ba063"),
    (ServerProtocol.reject, "e3f073071eec"),
    (ServerProtocol.recv_frame, "2a3cde0e4db1"),
    (ServerProtocol.parse, "160952239049"),
    (ServerProtocol.fail, "7ff3b1e01ee2"),
    (LifespanOn.__init__, "eb56c01bc905"),
    (LifespanOn.main, "a6df43852efc"),
    (LifespanOn.receive, "462166f6754c"),
    # The originals of slipway/serving/base.py.
    (uvicorn.workers.UvicornWorker.__init__, "91988fc31955"),
    (uvicorn.workers.UvicornWorker.init_signals, "19bc966c7855"),
    (uvicorn.workers.UvicornWorker.run, "265afeed9bc9"),
    (uvicorn.workers.UvicornWorker._serve, "f89bc2357307"),
]


def fingerprint(function: Callable[..., Any]) -> str:
    """Return a fingerprint of the code without comments and indentation."""
    lines = [line.strip() for line in inspect.getsource(function).splitlines()]
    return hashlib.sha256("\n".join(line for line in lines if line and line[0] != "#").encode()).hexdigest()[:12]


@pytest.mark.parametrize(("function", "known"), BODIES, ids=lambda value: getattr(value, "__qualname__", ""))
def test_body(function: Callable[..., Any], known: str) -> None:
    """The method's text is the one on which our code is based."""
    assert fingerprint(function) == known


def overridden(ours: type) -> set[Callable[..., Any]]:
    """Return the stock methods that our methods replace."""
    stock = [kind for kind in ours.__mro__ if kind.__module__.startswith(("gunicorn.", "uvicorn.", "websockets."))]
    mine = {name for kind in ours.__mro__ if kind.__module__.startswith("slipway.serving.") for name in vars(kind)}
    found = [next((vars(kind)[name] for kind in stock if name in vars(kind)), None) for name in mine]
    return {method for method in found if inspect.isfunction(method)}


@pytest.mark.parametrize("ours", [Arbiter, Worker, Server, WorkerLifespan, Http, OneRequest, WebSocketProtocol, Parser])
def test_every_overridden_method_is_guarded(ours: type) -> None:
    """Each overridden method is in BODIES, so that no change of it goes unnoticed."""
    assert overridden(ours) - {function for function, _ in BODIES} == set()
    assert overridden(ours)


def test_filtered_record() -> None:
    """uvicorn's record of a refused handshake, which hooks.Refusals drops, still has this text."""
    text = "ASGI callable returned without completing handshake."

    assert f'"{text}"' in inspect.getsource(WebSocketsSansIOProtocol)
    assert f'"{text}"' in inspect.getsource(Refusals)


def test_names_of_the_modules() -> None:
    """The stock protocol makes its websocket parser by the name that we replace, and its status lines are bytes."""
    assert vars(websockets_sansio_impl)["ServerProtocol"] is Parser
    assert "ServerProtocol" in WebSocketsSansIOProtocol.__init__.__code__.co_names
    assert vars(httptools_impl)["STATUS_LINE"][200] == b"HTTP/1.1 200 OK\r\n"


def test_stock_protocol_finds_in_a_cycle_what_it_reads() -> None:
    """Our cycles have each attribute that the stock protocol reads from them."""
    tree = ast.parse(inspect.getsource(HttpToolsProtocol))
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self.cycle", "cycle", "existing_cycle")
    }

    assert read - set(dir(Cycle(MagicMock(), {}, keep_alive=True))) == set()
    assert read >= {"body", "message_event", "run_asgi"}


def test_lists_of_handlers_are_shared() -> None:
    """uvicorn's worker still uses gunicorn's list of handlers, on which log_config and logs.capture rely."""
    source = inspect.getsource(uvicorn.workers.UvicornWorker.__init__)

    assert "logger.handlers = self.log.error_log.handlers" in source
    assert "logger.handlers = self.log.access_log.handlers" in source
    assert "stream=sys.stdout" in inspect.getsource(gunicorn.glogging.Logger.setup)


def test_defaults_of_constants() -> None:
    """gunicorn's exit codes for failed starts and the clock of its heartbeat are unchanged."""
    assert {G.WORKER_BOOT_ERROR, G.APP_LOAD_ERROR} == {*BOOT_FAILURES}
    assert "time.monotonic()" in inspect.getsource(gunicorn.workers.workertmp.WorkerTmp.notify)


def test_our_classes_take_the_stock_places() -> None:
    """The literal command runs our classes in the places of the stock ones."""
    assert issubclass(Arbiter, G)
    assert issubclass(Worker, gunicorn.workers.base.Worker)
    assert issubclass(Server, uvicorn.Server)
    assert issubclass(WorkerLifespan, LifespanOn)
    assert "Arbiter(self).run()" in inspect.getsource(gunicorn.app.base.BaseApplication.run)
