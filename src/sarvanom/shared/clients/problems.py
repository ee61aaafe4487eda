"""From an answer that reports an error back to the error that the service raised."""

from typing import Final

from pydantic import BaseModel, ValidationError

from sarvanom.shared.clients.transport import Response
from sarvanom.shared.errors import (
    FieldError,
    InternalError,
    SarvanOMError,
    ServiceUnavailable,
    UpstreamFailed,
    UpstreamTimeout,
    error_from_code,
)
from sarvanom.shared.models.crud_models import ProblemField

_BY_STATUS: Final[dict[int, type[SarvanOMError]]] = {
    error.status: error for error in (UpstreamFailed, ServiceUnavailable, UpstreamTimeout)
}
_KEPT_HEADERS: Final = {
    b"retry-after": "Retry-After",
    b"allow": "Allow",
    b"sarvanom-oldest-revision": "SarvanOM-Oldest-Revision",
}


class _ReceivedProblem(BaseModel):
    """What is read of problem details; anyone's may have more, or no `detail`."""

    code: str
    detail: str = ""
    errors: list[ProblemField] = []


def error_from_response(response: Response) -> SarvanOMError:
    """Rebuild the error: by `code` from problem details (RFC 9457), else by the status."""
    headers = {
        _KEPT_HEADERS[name]: value.decode("latin-1") for name, value in response.headers if name in _KEPT_HEADERS
    }
    problem = _read(response)
    if problem is None or problem.code not in SarvanOMError.by_code:
        error = _BY_STATUS.get(response.status, InternalError)
        said = f": {problem.code}, {problem.detail}" if problem is not None else ""
        return error(f"The service answered {response.status}{said}", headers=headers)
    errors = [FieldError(error.field, error.message) for error in problem.errors]
    return error_from_code(problem.code, problem.detail, errors=errors, headers=headers)


def _read(response: Response) -> _ReceivedProblem | None:
    media_type = (response.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    if media_type != b"application/problem+json":
        return None
    try:
        return _ReceivedProblem.model_validate_json(response.body)
    except ValidationError:
        return None
