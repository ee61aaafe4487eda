"""Log lines: one shape from every source, and no value that can break them."""

import asyncio
import io
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from sarvanom.observability.access_lines import MakeLine
from sarvanom.observability.logs import configure_logs
from sarvanom.shared.trace_context import RequestNotes, current_notes


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def fail_with(text: str) -> None:
    raise ValueError(text)


def fail(password: str) -> None:
    raise ValueError("why")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    token = current_notes.set(None)
    yield
    current_notes.reset(token)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def configured(
    level: str = "info", format: Literal["json", "console"] = "json", stream: io.BytesIO | None = None
) -> io.BytesIO:
    stream = stream or io.BytesIO()
    configure_logs(level, format, stream, service="crud")
    return stream


def made(event: str) -> MakeLine:
    return lambda: {"level": "info", "event": event}


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    assert stream.getvalue().endswith(b"\n")
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_how_grave_what_and_where() -> None:
    stream = configured()
    structlog.get_logger().warning("disk almost full", free=7)
    (line,) = lines(stream)
    written = datetime.fromisoformat(line["timestamp"])
    assert line["timestamp"].endswith("Z")
    assert abs((datetime.now(UTC) - written).total_seconds()) < 60
    assert list(line) == ["timestamp", "level", "event", "service", "free"]
    assert (line["level"], line["event"], line["service"], line["free"]) == ("warning", "disk almost full", "crud", 7)


def test_a_line_knows_its_request() -> None:
    stream = configured()
    current_notes.set(RequestNotes("abc"))
    structlog.get_logger().info("one")
    logging.getLogger("other").warning("two")
    assert [line["request_id"] for line in lines(stream)] == ["abc", "abc"]


def test_below_the_level_nothing_is_written() -> None:
    stream = configured("warning")
    structlog.get_logger().info("one")
    logging.getLogger("other").info("two")
    assert stream.getvalue() == b""
    assert not structlog.get_logger().is_enabled_for(logging.INFO)


def test_a_level_that_there_is_not_is_refused() -> None:
    with pytest.raises(KeyError):
        configured("loud")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\xff", "b'\\xff'"),
        (Path("/a"), "PosixPath('/a')"),
        (Unprintable(), "<Unprintable without a repr>"),
        ("\ud800", "\\ud800"),
        (2**70, str(2**70)),
        ({1: 2}, "{1: 2}"),
        ({"deep": "\ud800"}, "{'deep': '\\ud800'}"),
        (float("nan"), None),
        ([Unprintable()], ["<Unprintable without a repr>"]),
        ("a\nb", "a\nb"),
    ],
)
def test_no_value_is_too_odd(value: object, shown: object) -> None:
    stream = configured()
    structlog.get_logger().info("odd", value=value, other=1)
    (line,) = lines(stream)
    assert (line["value"], line["other"]) == (shown, 1)


def test_a_value_that_holds_itself_is_shown() -> None:
    stream = configured()
    itself: list[object] = []
    itself.append(itself)
    structlog.get_logger().info("odd", value=itself)
    assert lines(stream)[0]["value"] == "[[...]]"


@pytest.mark.parametrize("format", ["json", "console"])
@settings(max_examples=50)
@given(
    event=st.text(st.characters(exclude_categories=())),
    value=st.recursive(
        st.none() | st.floats() | st.binary() | st.text(st.characters(exclude_categories=())) | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.integers() | st.text(), inner),
    ),
)
def test_logging_never_raises(format: Literal["json", "console"], event: str, value: object) -> None:
    stream = configured(format=format)
    structlog.get_logger().info(event, value=value)
    assert stream.getvalue()
    if format == "json":
        assert len(lines(stream)) == 1


def test_an_exception_is_told_without_local_variables() -> None:
    for format in ("json", "console"):
        stream = configured(format=format)
        try:
            fail("hunter" + "2")
        except ValueError:
            structlog.get_logger().exception("failed")
        text = stream.getvalue().decode()
        assert "ValueError: why" in text
        assert "Traceback" in text
        assert "hunter2" not in text


def test_the_standard_library_goes_the_same_way() -> None:
    stream = configured()
    logging.getLogger("uvicorn.error").info("Started server process [%d]", 7)
    try:
        fail("hunter" + "2")
    except ValueError:
        logging.getLogger("asyncio").exception("Task failed")
    started, failed = lines(stream)
    assert (started["level"], started["event"]) == ("info", "Started server process [7]")
    assert (started["logger"], started["service"]) == ("uvicorn.error", "crud")
    assert "exception" not in started
    assert (failed["level"], failed["logger"]) == ("error", "asyncio")
    assert failed["exception"].endswith("ValueError: why")


@pytest.mark.parametrize(("number", "name"), [(5, "debug"), (25, "info"), (35, "warning"), (50, "critical")])
def test_levels_of_others_are_rounded_down(number: int, name: str) -> None:
    stream = configured("debug")
    logging.getLogger().setLevel(1)
    logging.getLogger("other").log(number, "x")
    assert lines(stream)[0]["level"] == name


def test_arguments_that_do_not_fit_are_shown() -> None:
    stream = configured()
    logging.getLogger("other").warning("%d", "x")
    assert lines(stream)[0]["event"] == "%d ('x',)"


def test_percent_signs_in_a_message_are_left_alone() -> None:
    stream = configured()
    logging.getLogger("other").warning("100%s")
    assert lines(stream)[0]["event"] == "100%s"


