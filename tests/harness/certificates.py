"""Certificates for tests: authorities, what they sign, and files that are replaced as an operator would."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

NAMES = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate chain and its key."""

    certificate: Path
    key: Path

    def replace(self, leaf: trustme.LeafCert) -> None:
        """Put another certificate in place of this one."""
        write(self.certificate, b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        write(self.key, leaf.private_key_pem.bytes())


class Authority:
    """An authority, whose own certificate is in `file`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self.ca = trustme.CA()
        self.file = folder / f"{name}.pem"
        self.ca.cert_pem.write_to_path(str(self.file))

    def sign(self, *names: str, age: timedelta = timedelta()) -> trustme.LeafCert:
        """Return a certificate that ends in a day, `age` ago."""
        end = datetime.now(UTC) + timedelta(days=1) - age
        return self.ca.issue_cert(*(names or NAMES), not_before=end - timedelta(days=2), not_after=end)

    def pair(self, name: str, *names: str, age: timedelta = timedelta()) -> Pair:
        """Return the files of a new certificate."""
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        pair.replace(self.sign(*names, age=age))
        return pair


def write(file: Path, content: bytes) -> None:
    """Write a file as a whole, as tools that renew certificates do."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_bytes(content)
    draft.replace(file)
