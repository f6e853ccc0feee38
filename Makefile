.PHONY: app test lint types layers bench pretrain screenshots docs

app:
	genlab app

test:
	pytest

lint:
	ruff check . && ruff format --check .

types:
	mypy

layers:
	lint-imports

bench:
	for file in benchmarks/[a-z]*.py; do case $$file in *harness.py) ;; *) python $$file ;; esac; done

pretrain:
	genlab pretrain

screenshots:
	python docs/screenshots.py docs/images && python docs/component_pictures.py

docs:
	python docs/model_pages.py
