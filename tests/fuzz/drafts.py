"""What a fuzzer sends: bytes close enough to what the services expect to get deep, and then bent."""

from json import dumps
from typing import Final

from hypothesis import strategies as st

from sarvanom.shared.resources import RESOURCES
from tests.harness.identity import PROOF

FIELDS: Final = sorted({name for resource in RESOURCES for name in resource.model.model_fields})
PARAMETERS: Final = (
    *("limit", "cursor", "skip", "sort", "fields", "include_total", "at_revision", "since", "resource", "id"),
    *("on_conflict", "tag", "service", "priority__gte", "provider__in", "username__prefix", "tags__contains"),
    *FIELDS,
)
_NUMBERS: Final = ("0", "-1", "1e999", "9" * 20, "1_0", "\u0663", "0x1", "01", "NaN", "1.0", "true", "null")
_TOKENS: Final = (
    *('"1"', "*", 'W/"1"', '"', '""', ",", ";", "q=0", "q=1.0001", "application/json", "application/x-ndjson"),
    *("text/event-stream", "*/*", "charset=utf-8", "gzip", "chunked", "close", "keep-alive", "Upgrade"),
    *("h2c", "100-continue", *_NUMBERS),
)
_texts = st.text(max_size=30)
_scalars = st.sampled_from(_NUMBERS) | _texts.map(dumps) | _texts.map(lambda text: f'"{text}"') | st.just('"a"')

json_like: Final = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(FIELDS) | _texts, inner), max_size=5).map(
            lambda pairs: "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
        )
    ),
    max_leaves=8,
).map(lambda text: text.encode("utf-8", "surrogatepass"))

_percent: Final = st.binary(min_size=1, max_size=4).map(lambda data: "".join(f"%{byte:02x}" for byte in data))
_values: Final = st.sampled_from(_TOKENS) | _percent | st.text(st.characters(min_codepoint=33, max_codepoint=126))
query_like: Final = st.lists(st.tuples(st.sampled_from(PARAMETERS) | _values, _values), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8")
)
header_like: Final = (
    st.lists(st.sampled_from(_TOKENS) | _texts, max_size=5)
    .map(lambda parts: ", ".join(parts).encode("utf-8", "replace"))
    .map(lambda value: value.replace(b"\r", b"").replace(b"\n", b""))
)
bytes_like: Final = st.binary(max_size=200) | json_like | query_like | header_like

_METHODS: Final = (b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD")
_ODD_METHODS: Final = (b"OPTIONS", b"CONNECT", b"PRI", b"get", b"")
_PATHS: Final = (
    *(f"/{resource.collection}".encode() for resource in RESOURCES),
    *(f"/{resource.collection}/a".encode() for resource in RESOURCES),
    *(b"/changes", b"/revisions/latest", b"/revisions/1/revert", b"/health", b"/ready", b"/version", b"/keys/a/rotate"),
    *(b"/cache-stats", b"/openapi.json", b"/docs", b"/", b"*", b"http://127.0.0.1/users", b"//", b"127.0.0.1:80"),
)
_NAMES: Final = (
    *(b"Accept", b"Content-Type", b"Idempotency-Key", b"If-Match", b"If-None-Match", b"Last-Event-ID", b"Prefer"),
    *(b"X-Forwarded-For", b"X-Request-ID", b"Expect", b"Upgrade", b"Connection", b"Content-Encoding", b"Origin"),
    *(b"Trailer", b"TE", b"Range", b"Authorization", b"X"),
)
_FRAMING_NAMES: Final = (b"Host", b"Content-Length", b"Transfer-Encoding")
_MEDIA: Final = (b"application/json", b"application/merge-patch+json", b"application/x-ndjson", b"text/plain")
_BENT: Final = (b"", b"\0", b"\n", b"\r", b" ", b"\t", b"\x80", b"\r\n", b"\r\n\r\n", b":", b"0")
_bend: Final = st.tuples(
    st.floats(0, 1, exclude_max=True), st.integers(0, 3), st.sampled_from(_BENT) | st.binary(max_size=3)
)
_item_like: Final = st.tuples(st.sampled_from("abc"), json_like).map(
    lambda drawn: (
        b'{"key": "%b", "value": %b}' % (drawn[0].encode(), drawn[1])
        if drawn[0] < "c"
        else b'{"setting_key": "c", "setting_value": %b}' % drawn[1]
    )
)


def _often[T](usual: st.SearchStrategy[T], odd: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Draw the odd thing once in a while: there are many places for one, and few requests should have several."""
    return st.integers(0, 31).flatmap(lambda number: odd if number == 17 else usual)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Draft a request, right in most of its parts, and perhaps bent in a place or two.

    `PROOF` stands in most of them, where `prove` puts what opens the door: without it a fuzzer sees only the door.
    """
    target = draw(st.sampled_from(_PATHS)) + draw(_often(st.just(b""), query_like))
    target += draw(_often(st.just(b""), query_like.map(lambda query: b"?" + query)))
    body = draw(_item_like | json_like | st.binary(max_size=100))
    media_type = draw(_often(st.just(_MEDIA[0]), st.sampled_from(_MEDIA)))
    headers = [(b"Host", b"127.0.0.1"), (b"Connection", b"close"), (b"Content-Type", media_type)]
    names = _often(st.sampled_from(_NAMES), st.sampled_from(_FRAMING_NAMES))
    headers += draw(st.lists(st.tuples(names, header_like), max_size=2))
    match draw(st.integers(0, 31)):
        case 17:
            headers.append((b"Transfer-Encoding", b"chunked"))
            headers.append((b"Content-Length", b"%d" % len(body)))
        case number if number % 2:
            headers.append((b"Transfer-Encoding", b"chunked"))
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        case _:
            headers.append((b"Content-Length", b"%d" % len(body)))
    method = draw(_often(st.sampled_from(_METHODS), st.sampled_from(_ODD_METHODS)))
    version = draw(_often(st.just(b"HTTP/1.1"), st.sampled_from((b"HTTP/1.0", b"HTTP/2.0", b""))))
    lines = [b" ".join((method, target, version)), *(name + b": " + value for name, value in headers)]
    who = draw(_often(st.just(PROOF), st.just(b"")))
    sent = b"\r\n".join(lines) + b"\r\n" + who + b"\r\n" + body
    for place, removed, put in draw(_often(st.just([]), st.lists(_bend, max_size=2))):
        at = int(place * len(sent))
        sent = sent[:at] + put + sent[at + removed :]
    return sent
