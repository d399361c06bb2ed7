"""The app, called with FastAPI's own test client."""

from fastapi.testclient import TestClient

from app.main import app


def test_item_is_made() -> None:
    """The answer to a new item has its address."""
    with TestClient(app) as client:
        answer = client.post("/items", json={"name": "boat"})

    assert (answer.status_code, answer.json()["name"]) == (201, "boat")
    assert answer.headers["location"].startswith("http://testserver/items/")


def test_nameless_item() -> None:
    """The model refuses an item with an empty name."""
    with TestClient(app) as client:
        assert client.post("/items", json={"name": ""}).status_code == 422


def test_lifespan() -> None:
    """The resource is open while the app runs."""
    with TestClient(app) as client:
        assert client.get("/started").json() == {"lifespan": True}
