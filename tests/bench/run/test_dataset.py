"""The benchmark's expected answer from the database is the app's answer."""

from io import BytesIO
from pathlib import Path

from app.config import AppSettings
from app.wsgi import Application
from bench.run.dataset import prepare


def test_the_expected_row_is_the_one_that_the_app_answers(tmp_path: Path) -> None:
    """The row is also the same in an existing database: in a resumed run, or with DATABASE_URL."""
    environment, answers = prepare(tmp_path)
    app = Application(AppSettings.from_environment({**environment, "BENCH_ENDPOINTS": "1"}))
    request = {"REQUEST_METHOD": "GET", "PATH_INFO": "/db", "QUERY_STRING": "", "wsgi.input": BytesIO()}

    [body] = app(request, lambda status, headers, error=None: lambda data: None)

    assert body.decode() == answers["database"]
    assert "Ada Lovelace" in answers["database"]
    assert prepare(tmp_path)[1] == answers
