.PHONY: lint unit

lint:
	uv run ruff check
	uv run ruff format --check
	uv run mypy
	uv run lint-imports
	uv run codespell

unit:
	uv run pytest -q
