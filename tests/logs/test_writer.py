"""The writer: bounded, batched, non-blocking, and correct across forks and signals. Each test has its own writer."""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.logs import batches as module
from slipway.logs.batches import MAX_PENDING, Writer
from slipway.logs.output import PIPE_BUF, Output, packs
from tests.harness.talking import Pipe, strict

LINE = b'{"n":%d}\n'


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def read(pipe: Pipe, seconds: float = 2.0) -> bytes:
    """Return the received bytes; wait until some have arrived."""
    ready, _, _ = select.select([pipe.reader], [], [], seconds)
    return os.read(pipe.reader, 1 << 20) if ready else b""


def test_packs_hold_whole_lines() -> None:
    """Short lines are joined up to PIPE_BUF, a long one is sent alone, and the order and the bytes do not change."""
    lines = [b"a" * size + b"\n" for size in (10, 4_000, 200, PIPE_BUF - 1, PIPE_BUF, 60_000, 1, 1)]
    found = list(packs(b"".join(lines), PIPE_BUF))

    assert b"".join(found) == b"".join(lines)
    assert all(pack.endswith(b"\n") and (len(pack) <= PIPE_BUF or pack.count(b"\n") == 1) for pack in found)
    assert len(found) == 6


def test_first_line_goes_at_once(pipe: Pipe) -> None:
    """A line after a pause is written at once, without waiting for others."""
    writer = Writer(Output(pipe.writer))
    for number in range(3):
        start = time.monotonic()
        writer.write(LINE % number)
        assert read(pipe) == LINE % number
        assert time.monotonic() - start < 0.1
        time.sleep(0.12)


