"""Files that nginx serves itself: static ones, private ones that the app points to, and security.txt."""

import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from slipway.environment import Environment, SettingError
from slipway.ops import container_files, modules, nginx_text
from slipway.ops.https import CHALLENGES
from slipway.ops.site import SiteSettings, contacts
from slipway.serving.static import hand_out
from tests.harness.edge import Edge, RawAnswer, exchange, says, slots
from tests.harness.processes import running, short_folder
from tests.harness.stack import secure

FILES = {
    "app.css": b"a{}",
    "plain.txt": b"0123456789",
    "app.3f2a9c1b.js": b"hashed",
    "app-5d41402abc4b2a76b9719d911017c592.css": b"hashed too",
    "report-20261126.txt": b"a date",
    "my-component.js": b"a word",
    ".env": b"SECRET",
    "sub/page.html": b"<p>",
    "big.js": b"x" * 5_000,
    "big.js.gz": gzip.compress(b"made beforehand"),
}
SITE = SiteSettings(
    (("/static/", "pub"), ("/more/deep/", "pub/sub"), ("/collected/", "DATA_DIR/pub")),
    (("/_private/", "files"),),
    ("mailto:security@example.com", "https://example.com/security?a=b&c"),
)
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module", params=["plain", 'a $b${x} "c" \\d'])
def edge(request: pytest.FixtureRequest) -> Iterator[Edge]:
    """nginx without a worker; its folders are below a path with any character that a path may have."""
    with short_folder() as folder:
        files = folder / request.param
        for name, content in FILES.items():
            path = files / "pub" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        with running(Edge(folder, site=SITE, files=files)) as started:
            yield started


async def get(edge: Edge, target: str, *fields: str, method: str = "GET") -> RawAnswer:
    head = "".join(f"{line}\r\n" for line in (f"{method} {target} HTTP/1.1", "Host: localhost", *fields, ""))
    return await exchange(edge.address, head.encode(), no_body=method == "HEAD")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("app.css", "text/css; charset=utf-8"),
        ("app.3f2a9c1b.js", "text/javascript; charset=utf-8"),
        ("plain.txt", "text/plain; charset=utf-8"),
        ("sub/page.html", "text/html; charset=utf-8"),
    ],
)
async def test_file(edge: Edge, name: str, kind: str) -> None:
    """A file has its content, type and ETag with the headers of every answer; HEAD has the same without the content."""
    answer, head = await get(edge, f"/static/{name}"), await get(edge, f"/static/{name}", method="HEAD")

    assert (answer.status, answer.body) == (200, FILES[name])
    assert answer.fields["content-type"] == kind
    assert answer.fields["etag"]
    assert answer.fields["x-content-type-options"] == "nosniff"
    assert len(answer.fields["x-request-id"]) == 32
    assert {**head.fields, "x-request-id": "", "date": ""} == {**answer.fields, "x-request-id": "", "date": ""}


async def test_folder_in_data_dir(edge: Edge) -> None:
    """A file that a prestart has collected below DATA_DIR is served the same way."""
    answer = await get(edge, "/collected/app.3f2a9c1b.js")

    assert (answer.status, answer.body) == (200, FILES["app.3f2a9c1b.js"])
    assert answer.fields["cache-control"] == IMMUTABLE


@pytest.mark.parametrize(
    ("name", "caching"),
    [
        ("app.css", "no-cache"),
        ("report-20261126.txt", "no-cache"),
        ("my-component.js", "no-cache"),
        ("app.3f2a9c1b.js", IMMUTABLE),
        ("app-5d41402abc4b2a76b9719d911017c592.css", IMMUTABLE),
    ],
)
async def test_caching(edge: Edge, name: str, caching: str) -> None:
    """A file with a hash in its name never changes; a date or a word is not a hash."""
    assert (await get(edge, f"/static/{name}")).fields["cache-control"] == caching


async def test_what_the_client_has_is_not_sent_again(edge: Edge) -> None:
    """A client that sends the current ETag gets a 304."""
    etag = (await get(edge, "/static/app.css")).fields["etag"]

    assert (await get(edge, "/static/app.css", f"If-None-Match: {etag}")).status == 304


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [("0-3", 206, b"0123"), ("4-", 206, b"456789"), ("-2", 206, b"89"), ("50-60", 416, None)],
)
async def test_ranges(edge: Edge, asked: str, status: int, body: bytes | None) -> None:
    """A range is answered with that part of the file, and one beyond its end is refused."""
    answer = await get(edge, "/static/plain.txt", f"Range: bytes={asked}")

    assert answer.status == status
    assert body is None or answer.body == body


@pytest.mark.parametrize(
    ("coding", "body"), [("gzip", FILES["big.js.gz"]), ("identity", FILES["big.js"])], ids=["gzip", "identity"]
)
async def test_file_that_was_compressed_beforehand(edge: Edge, coding: str, body: bytes) -> None:
    """A file compressed beforehand is sent as it is, with the original's type, to a client that accepts the coding."""
    answer = await get(edge, "/static/big.js", f"Accept-Encoding: {coding}")

    assert answer.body == body
    assert answer.fields["content-type"] == "text/javascript; charset=utf-8"
    assert answer.fields["vary"] == "Accept-Encoding"


async def test_other_folder(edge: Edge) -> None:
    """Each prefix has its own folder."""
    assert (await get(edge, "/more/deep/page.html")).body == b"<p>"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/static/missing.css"),
        ("GET", "/static/.env"),
        ("GET", "/static/%2eenv"),
        ("GET", "/static/sub"),
        ("GET", "/static/../pub/app.css"),
        ("GET", "/static/..%2fpub/app.css"),
        ("GET", "/static../files/secret"),
        ("POST", "/static/app.css"),
        ("OPTIONS", "/static/app.css"),
    ],
)
async def test_what_is_left_to_the_app(edge: Edge, method: str, target: str) -> None:
    """Missing files, hidden files and other methods are left to the app, which is a 502 here without one."""
    assert (await get(edge, target, method=method)).status == 502


