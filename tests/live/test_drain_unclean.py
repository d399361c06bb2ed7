"""A worker that does not end cleanly logs the reason in one line, and still ends in time with code 0."""

import re
import signal

import pytest

from tests.harness.client import Connection
from tests.harness.processes import until
from tests.harness.stack import serving
from tests.harness.walks import walk
from tests.live.sites import Site, source

UNDER_WAY = "print('under way', flush=True)"
HANGS = f"{UNDER_WAY}; await __import__('asyncio').sleep(3600)"
# In this app's worker every connection raises when the server shuts it down.
RAISES = """
        from slipway.serving.http import Http
        def shutdown(connection):
            assert not "raised on purpose"
        Http.shutdown = shutdown
"""
SHUTDOWN = 'print("shutdown has run", flush=True)'
END = re.compile(r"The worker did not end cleanly: ([^\"]*)")

KINDS = {
    "handler cancelled": (source(body=HANGS), r"handlers cancelled after 2\.\d s: 2"),
    "connection raised": (source(startup=RAISES), "2 x The end of a connection: AssertionError"),
    "shutdown raised": (
        source().replace(SHUTDOWN, f"{SHUTDOWN}; raise RuntimeError('on purpose')"),
        "lifespan.shutdown failed",
    ),
    "shutdown hung": (
        source().replace(SHUTDOWN, f"{SHUTDOWN}; await __import__('asyncio').sleep(3600)"),
        "lifespan.shutdown did not end",
    ),
    "app that cancels all tasks": (
        source().replace(
            SHUTDOWN,
            f"{SHUTDOWN}; import asyncio; "
            "[task.cancel() for task in asyncio.all_tasks() if task is not asyncio.current_task()]",
        ),
        "Drain, end lifespan: cancelled",
    ),
    "draining gone": (
        source(startup="del scope['state']['draining']"),
        "1 x Drain, announce: KeyError",
    ),
    "two at once": (
        source(body=HANGS).replace(SHUTDOWN, f"{SHUTDOWN}; raise RuntimeError('on purpose')"),
        r"handlers cancelled after 2\.\d s: 2; lifespan.shutdown failed",
    ),
}


@pytest.mark.parametrize("kind", walk([*KINDS], "shutdown raised", "draining gone", "two at once"))
async def test_reason(site: Site, kind: str) -> None:
    """The reason for an unclean end is one record, the app's shutdown has run, and the exit code is 0."""
    code, reason = KINDS[kind]
    site.write(code)
    with serving(site.name, workers=1, **site.options) as server:
        async with await Connection.open(server.address()) as one, await Connection.open(server.address()) as two:
            for connection in (one, two):
                connection.send("GET", "/")
            if HANGS in code:
                await until(lambda: server.logged("under way") == 2, 5)
            else:
                assert [(await connection.head())[0] for connection in (one, two)] == [200, 200]
            server.signal(signal.SIGTERM)
            exit_code = await server.exit_code(5)
            if HANGS in code:
                assert [(await connection.head())[0] for connection in (one, two)] == [500, 500]

        ((found),) = END.findall(server.log())
        assert re.fullmatch(reason, found), found
        assert exit_code == 0
        assert server.messages().count("shutdown has run") == 1
        assert not server.logged("CancelledError")
        assert not server.logged("killed")


async def test_cancelled_server_drains(site: Site) -> None:
    """When an app cancels every task of the loop, its worker drains all the same and logs the reason."""
    cancels = "[task.cancel() for task in asyncio.all_tasks() if task is not asyncio.current_task()]"
    site.write(source(body=f"import asyncio; scope['path'] == '/cancel' and {cancels}"))
    with serving(site.name, workers=1, **site.options) as server:
        async with await Connection.open(server.address()) as connection:
            assert (await connection.request("GET", "/cancel")).status == 200
        await until(lambda: server.logged("The worker did not end cleanly: the server's task was cancelled"), 5)


async def test_clean_end_leaves_no_reason(site: Site) -> None:
    """A worker that has answered all its requests ends without a record of an unclean end."""
    with serving(site.name, workers=1, **site.options) as server:
        async with await Connection.open(server.address()) as kept:
            assert (await kept.request("GET", "/")).body == b"old"
            server.signal(signal.SIGTERM)
            assert await server.exit_code(5) == 0

        assert not server.logged("did not end cleanly")
