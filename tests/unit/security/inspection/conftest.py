"""What the tests of inspection share."""

import pytest

from sarvanom.security.inspection.inspector import Inspector


@pytest.fixture(scope="session")
def inspector() -> Inspector:
    return Inspector()
