# The commands of this repository; docs/development.md describes them.
# Containers, and a Nix without daemon, need root.
AS_ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E)
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

# Tests start Python hundreds of times: keep compiled modules, and keep them out of the tree.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.state/pycache

# The checks of `make lint`; targets that use this install the requirements first.
define check
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/codespell
endef

# Two workers (pytest-xdist) share the tests; all tests of a file run in the same one.
PYTEST := .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# The tests without Nix and clients, and a comparison of how much of each file they run.
define coverage
	$(AS_ROOT) $(PYTEST) -q -m "not nix and not e2e and not full" --cov --cov-report json:.state/coverage.json
	.venv/bin/python -m scripts.file_coverage
endef

.PHONY: help demo demo-once test test-full unit coverage lint drawing book image bench clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 20

demo: ## set up, pull an image with a real client, run it, serve until Ctrl-C
	@python3 scripts/setup.py demo
	@$(AS_ROOT) .venv/bin/python -m scripts.demo

demo-once: ## the same, and stop after the run
	@$(MAKE) --no-print-directory demo DEMO_ONCE=1

test: ## set up, lint, all tests with real clients; what .ci/run runs
	@python3 scripts/setup.py test
	$(check)
	$(coverage)
	$(AS_ROOT) $(PYTEST) -m "(nix or e2e) and not full"

test-full: ## the same, and packages outside the small set (minutes, a download of gigabytes)
	@python3 scripts/setup.py full
	$(check)
	$(coverage)
	$(AS_ROOT) $(PYTEST) -m "nix or e2e or full"

unit: ## set up, fast tests without Nix, network or clients
	@python3 scripts/setup.py dev
	$(PYTEST) -q

coverage: ## the same and slow ones, and compare how much of each file of app they run
	@python3 scripts/setup.py dev
	$(coverage)

lint: ## set up, style, types, imports, spelling
	@python3 scripts/setup.py dev
	$(check)

drawing: ## draw the packages from the code into docs/architecture.md
	@python3 scripts/setup.py dev
	.venv/bin/python -m scripts.draw --write

book: ## render the documentation as a site, for NIXERY_WEB_DIR
	@python3 scripts/setup.py dev
	.venv/bin/python -m scripts.book

image: ## build the server's own image into .state/nixery-image.tar
	@python3 scripts/setup.py demo
	@$(AS_ROOT) .venv/bin/python -m scripts.server_set .state/nixery-image.tar

bench: ## measure; prints ratios, without a verdict
	@python3 scripts/setup.py demo
	@for bench in $(filter-out bench/common.py bench/observing.py,$(wildcard bench/*.py)); do echo "== $$bench"; $(AS_ROOT) .venv/bin/python $$bench || exit 1; done

clean: ## remove .state, with the files of demo and tests
	$(AS_ROOT) rm -rf .state
