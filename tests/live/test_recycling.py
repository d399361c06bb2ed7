"""Workers are replaced after so many requests or so much memory, and nobody notices."""

from soak.load import Load
from soak.processes import until
from soak.stack import behind_nginx, serving
from tests.live.sites import GET_OLD, Site, source

REQUESTS = 2_000


async def test_recycling_by_requests() -> None:
    """2,000 requests with max_requests of 100 (and jitter): workers are replaced several times, nothing is lost."""
    with serving(MAX_REQUESTS="100") as server, behind_nginx(server) as proxy:
        first = set(server.pids())
        report = await Load(proxy.address, kept=8, fresh=8, total=REQUESTS, rate=400).run()

        replaced = server.logged("has done its share")
        print(f"{report.total} requests, {replaced} workers replaced, lost: {dict(report.lost)}")
        assert not report.lost
        assert replaced >= 4
        assert not first & set(server.pids())
        assert not server.logged("killed")


async def test_recycling_by_memory(site: Site) -> None:
    """A worker whose app leaks is replaced when it has more memory than it may, and nothing is lost."""
    site.write("leak = []\n" + source(body="leak.append(b'x' * (1 << 20))"))
    with serving(site.name, workers=1, **site.options, MAX_WORKER_MEMORY=str(100 << 20)) as server:
        async with Load(server.address(), [GET_OLD], kept=2, fresh=2, rate=50) as load:
            await until(lambda: server.logged("has done its share") >= 2, 30)

        assert not load.report.lost