def test_the_last_configuration_holds() -> None:
    first, second = configured(), configured()
    structlog.get_logger().info("one")
    logging.getLogger("other").warning("two")
    assert first.getvalue() == b""
    assert [line["event"] for line in lines(second)] == ["one", "two"]


def test_a_logger_made_before_follows() -> None:
    early = structlog.get_logger()
    stream = configured()
    early.info("one")
    assert lines(stream)[0]["event"] == "one"


@pytest.mark.parametrize(("stream", "coloured"), [(Terminal(), True), (io.BytesIO(), False)])
def test_the_console_has_colours_on_a_terminal_alone(stream: io.BytesIO, coloured: bool) -> None:
    configured(format="console", stream=stream)
    structlog.get_logger().info("hello", name="world")
    text = stream.getvalue().decode()
    assert ("\x1b[" in text) is coloured
    plain = re.sub(r"\x1b\[\d*m", "", text)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 \[info +\] hello +", plain)
    assert "name=world" in plain
    assert "service=crud" in plain


def test_the_console_falls_back_on_json() -> None:
    stream = configured(format="console")
    structlog.get_logger().info("odd", value=Unprintable())
    assert lines(stream)[0]["value"] == "<Unprintable without a repr>"


def test_no_value_can_forge_a_line_or_steer_the_terminal() -> None:
    for format in ("json", "console"):
        stream = configured(format=format)
        structlog.get_logger().info("a\nforged \x1b[2J", value="\x9b2J", itself="b\nforged")
        text = stream.getvalue().decode()
        assert len(text.splitlines()) == 1
        assert "\x1b" not in text
    assert "\x9b" not in text


def test_an_exception_can_neither() -> None:
    stream = configured(format="console")
    try:
        fail_with("x\n2026-01-01 [info] forged \x1b[2J\r\u202e")
    except ValueError:
        structlog.get_logger().exception("failed")
    first, *rest = stream.getvalue().decode().splitlines()
    assert " failed " in first
    assert any("forged" in line for line in rest)
    assert all(line.startswith("  ") for line in rest)
    assert not {"\x1b", "\r", "\u202e"} & set(stream.getvalue().decode())


def test_a_caller_may_say_when_it_was() -> None:
    for format in ("json", "console"):
        stream = configured(format=format)
        structlog.get_logger().info("replayed", timestamp="long ago")
        assert b"long ago" in stream.getvalue()


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError])
def test_a_log_that_cannot_be_written_fails_no_request(error: type[Exception]) -> None:
    class Broken(io.BytesIO):
        def flush(self) -> None:
            raise error

    stream = Broken()
    configured(stream=stream)
    structlog.get_logger().info("one")
    assert lines(stream)[0]["event"] == "one"


def test_the_process_streams_can_be_logged_to(capfd: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json", sys.stderr.buffer, service="crud")
    structlog.get_logger().info("one")
    assert orjson.loads(capfd.readouterr().err)["event"] == "one"


async def test_lines_that_may_wait_come_soon_together_and_in_order() -> None:
    stream = io.BytesIO()
    write = configure_logs("info", "json", stream, service="crud")
    for number in range(3):
        write(made(f"soon {number}"))
    assert stream.getvalue() == b""
    structlog.get_logger().info("at once")
    assert [line["event"] for line in lines(stream)] == ["soon 0", "soon 1", "soon 2", "at once"]
    write(made("last"))
    await asyncio.sleep(0.2)
    assert lines(stream)[-1]["event"] == "last"


async def test_many_lines_are_written_in_pieces_that_a_pipe_takes_whole() -> None:
    pieces: list[bytes] = []

    class Pipe(io.BytesIO):
        def write(self, text: Any) -> int:
            pieces.append(bytes(text))
            return len(text)

    write = configure_logs("info", "json", Pipe(), service="crud")
    for number in range(500):
        write(made("x" * (number % 300)))
    write(made("y" * 10_000))
    await asyncio.sleep(0.2)
    assert b"".join(pieces).count(b"\n") == 501
    assert all(piece.endswith(b"\n") for piece in pieces)
    assert all(len(piece) <= 4096 or piece.count(b"\n") == 1 for piece in pieces)
    assert len(pieces) < 60


def test_without_a_loop_lines_are_written_at_once() -> None:
    stream = io.BytesIO()
    configure_logs("info", "json", stream, service="crud")(made("now"))
    assert [line["event"] for line in lines(stream)] == ["now"]


async def test_lines_that_may_wait_are_not_kept_for_more_than_a_few() -> None:
    stream = io.BytesIO()
    write = configure_logs("info", "json", stream, service="crud")
    for number in range(200):
        write(made(f"soon {number}"))
    assert len(lines(stream)) == 192
    await asyncio.sleep(0.2)
    assert [line["event"] for line in lines(stream)] == [f"soon {number}" for number in range(200)]


async def test_no_line_is_lost_that_threads_write_at_once() -> None:
    stream = io.BytesIO()
    write = configure_logs("info", "json", stream, service="crud")

    def write_many() -> None:
        for number in range(2_000):
            write(made(str(number)))

    await asyncio.gather(*(asyncio.to_thread(write_many) for _ in range(4)))
    write_many()
    await asyncio.sleep(0.2)
    assert Counter(line["event"] for line in lines(stream)) == {str(number): 5 for number in range(2_000)}
