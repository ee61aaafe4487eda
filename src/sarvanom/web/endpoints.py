"""What every direct route does: decide whether who asks may, parse, carry out, answer."""

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from time import monotonic
from typing import Final

from starlette.types import Receive, Scope, Send

from sarvanom.web.authorization import require
from sarvanom.web.calls import Call, Perform
from sarvanom.web.middleware.statement import BODY_DIGEST
from sarvanom.web.proofs import PROOF, REFUTATION, Refutation, prove_again
from sarvanom.web.routing import DirectEndpoint
from sarvanom.web.sending import send_answer

LONG_BODY_SECONDS: Final = 1.0
"""If its body took longer, who asks is proven again before a request is carried out."""


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
        began = monotonic()
        call = await parse(scope, receive)
        if monotonic() - began > LONG_BODY_SECONDS:
            await prove_again(scope)
        call.principal = principal
        call.body_digest = scope.get(BODY_DIGEST)
        if call.is_streamed and PROOF in scope:
            await _stream(scope, send, call, perform)
        else:
            await send_answer(scope, send, await perform(call))

    return endpoint


async def _stream[C: Call](scope: Scope, send: Send, call: C, perform: Perform[C]) -> None:
    """Carry a call out while it is proven who asks: it may take longer than a proof is good for."""
    authenticator, token, principal = scope[PROOF]
    refutation = scope[REFUTATION] = Refutation(partial(authenticator.until_refuted, token, principal))
    try:
        if call.chunks is not None:
            call.chunks = refutation.chunks(call.chunks)
        await send_answer(scope, send, await perform(call))
    finally:
        refutation.close()
