"""The output of the verbs."""

from slipway.ops.console import readable


def test_a_json_record_becomes_a_line() -> None:
    """A JSON record is shown as its level, its message and the last line of its traceback."""
    line = '{"level": "ERROR", "message": "failed", "exc_info": "Traceback\\nValueError: no"}'

    assert readable(line) == "ERROR    failed: ValueError: no"


def test_any_other_line_stays() -> None:
    """Lines of other programs stay unchanged."""
    assert readable("plain text") == "plain text"
    assert readable("[1, 2]") == "[1, 2]"
