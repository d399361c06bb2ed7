"""The app, called with Flask's own test client."""

from app.main import flask


def test_item_is_made() -> None:
    """The answer to a new item has its address."""
    answer = flask.test_client().post("/items", json={"name": "boat"})

    assert (answer.status_code, answer.headers["location"]) == (201, "http://localhost/items/7")


def test_nameless_item() -> None:
    """JSON without a name is refused with 422."""
    assert flask.test_client().post("/items", json=[]).status_code == 422
