# GNU make. `make` lists what there is; PYTHON=... chooses the Python that .venv is made with.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
HISTORIES ?= 5000
EXAMPLES ?= 1000

# An empty PYTHONDONTWRITEBYTECODE lets what is started again and again be compiled once.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
# Not for a few tests, which end before a worker has started.
ALL_CORES := -n logical --maxprocesses 4 --dist worksteal

TOKEN := TAP_TRUTO_ATS_API_TOKEN
DATABASE := $(addprefix TARGET_POSTGRES_,HOST USER PASSWORD DATABASE)
ADDRESS := TARGET_POSTGRES_SQLALCHEMY_URL

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo run check-settings sandbox lint format docs screens plugin models test bounds soak scale bench \
	build check-release constraints clean

help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' \
		$(firstword $(MAKEFILE_LIST))

install: $(INSTALLED) ## make .venv with everything that the other targets need

$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || \
		$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null || \
		{ echo "$(PYTHON) is no Python of 3.10 to 3.13: choose one with make PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv: about half a minute"
	@begin=$$(date +%s) && \
		$(BIN)/python -m pip install --disable-pip-version-check --quiet \
			-c constraints.txt -e '.[dev]' && \
		echo "Installed in $$(($$(date +%s) - begin)) seconds"
	@touch $@

demo: $(INSTALLED) ## load invented data into Postgres, change some, load again, build models
	@$(BIN)/python -m sandbox.demo

run: check-settings $(INSTALLED) ## load from Truto into your Postgres; settings are in .env or the environment
	@$(BIN)/meltano install
	@$(BIN)/meltano run tap-truto-ats target-postgres

check-settings:
	@value() { \
		{ printenv $$1 || sed -nE "s/^[[:space:]]*(export[[:space:]]+)?'?$$1'?[[:space:]]*=//p" \
			.env 2>/dev/null | tail -n 1; } | \
			sed -E "s/^[[:space:]]*(''|\"\")?([[:space:]]+#.*)?[[:space:]]*$$//"; \
	}; \
	database="$(DATABASE)"; \
	if test -n "$$(value $(ADDRESS))"; then database=$(ADDRESS); fi; \
	missing=; placeholders=; \
	for name in $(TOKEN) $$database; do \
		case "$$(value $$name)" in \
			"") missing="$$missing $$name";; \
			*your-truto-api-token*|*your-postgres-password*) placeholders="$$placeholders $$name";; \
		esac; \
	done; \
	if test -n "$$missing"; then \
		echo "Set in .env or the environment (.env.example shows how):$$missing"; \
	fi; \
	if test -n "$$placeholders"; then \
		echo "Replace in .env or the environment the placeholders of .env.example by your own" \
			"values:$$placeholders"; \
	fi; \
	test -z "$$missing$$placeholders"

sandbox: $(INSTALLED) ## serve a local Truto; ARGS="--port 8787 --seed 1" and so on
	@$(BIN)/python -m sandbox $(ARGS)

lint: $(INSTALLED) ## check code, types, imports, workflows, and the documentation's links
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/zizmor --offline --pedantic --strict-collection --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*
	$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*
	$(BIN)/python -m documentation --check

format: $(INSTALLED) ## let ruff format the code and correct what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(INSTALLED) ## write the documentation's tables, and build its site in output/docs/site
	@$(BIN)/python -m documentation

screens: $(INSTALLED) ## run the tap and the demo, and write what they show into the documentation
	@$(BIN)/python -m documentation.screens

plugin: $(INSTALLED) ## write plugin.yml, by which other Meltano projects add the tap
	$(BIN)/python -m documentation.plugin

models: $(INSTALLED) ## write what follows from the tap's schemas in the dbt package
	$(BIN)/python -m documentation.models

test: $(INSTALLED) ## run all tests on all cores; ARGS="tests/api -k bookmark" for some on one
	$(PYTEST) $(or $(ARGS),$(ALL_CORES))

bounds: $(INSTALLED) ## try the wheel with the lowest and the newest versions of its dependencies
	@$(BIN)/python -m tests.bounds

bench: $(INSTALLED) ## measure the tap beside others; ARGS="--case one-account --quick" and so on
	@$(BIN)/python -m benchmarks $(ARGS)

scale: $(INSTALLED) ## load 2,000 accounts by a real Airflow in 64 buckets, then measure shards
	@$(BIN)/python -m benchmarks.scale $(ARGS)

soak: $(INSTALLED) ## run the tests with random input much longer; HISTORIES=... EXAMPLES=...
	CONVERGENCE_HISTORIES=$(HISTORIES) FUZZ_EXAMPLES=$(EXAMPLES) \
		$(PYTEST) $(ALL_CORES) -o faulthandler_timeout=0 \
		tests/end_to_end/test_convergence.py::test_every_history_converges \
		tests/end_to_end/test_fuzz.py

build: $(INSTALLED) ## make the source archive and the wheel in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

check-release: build ## check what is in dist/, and run the tap from the wheel; TAG=v1.2.3 as well
	$(BIN)/twine check --strict dist/*
	@$(BIN)/python -m tests.release $(TAG)

constraints: $(INSTALLED) ## choose newer versions for constraints.txt
	grep -v '^-c' tests/end_to_end/targets/meltanolabs-target-postgres.txt | \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 \
			--no-header --no-annotate --no-emit-package tap-truto-ats \
			--extra dev --output-file constraints.txt pyproject.toml -

clean: ## remove what make has made; .meltano, which holds the bookmarks, stays
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache output/demo.log output/benchmark.* output/docs
	find benchmarks documentation sandbox tap_truto_ats tests -name __pycache__ -prune -exec rm -r {} +
