# Everything a developer does; each target makes the .venv first if it is missing or out of date.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
OLDEST := .venv-oldest
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Acceptance tests of what no version of Celery has to do with.
OF_STORES := batches benchmarks bulk chaos clock_skew dashboard dashboard_pictures demo deploy full_redis health keys least_roles \
	lost_memory partition poison postgres_outages rescue restore retries scaling slots stall worker_fleet worker_modules workflows
# Acceptance tests whose stores fail: they want more of the machine than others, which mostly wait.
OUTAGES := chaos full_redis lost_memory outages partition postgres_outages
# Tests of pages share one browser and one platform, which tests that are shared out would begin again and again.
PAGES := dashboard

.DEFAULT_GOAL := help
.PHONY: help demo up test oldest check docs bench chaos format lock clean

help: ## Show the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: $(READY) ## Run the main job, an analysis of this machine's standard library, on an embedded stack.
	@$(BIN)/python -m examples.demo

up: $(READY) ## Start PostgreSQL, Redis, worker, controller and beat on this machine; Ctrl-C stops them.
	@$(BIN)/jobplatform up

test: $(READY) ## Run all tests; they start servers of their own.
	@$(BIN)/python -m pytest -q -n 4 --dist worksteal tests/unit tests/integration
	@$(BIN)/python -m pytest -q tests/acceptance/test_$(PAGES).py & pages=$$!; \
		$(BIN)/python -m pytest -q -n 3 --dist worksteal $(patsubst %,tests/acceptance/test_%.py,$(OUTAGES)); outages=$$?; \
		$(BIN)/python -m pytest -q -n 4 --dist worksteal tests/acceptance \
		$(patsubst %,--ignore=tests/acceptance/test_%.py,$(OUTAGES) $(PAGES)); rest=$$?; \
		wait $$pages && exit $$((outages + rest))

$(OLDEST)/.ready: $(READY) requirements-oldest.txt
	@$(PYTHON) -m venv --clear $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r requirements-oldest.txt
	@packages="import sysconfig; print(sysconfig.get_path('purelib'))"; \
		upper=$$($(OLDEST)/bin/python -c "$$packages") && lower=$$($(BIN)/python -c "$$packages") && \
		echo "import site; site.addsitedir('$$lower')" > "$$upper/lower.pth"
	@touch $@

oldest: $(OLDEST)/.ready ## Run what touches Celery with the oldest Celery that is supported, in its default pool.
	@$(OLDEST)/bin/python -c "import celery, kombu; print('with Celery', celery.__version__, 'and kombu', kombu.__version__)"
	@$(OLDEST)/bin/python -m pytest -q -n 6 --dist worksteal tests/unit/test_pool.py tests/unit/test_credit.py \
		tests/integration/test_transport.py tests/integration/test_submission.py tests/acceptance \
		-k "not threads and not solo" \
		$(addprefix --ignore=tests/acceptance/test_,$(addsuffix .py,$(OF_STORES)))

check: $(READY) ## Lint, type-check, check the layers and build the documentation.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(MAKE) --no-print-directory docs

docs: $(READY) ## Build the documentation into build/docs.
	@$(BIN)/python -m sphinx -q -W --keep-going -j auto -b html docs build/docs

bench: $(READY) ## Measure against plain Celery in the same run; writes build/bench.json.
	@$(BIN)/python -m benchmarks.throughput

chaos: $(READY) ## Break everything at random times for three minutes and judge what became of the jobs.
	@chaos/run --minutes 3

format: $(READY) ## Format the code.
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

lock: $(READY) ## Pin requirements.in into requirements.txt, with hashes.
	@$(BIN)/python -m pip install --quiet pip-tools
	@$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --output-file requirements.txt requirements.in

clean: ## Remove what was built.
	@rm -rf build $(READY) $(OLDEST)