def test_lines_that_the_thread_has_made(pipe: Pipe) -> None:
    """`write_later` keeps the lines' order; if a maker raises, one line reports it, and no other line is lost."""
    writer = Writer(Output(pipe.writer))
    writer.write_later(lambda: LINE % 0)
    assert read(pipe) == LINE % 0

    writer.write(LINE % 1)
    writer.write_later(lambda: LINE % 2 + LINE % (3 // 0))
    writer.write_later(lambda: LINE % 4)
    writer.write(LINE % 5)
    assert writer.flush(5)
    first, told, *others = read(pipe).splitlines(keepends=True)

    assert (first, others) == (LINE % 1, [LINE % 4, LINE % 5])
    assert strict(told)["message"] == "lines could not be made: ZeroDivisionError"


def test_many_lines_are_few_writes(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines in quick succession are written together."""
    calls: list[int] = []
    write = os.write

    def counted(number: int, data: bytes) -> int:
        calls.append(len(data))
        return write(number, data)

    monkeypatch.setattr(os, "write", counted)
    writer = Writer(Output(pipe.writer))
    for number in range(1_000):
        writer.write(LINE % number)
    writer.flush()

    assert read(pipe) == b"".join(LINE % number for number in range(1_000))
    assert len(calls) < 20


def test_nothing_blocks_and_the_bound_holds(pipe: Pipe) -> None:
    """With a full pipe, writing ten times the bound does not block, and `flush` returns after its timeout."""
    pipe.fill()
    writer = Writer(Output(pipe.writer))
    line = b"x" * 999 + b"\n"
    count = 10 * MAX_PENDING // len(line)
    start = time.monotonic()
    for _ in range(count):
        writer.write(line)
    writer.flush(0.1)

    assert time.monotonic() - start < 1
    pipe.read()
    writer.flush(5)
    pipe.close()
    lines = [data for _, data in pipe.lines if data.strip()]
    told = [strict(data)["dropped"] for data in lines if b"dropped" in data]
    assert sum(told) == count - (len(lines) - len(told)) > 0
    assert len(b"".join(lines)) <= 2 * MAX_PENDING + 1_000


@pytest.mark.parametrize("path", ["/dev/full", None, "closed"])
def test_what_can_not_be_written_is_counted(pipe: Pipe, path: str | None) -> None:
    """Lines for a full, missing or closed file are counted, and the count is written once the output works again."""
    number = os.open("/dev/full", os.O_WRONLY)
    output = Output(None if path is None else number)
    if path == "closed":
        os.close(number)
    writer = Writer(output)
    for line in range(0, 10, 2):
        writer.write(LINE % line + LINE % (line + 1))
        writer.flush()
    writer.redirect(pipe.writer)
    writer.write(LINE % 10)
    writer.flush()
    first, second = read(pipe).splitlines()

    assert first == LINE.strip() % 10
    assert strict(second)["dropped"] == 10
    if path != "closed":
        os.close(number)


def test_count_comes_without_another_line(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count of dropped lines is written when the output works again, even if nothing more is logged."""
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.1)
    writer = Writer(Output(None))
    writer.write(LINE % 1)
    writer.flush()
    writer.redirect(pipe.writer)

    assert strict(read(pipe))["dropped"] == 1


def test_descriptor_that_another_program_made_non_blocking(pipe: Pipe) -> None:
    """A full non-blocking pipe loses nothing: the writer waits until it has space."""
    os.set_blocking(pipe.writer, False)
    writer = Writer(Output(pipe.writer))
    sent = [b"%06d" % number + b"x" * 993 + b"\n" for number in range(500)]
    for line in sent:
        writer.write(line)
    pipe.read()
    writer.flush(5)
    pipe.close()

    assert [line + b"\n" for _, line in pipe.lines] == sent


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12: threads are intended here
def test_child_does_not_repeat_its_parent(pipe: Pipe) -> None:
    """A forked process writes only its own lines, even if the fork came in the middle of a write."""
    pipe.fill()
    writer = Writer(Output(pipe.writer))
    os.register_at_fork(after_in_child=writer.reset)
    for number in range(100):
        writer.write(LINE % number)
    child = os.fork()
    if child == 0:
        writer.write(LINE % 1_000)
        writer.flush(10)
        os._exit(0)
    pipe.read()
    assert os.waitpid(child, 0) == (child, 0)
    writer.flush(5)
    pipe.close()
    numbers = [strict(line)["n"] for _, line in pipe.lines if line.strip()]

    assert sorted(numbers) == [*range(100), 1_000]


def test_signal_in_the_middle_of_a_write(pipe: Pipe) -> None:
    """A signal handler may log at any moment, and no line is lost by that."""
    pipe.read()
    writer = Writer(Output(pipe.writer))
    interrupted: list[int] = []

    def handle(number: int, frame: object) -> None:
        interrupted.append(1)
        writer.write(LINE % -1)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for number in range(20_000):
            writer.write(LINE % number)
            if number % 5_000 == 0:
                writer.flush(5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    writer.flush(5)
    pipe.close()
    numbers = [strict(line)["n"] for _, line in pipe.lines]

    assert [number for number in numbers if number >= 0] == [*range(20_000)]
    assert numbers.count(-1) == len(interrupted) > 10


def test_no_thread_to_be_had(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines wait while no thread can be started, and are written by the first thread that can."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    writer = Writer(Output(pipe.writer))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        writer.write(LINE % 1)
        writer.flush()
    writer.write(LINE % 2)
    writer.flush()

    assert read(pipe) == LINE % 1 + LINE % 2


def test_lines_after_the_end_go_out_at_once(pipe: Pipe) -> None:
    """A line of an exit handler that runs after the writer's end is written at once."""
    writer = Writer(Output(pipe.writer))
    writer.write(LINE % 1)
    writer.end()
    writer.write(LINE % 2)

    assert read(pipe) == LINE % 1 + LINE % 2


def test_slow_reader_at_the_end(pipe: Pipe) -> None:
    """At the exit the writer waits longer for a reader that makes progress than for one that does not."""
    pipe.fill()
    writer = Writer(Output(pipe.writer))
    for _ in range(900):
        writer.write(b"x" * 999 + b"\n")
    start = time.monotonic()
    writer.end()
    assert time.monotonic() - start < 2

    def read_slowly() -> None:
        left = pipe.filling + 900_000
        while left:
            time.sleep(0.06)
            left -= len(os.read(pipe.reader, 65_536))

    slow = threading.Thread(target=read_slowly)
    slow.start()
    writer.end()
    slow.join()
    assert not writer._pending
    assert time.monotonic() - start > 1


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # threads of earlier tests
def test_torn_line_is_taken_back(tmp_path: Path) -> None:
    """On a full disk the file ends with a whole line, and continues there once there is space."""
    path = tmp_path / "log"
    child = os.fork()
    if child == 0:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_500, resource.RLIM_INFINITY))
        output = Output(os.open(path, os.O_WRONLY | os.O_CREAT))
        lines = b'{"n":"%s"}\n' % (b"x" * 992) * 5
        lost = output.put(lines)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        os._exit(0 if lost == 3 and output.put(lines) == 0 else 1)

    assert os.waitpid(child, 0)[1] == 0
    found = path.read_bytes().split(b"\n")
    assert found.pop() == b""
    assert [len(strict(line)["n"]) for line in found] == [992] * 7
