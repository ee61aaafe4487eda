"""Master keys for tests, and stores that seal by them."""

from typing import Final

from sarvanom.backends.storage.contract import Store
from sarvanom.security.keyring import Keyring, parse_keyring
from sarvanom.security.sealing import Sealer
from sarvanom.services.crud.sealed_store import SealedStore

MASTER_KEY: Final = "JSwzOkFIT1ZdZGtyeYCHjpWco6qxuL_GzdTb4unw9_4"
OTHER_KEY: Final = "9_Dp4tvUzca_uLGqo5yVjoeAeXJrZF1WT0hBOjMsJR4"


def keyring(*keys: str) -> Keyring:
    """Return a keyring of these keys, or of one that all tests share."""
    return parse_keyring(",".join(keys or (MASTER_KEY,)), "a test")


def sealed(store: Store, *keys: str) -> SealedStore:
    """Return a store whose secrets are sealed."""
    return SealedStore(store, Sealer(keyring(*keys)))
