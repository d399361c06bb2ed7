"""The app, called with Starlette's own test client."""

from starlette.testclient import TestClient

from app.main import app


def test_item_is_made() -> None:
    """The answer to a new item has its address."""
    with TestClient(app) as client:
        answer = client.post("/items", json={"name": "boat"})

    assert (answer.status_code, answer.headers["location"]) == (201, "http://testserver/items/7")


def test_echo() -> None:
    """A websocket gets its text back."""
    with TestClient(app) as client, client.websocket_connect("/ws") as socket:
        socket.send_text("ahoy")

        assert socket.receive_text() == "ahoy"
