# nemo_kcpt: `make help` lists the targets. Environments are built once, from constraints/*.txt, by tools/setup_env.py.

# A Python 3.10-3.12 that can make virtual environments; PYTHON=/path/to/python overrides the search.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1 \
	&& { echo $$p; break; }; done)
# TORCH_INDEX=URL takes torch from that package index (for instance one of CPU builds); GPU=1 sets up for CUDA.
TORCH_INDEX ?=
GPU ?=
SETUP = $(PYTHON) tools/setup_env.py $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX)) $(if $(GPU),--gpu)
BIN = .venv/bin
DEMO_KEYS = $(if $(ARM),arm=$(ARM)) $(if $(LANGUAGE),language=$(LANGUAGE)) $(if $(BACKEND),backend=$(BACKEND)) $(if $(OUT),out=$(OUT),$(if $(filter bridge,$(BACKEND)),out=runs/demo-bridge)) $(KEYS)
# A file of tests stays on one worker: it may share a training or a server.
PARALLEL ?= -n auto --dist loadfile --no-loadscope-reorder
# Where conf/experiment/jaquad.yaml expects its documents.
SECOND = runs/study-second/jaquad.json
export PYTHONUNBUFFERED = 1

.DEFAULT_GOAL := help
.PHONY: help python setup setup-serve setup-bridge environments demo study test test-fast soak lint format bench pins clean distclean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

python:
	@test -n "$(PYTHON)" || { echo "no Python 3.10-3.12 with the modules venv and ensurepip was found. Install one" \
	"(Debian, Ubuntu: python3.11 python3.11-venv) or give PYTHON=/path/to/python3.11" >&2; exit 1; }

setup: python ## build .venv (train side, tests) from exact pins; GPU=1 adds Transformer Engine, TORCH_INDEX=URL
	@$(SETUP) train

setup-serve: python ## build .venv-serve (vLLM) from exact pins
	@$(SETUP) serve

setup-bridge: python ## build .venv-bridge (Megatron-Bridge, the second backend) from exact pins; GPU=1 as for setup
	@$(SETUP) bridge

environments: python # both at once; goes on without vLLM where the platform has none
	@$(SETUP) train serve --optional-serve

demo: environments $(if $(filter bridge,$(BACKEND)),setup-bridge) ## the whole way on fictional papers; CLEAN=1 starts over, ARM=raw, LANGUAGE=en, BACKEND=bridge, OUT=folder, KEYS="k=v"
	@$(BIN)/kcpt demo $(if $(CLEAN),--redo) $(DEMO_KEYS)

study: environments ## the study of docs/study.md, hours; rerun it to resume. DATA=folder with jaquad/: the second table, too. KEYS="page_only=true"
	@$(BIN)/python tools/smollm2.py
	@$(BIN)/python tools/minilm.py
	@$(if $(DATA),test -f $(SECOND) || $(BIN)/python tools/jaquad_subset.py $(DATA)/jaquad $(SECOND))
	@$(BIN)/kcpt study $(if $(DATA),second=conf/experiment/jaquad.yaml) $(KEYS)

test: environments setup-bridge ## all tests, on up to four cores; ARGS="tests/corpus -x" goes to pytest, PARALLEL= runs them one by one
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-fast: setup ## the tests that are not marked slow
	@$(BIN)/python -m pytest -m "not slow" $(PARALLEL) $(ARGS)

soak: environments setup-bridge ## the long campaigns for a release: random kills and seeded faults (docs/soak.md)
	@$(BIN)/python -m pytest tests/soak -m soak $(ARGS)

lint: setup ## ruff, mypy and the borders between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup ## let ruff format and fix what it can
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format .

bench: environments setup-bridge ## all benchmarks of tools/bench/, hours; DATA=folder with JaQuAD, see tools/bench/data.py
	@for name in backends beside demo documents start suite attention conversion smollm2_training synthesis training; do \
	$(BIN)/python tools/bench/$$name.py || exit 1; done
	@for name in bertscore bins corpus corpus_index evaluation packing; do \
	$(BIN)/python tools/bench/$$name.py $(if $(DATA),--data $(DATA)) || exit 1; done

pins: setup ## resolve constraints/*.txt again from setup.py
	@$(BIN)/python tools/pin.py $(if $(UPGRADE),--upgrade)

clean: ## delete caches and build leftovers; runs/ and the environments stay
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find nemo_kcpt recipes tests tools -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## clean, and delete the environments too
	@rm -rf .venv .venv-serve .venv-bridge
