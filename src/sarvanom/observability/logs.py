"""Log lines: structlog and the standard library through one renderer, each line tied to its request."""

import asyncio
import atexit
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from textwrap import indent
from typing import BinaryIO, Final, Literal

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from sarvanom.observability.access_lines import MakeLine, WriteLine
from sarvanom.shared.trace_context import current_notes

_JSON = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
# What would let a value move a terminal's cursor, turn its text around or forge a line.
_UNSAFE = (*range(32), *range(127, 160), *range(0x200E, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A))
_ESCAPED = {code: repr(chr(code))[1:-1] for code in _UNSAFE}
_ESCAPED_IN_LINES = {code: text for code, text in _ESCAPED.items() if code != ord("\n")}
type Render = Callable[[WrappedLogger, str, EventDict], bytes]
_SOON_SECONDS: Final = 0.05
_MOST_WAITING: Final = 64
"""How many lines are made at once: few enough that no request waits long for it."""
_WHOLE_BYTES: Final = 4096
"""How much a pipe takes in one piece (POSIX: PIPE_BUF is at least 512, and 4,096 on Linux)."""
_STANDARD_LEVELS = (50, 40, 30, 20, 10)


def configure_logs(level: str, format: Literal["json", "console"], stream: BinaryIO, *, service: str) -> WriteLine:
    """Write every log line of this process at `level` or above to `stream`; the last call holds.

    Returns what writes lines within 50 ms, which are put together then, many at once.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    render: Render = _render_json if format == "json" else _console_renderer(stream)
    writer = _LineWriter(stream, render)
    atexit.register(writer.write_waiting)
    structlog.configure(
        processors=[_line_starter(service), render],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_StandardLibraryHandler(structlog.get_logger().bind())]
    root.setLevel(threshold)
    return writer.write_soon


def _line_starter(service: str) -> Processor:
    def start_line(logger: WrappedLogger, level: str, event: EventDict) -> EventDict:
        line: EventDict = {
            "timestamp": datetime.now(UTC),
            "level": level,
            "event": event.pop("event", ""),
            "service": service,
        }
        notes = current_notes.get()
        if notes is not None:
            if notes.request_id:
                line["request_id"] = notes.request_id
            if (trace := notes.trace) is not None:
                line["trace_id"] = trace.trace_id
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, level, event)
        line.update(event)
        return line

    return start_line


def _render_json(_: WrappedLogger, __: str, line: EventDict) -> bytes:
    try:
        return orjson.dumps(line, _text, _JSON)
    except TypeError:
        presentable = {_text(key): _presentable(value) for key, value in line.items()}
        return orjson.dumps(presentable, _text, _JSON)


def _console_renderer(stream: BinaryIO) -> Render:
    # The default formatter would print local variables, and with them secrets.
    console = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(),
        exception_formatter=structlog.dev.plain_traceback,
    )

    def render(logger: WrappedLogger, level: str, line: EventDict) -> bytes:
        try:
            text = console(logger, level, {key: _console_value(key, value) for key, value in line.items()})
            return f"{text}\n".encode(errors="backslashreplace")
        except Exception:  # noqa: BLE001 (a value's own repr may raise anything)
            return _render_json(logger, level, line)

    return render


def _console_value(key: str, value: object) -> object:
    if isinstance(value, str):
        # No line of a traceback, which may end with what a caller sent, begins as a line of the log does.
        return indent(value.translate(_ESCAPED_IN_LINES), "  ") if key == "exception" else value.translate(_ESCAPED)
    if key == "timestamp" and isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return value


def _presentable(value: object) -> object:
    try:
        orjson.dumps(value, _text)
    except TypeError:
        return _text(value)
    return value


def _text(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 (a value's own repr may raise anything)
        text = f"<{type(value).__name__} without a repr>"
    return text.encode(errors="backslashreplace").decode()


class _LineWriter:
    """Writes each line at once, or soon; a log that cannot be written is no reason to fail a request.

    Lines go to the system whole, so that several processes may have one stream.
    """

    def __init__(self, stream: BinaryIO, render: Render) -> None:
        self._stream = stream
        self._render = render
        self._waiting: deque[MakeLine] = deque()
        self._is_due = False

    def write(self, line: bytes) -> None:
        """Write a line, behind those that wait."""
        if self._waiting:
            self.write_waiting()
        self._send(line)

    debug = info = warning = error = critical = write

    def write_soon(self, make_line: MakeLine) -> None:
        """Write a line within 50 ms; it is made with others, which costs half of what it does among other work."""
        self._waiting.append(make_line)
        if not self._is_due:
            # Of two threads that come here at once both have the lines written, which does no harm.
            self._is_due = True
            try:
                asyncio.get_running_loop().call_later(_SOON_SECONDS, self.write_waiting)
            except RuntimeError:  # there is no loop
                self.write_waiting()
        elif len(self._waiting) >= _MOST_WAITING:
            self.write_waiting()

    def write_waiting(self) -> None:
        """Write what waits."""
        self._is_due = False  # what comes from here on is written now, or has itself written
        waiting: list[MakeLine] = []
        with suppress(IndexError):  # no lock: what garbage collection ends may write a line in the midst of this
            while True:
                waiting.append(self._waiting.popleft())
        piece: list[bytes] = []
        size = 0
        for make_line in waiting:
            line = make_line()
            text = self._render(None, line["level"], line)
            if piece and size + len(text) > _WHOLE_BYTES:
                self._send(b"".join(piece))
                piece, size = [], 0
            piece.append(text)
            size += len(text)
        if piece:
            self._send(b"".join(piece))

    def _send(self, text: bytes) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)
            self._stream.flush()


class _StandardLibraryHandler(logging.Handler):
    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        level = next((n for n in _STANDARD_LEVELS if n <= record.levelno), 10)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 (arguments that do not fit their format raise anything)
            message = f"{record.msg} {_text(record.args)}"
        extra = {"exc_info": record.exc_info} if record.exc_info else {}
        self._logger.log(level, message, logger=record.name, **extra)
