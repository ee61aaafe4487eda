"""What every direct route does: decide whether who asks may, parse, carry out, answer."""

from collections.abc import Awaitable, Callable, Collection

from starlette.types import Receive, Scope, Send

from sarvanom.web.authorization import require
from sarvanom.web.calls import Call, Perform
from sarvanom.web.middleware.statement import BODY_DIGEST
from sarvanom.web.proofs import PROOF, REFUTATION, Refutation
from sarvanom.web.routing import DirectEndpoint
from sarvanom.web.sending import send_answer


def make_endpoint[C: Call](
    needed: Collection[str],
    parse: Callable[[Scope, Receive], Awaitable[C]],
    perform: Perform[C],
    *,
    unbound: bool = False,
) -> DirectEndpoint:
    """Return the endpoint of an operation that takes one of the scopes that are needed."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        principal = require(scope, needed, unbound=unbound)
        call = await parse(scope, receive)
        call.principal = principal
        call.body_digest = scope.get(BODY_DIGEST)
        if call.is_streamed and PROOF in scope:
            await _stream(scope, send, call, perform)
        else:
            await send_answer(scope, send, await perform(call))

    return endpoint


async def _stream[C: Call](scope: Scope, send: Send, call: C, perform: Perform[C]) -> None:
    """Carry a call out while it is proven who asks: it may take longer than a proof is good for."""
    refutation = scope[REFUTATION] = Refutation(scope[PROOF])
    try:
        if call.chunks is not None:
            call.chunks = refutation.chunks(call.chunks)
        await send_answer(scope, send, await perform(call))
    finally:
        refutation.close()
