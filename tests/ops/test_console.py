"""What the verbs print."""

from slipway.ops.console import readable


def test_a_json_record_becomes_a_line() -> None:
    """Level, message and the last line of a traceback."""
    line = '{"level": "ERROR", "message": "failed", "exc_info": "Traceback\\nValueError: no"}'

    assert readable(line) == "ERROR    failed: ValueError: no"


def test_any_other_line_stays() -> None:
    """Programs of others write as they like."""
    assert readable("plain text") == "plain text"
    assert readable("[1, 2]") == "[1, 2]"
