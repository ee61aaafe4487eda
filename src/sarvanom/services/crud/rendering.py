"""Changes as JSON text and as server-sent events, put together from the bytes that are stored."""

from pydantic_core import to_json

from sarvanom.backends.storage.log import Change
from sarvanom.shared.changes import ChangeKind


def is_moved(change: Change, services: frozenset[str] | None) -> bool:
    """Tell whether a change took its resource from some services to others, or the other way."""
    if services is None or change.left_service is None:
        return False
    return (change.service in services) != (change.left_service in services)


def seen_by(change: Change, services: frozenset[str] | None) -> Change:
    """Return a change as services see it together: what comes to them is created, what leaves them is deleted."""
    if services is None or change.left_service is None or not is_moved(change, services):
        return change
    if change.service in services:
        return change._replace(kind=ChangeKind.CREATE, previous=None)
    return change._replace(kind=ChangeKind.DELETE, service=change.left_service, body=None)


def render_change(change: Change) -> bytes:
    """Return a change as the JSON text of a `Change` model."""
    head = to_json(
        {
            "revision": change.revision,
            "resource": change.collection,
            "id": change.id,
            "operation": change.kind,
            "service": change.service,
            "actor": change.actor,
            "request_id": change.request_id,
            "time": change.time,
            "previous_revision": change.previous,
            "reverts": change.reverts,
        }
    )
    return b'%s,"after":%s}' % (head[:-1], change.body or b"null")


def frame_for(change: Change, services: frozenset[str] | None) -> bytes:
    """Return a change as the server-sent event that a watcher for services gets."""
    return render_frame(seen_by(change, services))


def render_frame(change: Change) -> bytes:
    """Return a change as a server-sent event; JSON text has no line breaks of its own."""
    return b"id: %d\nevent: change\ndata: %s\n\n" % (change.revision, render_change(change))


def render_heartbeat(head: int, position: int | None) -> bytes:
    """Return the newest revision as a comment, and where a reader is to resume, if it is to be told.

    A block with an id and no data is not dispatched, but its id is kept (HTML, section 9.2.6).
    """
    return b": %d\n\n" % head if position is None else b"id: %d\n: %d\n\n" % (position, head)
