"""How an answer goes out: its head waits for the first part of its body, and for nothing else."""

import asyncio
from pathlib import Path

from tests.harness.client import Connection, request
from tests.harness.stack import Server, behind_nginx, serving
from tests.live.sites import Site, source

HEAD = "{'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'3')]}"


async def test_worker_killed_between_head_and_body(site: Site, tmp_path: Path) -> None:
    """A GET whose worker dies after the head of its answer and before the body is answered by another worker."""
    died = tmp_path / "died"
    die = f"open({str(died)!r}, 'w').close(); await send({HEAD}); os.kill(os.getpid(), 9)"
    site.write(source(body=f"import os\n    if not os.path.exists({str(died)!r}): {die}"))
    with serving(site.name, **site.options) as server, behind_nginx(server) as proxy:
        answer = await request(proxy.address, "GET", "/")

    assert died.exists()
    assert (answer.status, answer.body) == (200, b"old")


async def test_post_is_not_sent_again(site: Site, tmp_path: Path) -> None:
    """A POST whose worker dies during it is carried out once and answered with 502 as problem details."""
    count = tmp_path / "count"
    site.write(source(body=f"import os\n    open({str(count)!r}, 'a').write('x'); os.kill(os.getpid(), 9)"))
    with serving(site.name, **site.options) as server, behind_nginx(server) as proxy:
        answer = await request(proxy.address, "POST", "/", b"body")

    assert count.read_text() == "x"
    assert (answer.status, answer.headers["content-type"]) == (502, "application/problem+json")


async def test_head_is_answered(server: Server) -> None:
    """HEAD, whose answer has no body, is answered without waiting for one, and the connection is kept."""
    async with asyncio.timeout(10), await kept_connection(server) as connection:
        for _ in range(2):
            connection.send("HEAD", "/plaintext")
            status, fields = await connection.head()

            assert (status, fields["content-length"]) == (200, "13")


async def kept_connection(server: Server) -> Connection:
    """Open a connection to a worker's own slot. While the slot is lent to another worker, as it is until its own one is
    ready, an accepted connection serves only one request, and this tries again."""
    while True:
        connection = await Connection.open(server.address())
        await connection.request("GET", "/plaintext")
        if connection.reusable:
            return connection
        await connection.close()


async def test_continue_is_sent_before_the_body_comes(server: Server) -> None:
    """A client that waits for `100 Continue` gets it before its body is sent, and then its answer."""
    async with asyncio.timeout(10), await Connection.open(server.address()) as connection:
        connection.send("POST", "/echo", b"", "Content-Length: 5", "Expect: 100-continue")
        told, _ = await connection.head()
        connection.writer.write(b"hello")
        status, _ = await connection.head()

        assert (told, status) == (100, 200)
        assert await connection.reader.readexactly(5) == b"hello"
