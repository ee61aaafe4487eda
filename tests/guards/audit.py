"""The audit of what the project depends on: known vulnerabilities, and a bill of materials.

`make audit` runs it. The database of vulnerabilities (OSV) is asked where it can be reached; the bill of materials, in
CycloneDX, is written and checked in any case.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
BILL = ROOT / "dist" / "sbom.cdx.json"
FOUND, UNREACHABLE = 1, 2
"""How `uv audit` ends when it has found a vulnerability, and when it could not ask."""

type Package = tuple[str, str]


def locked_packages(lock: str) -> set[Package]:
    """Return name and version of each package that the lock file names, but the project's own."""
    packages = tomllib.loads(lock)["package"]
    return {(one["name"], one["version"]) for one in packages if "editable" not in one["source"]}


def billed_packages(bill: str) -> set[Package]:
    """Return name and version of each component of a bill of materials that has a package URL and a hash."""
    document = json.loads(bill)
    if (document["bomFormat"], document["specVersion"]) != ("CycloneDX", "1.5"):
        raise ValueError("This is no bill of materials in CycloneDX 1.5")
    return {
        (one["name"], one["version"])
        for one in document["components"]
        if one.get("purl") == f"pkg:pypi/{one['name']}@{one['version']}" and _has_hash(one)
    }


def write_bill(uv: str, target: Path) -> set[Package]:
    """Write the bill of materials, and return the locked packages that are missing from it."""
    target.parent.mkdir(exist_ok=True)
    command = (uv, "export", "--frozen", "--quiet", "--all-groups", "--format", "cyclonedx1.5")
    bill = subprocess.run((*command, "--no-header"), cwd=ROOT, check=True, capture_output=True, text=True).stdout
    target.write_text(bill)
    return locked_packages((ROOT / "uv.lock").read_text()) - billed_packages(bill)


def ask_for_vulnerabilities(uv: str, *options: str) -> tuple[int, str]:
    """Return how `uv audit` ended, and what it said."""
    command = (uv, "audit", "--frozen", "--preview-features", "audit-command", *options)
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    return ended.returncode, (ended.stdout + ended.stderr).strip()


def main(arguments: Sequence[str]) -> int:
    """Run the audit with the uv that is given, and return the exit status: 0 also if the database is out of reach."""
    uv, *options = arguments
    missing = write_bill(uv, BILL)
    if missing:
        print(f"{BILL} lacks {', '.join(f'{name} {version}' for name, version in sorted(missing))}")
        return 1
    print(f"{BILL.relative_to(ROOT)} names all {len(locked_packages((ROOT / 'uv.lock').read_text()))} locked packages.")
    status, said = ask_for_vulnerabilities(uv, *options)
    if status == UNREACHABLE:
        print(
            "NOT AUDITED: the database of vulnerabilities cannot be reached from here. Run `make audit` where it can."
        )
        print(said.splitlines()[-1] if said else "")
        return 0
    print(said)
    return status


def _has_hash(component: dict[str, list[dict[str, list[object]]]]) -> bool:
    return any(reference.get("hashes") for reference in component.get("externalReferences", []))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
