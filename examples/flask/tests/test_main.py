"""The app by Flask's own test client."""

from app.main import flask


def test_item_is_made() -> None:
    """Its address is in the answer."""
    answer = flask.test_client().post("/items", json={"name": "boat"})

    assert (answer.status_code, answer.headers["location"]) == (201, "http://localhost/items/7")


def test_nameless_item() -> None:
    """It is refused."""
    assert flask.test_client().post("/items", json=[]).status_code == 422