@pytest.mark.parametrize("target", ["/_private/secret.txt", "/_private/", "/%5fprivate/secret.txt"])
async def test_private_files_by_their_address(edge: Edge, target: str) -> None:
    """No client reaches private files by their address."""
    assert (await get(edge, target)).status == 404


@pytest.mark.parametrize("policy", ["", "default-src 'none'; sandbox"])
async def test_private_file(policy: str) -> None:
    """A private file is sent as the app decides: with its type and its policy, and ranges work."""
    own = f"Content-Security-Policy: {policy}\r\n" if policy else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: text/x-own\r\n{own}"
    behaviour = says(f"{head}X-Accel-Redirect: /_private/secret.txt\r\n\r\n".encode())
    with short_folder() as folder:
        (folder / "files").mkdir()
        (folder / "files" / "secret.txt").write_text("0123456789")
        async with slots(folder, [behaviour]):
            with running(Edge(folder, site=SITE, files=folder)) as edge:
                answer = await get(edge, "/download", "Range: bytes=0-3")

    assert (answer.status, answer.body) == (206, b"0123")
    assert answer.fields["content-type"] == "text/x-own"
    assert answer.head.lower().count(b"\r\ncontent-security-policy:") == 1
    assert answer.fields["content-security-policy"].startswith(policy or "default-src 'none'; script-src")


async def test_security_txt(edge: Edge) -> None:
    """security.txt has its contacts and an expiry in less than a year, as RFC 9116 asks."""
    answer = await get(edge, "/.well-known/security.txt")
    fields = [line.split(": ", 1) for line in answer.body.decode().splitlines()]

    assert answer.fields["content-type"] == "text/plain; charset=utf-8"
    assert [value for name, value in fields if name == "Contact"] == list(SITE.contacts)
    (expires,) = [value for name, value in fields if name == "Expires"]
    assert timedelta(270) < date.fromisoformat(expires[:10]) - date.today() < timedelta(365)


def test_contacts() -> None:
    """SECURITY_CONTACT may hold several contacts, separated by commas."""
    assert contacts(Environment({"SECURITY_CONTACT": "mailto:a@b.example, tel:+49-1"})) == (
        "mailto:a@b.example",
        "tel:+49-1",
    )


@pytest.mark.parametrize("value", ["a@b.example", 'mailto:a"b', "https://a b", "mailto:$x", "https://a;}"])
def test_wrong_contact(value: str) -> None:
    """A wrong contact is refused by the setting's name."""
    with pytest.raises(SettingError, match="SECURITY_CONTACT"):
        contacts(Environment({"SECURITY_CONTACT": value}))


def test_files_for_another_container(tmp_path: Path) -> None:
    """Files are copied readable and with their times, and again only if they have changed."""
    root, target = tmp_path / "root", tmp_path / "target"
    (root / "pub" / "sub").mkdir(parents=True)
    (root / "pub" / "sub" / "a.css").write_text("one")
    hand_out(["pub"], target, root)
    copy = target / "pub" / "sub" / "a.css"
    before = copy.stat()
    hand_out(["pub"], target, root)

    assert copy.read_text() == "one"
    assert before.st_mtime == (root / "pub" / "sub" / "a.css").stat().st_mtime
    assert before.st_mode & 0o777 == 0o644
    assert copy.stat().st_ino == before.st_ino


def test_files_for_another_container_without_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A failure to copy the files is logged, and the instance is put into service all the same."""
    (tmp_path / "pub").mkdir()
    (tmp_path / "pub" / "a.css").write_text("one")
    (tmp_path / "target").write_text("in the way")
    hand_out(["pub"], tmp_path / "target", tmp_path)

    assert "static files" in caplog.text


async def test_answer_to_a_certificate_authority() -> None:
    """A challenge's answer is served by plain HTTP, where all else is redirected; a missing one is left to the app."""
    with short_folder() as folder:
        https = secure(folder, redirect=True)
        challenges = https.folder / CHALLENGES / ".well-known" / "acme-challenge"
        challenges.mkdir(parents=True)
        (challenges / "token").write_text("token.thumbprint")
        with running(Edge(folder, https=https)) as edge:
            answer = await get(edge, "/.well-known/acme-challenge/token")
            other = await get(edge, "/.well-known/acme-challenge/other")

    assert (answer.status, answer.body) == (200, b"token.thumbprint")
    assert other.status == 502


def test_files_of_the_image() -> None:
    """Without a file of `make`'s, the image serves nothing but the answers to a certificate authority."""
    text = SiteSettings().configuration(**container_files.ROOTS, today=date.today())

    assert (nginx_text.NGINX_DIR / "site.conf").read_text() == text


def test_modules(tmp_path: Path) -> None:
    """The useful modules that are present are loaded and used, and the image's script knows the same ones."""
    (tmp_path / "ngx_http_brotli_static_module.so").touch()
    (tmp_path / "ngx_http_other_module.so").touch()
    names = modules.found(tmp_path)
    script = (nginx_text.NGINX_DIR / "container.sh").read_text()

    assert modules.loaded(tmp_path, names) == f'load_module "{tmp_path}/ngx_http_brotli_static_module.so";\n'
    assert modules.features(names) == f"brotli_static on;\n{modules.NOT_UNNAMED}\n"
    for name, directive in modules.MODULES.items():
        short = name.removeprefix("ngx_http_").removesuffix("_module.so")
        assert f"\n{short} {directive}\n" in script
    assert f'echo "{modules.NOT_UNNAMED}"'.replace("$", r"\$") in script
