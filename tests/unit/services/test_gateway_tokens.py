"""The tokens of a gateway as it is put together."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from sarvanom.backends.limits.memory import MemoryLimits
from sarvanom.security.access_tokens import AccessTokens
from sarvanom.security.principals import Principal
from sarvanom.security.signing_keys import SigningKeys
from sarvanom.services.gateway.questions import Questions
from sarvanom.services.gateway.tokens import GatewayTokens, TokenSettings
from sarvanom.shared.errors import Unauthorized
from tests.unit.security.tokens import SECRET


async def test_token_of_a_gateway_that_has_another_url_is_logged_with_both() -> None:
    own, its = "http://127.0.0.1:8000", "http://127.0.0.1:9000"
    unasked: Any = None
    questions = Questions(unasked, unasked, unasked)
    with capture_logs() as logged:
        tokens = GatewayTokens(SECRET, questions, MemoryLimits(), TokenSettings(own, own, 900, 5.0))
        text = (
            AccessTokens(SigningKeys(SECRET), issuer=its, audience=its).issue(Principal("user:a"), client_id="x").text
        )
        for _ in range(3):
            with pytest.raises(Unauthorized):
                await tokens.bearers.authenticate(text)
    (line,) = logged
    assert (line["its_url"], line["own_url"], line["log_level"]) == (its, own, "warning")
