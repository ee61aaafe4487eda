# Everything is installed into this folder: uv into .bootstrap/, the project and its tools into .venv/.

BOOTSTRAP := .bootstrap
UV := $(BOOTSTRAP)/bin/uv
UV_VERSION := 0.13.9
VENV := .venv
RUN := $(UV) run --frozen

.PHONY: up test coverage check lint types imports audit bench sync clean

up: sync                ## start gateway and crud on an embedded database; Ctrl-C stops both
	@$(VENV)/bin/sarvanom up

test: sync              ## run every test
	$(RUN) pytest -n auto --cov

coverage: sync          ## every test, and which branches none of them takes: twice as slow
	COVERAGE_CORE=ctrace $(RUN) pytest -n auto --cov --cov-branch --cov-fail-under=95

check: lint types imports audit test  ## what CI runs

lint: sync
	$(RUN) ruff check
	$(RUN) ruff format --check

types: sync
	$(RUN) mypy

imports: sync
	$(RUN) lint-imports

audit: sync             ## known vulnerabilities, and dist/sbom.cdx.json; ruff's S rules, which are bandit's, run with lint
	$(VENV)/bin/python -m tests.guards.audit $(UV)

bench: sync             ## the budgets; needs wrk
	$(UV) run --frozen --group benchmarks python -m benchmarks

sync: $(VENV)/.synced

$(VENV)/.synced: $(UV) pyproject.toml uv.lock .python-version
	$(UV) sync --frozen --quiet --compile-bytecode
	@touch $@

$(UV):
	@python3 -m venv $(BOOTSTRAP) || { echo "make: python3 cannot make a virtual environment; install its venv module" >&2; exit 1; }
	@$(BOOTSTRAP)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

clean:
	rm -rf $(BOOTSTRAP) $(VENV)
