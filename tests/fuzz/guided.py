"""One parser under atheris, which looks for inputs that reach new code: `python -m tests.fuzz.guided NAME OPTION…`.

The options are libFuzzer's, such as `-max_total_time=60`. It needs the group `fuzz`: `uv run --group fuzz …`.
"""

import sys

import atheris

with atheris.instrument_imports(include=["sarvanom"]):
    from tests.fuzz.parsers import TARGETS

if __name__ == "__main__":
    name = sys.argv.pop(1)
    atheris.Setup([*sys.argv, "-verbosity=0", "-print_final_stats=1"], TARGETS[name])
    atheris.Fuzz()
