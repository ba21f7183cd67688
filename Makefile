# Vitrail: `make demo` or `make test` is all a fresh clone needs; `make help` lists the rest.
#
# Everything is built in release with the same flags, so that one build serves demo, tests and benchmarks.

SHELL := /bin/bash
VITRAIL := .build/release/vitrail
SOURCES := $(wildcard Package.swift Sources Tests Examples Plugins)

.DEFAULT_GOAL := help
.PHONY: help setup build demo test fuzz bench fullsize train format lint docs check clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing (CUDA=1: with CUDA libraries; LIBTORCH=folder: your own libtorch)
	@CUDA="$(CUDA)" LIBTORCH="$(LIBTORCH)" Tools/setup.sh

build: setup ## the program, in .build/release/vitrail
	@echo "==> building"
	@swift build -c release --product vitrail

demo: build ## questions about pictures, answered in demo/index.html (IMAGE=file: about yours, too)
	@echo "==> asking the embedded model"
	@$(VITRAIL) demo --output demo $(if $(IMAGE),--image "$(IMAGE)")

# The log is for Tools/check-warnings.sh. Tests run beside one another, so that operators need no threads of their own.
test: setup ## build everything and run all tests
	@echo "==> building everything with its tests"
	@mkdir -p .build
	@set -o pipefail; swift build -c release --build-tests 2>&1 | tee .build/build.log
	@echo "==> testing"
	@set -o pipefail; OMP_NUM_THREADS=1 swift test -c release --skip-build --disable-xctest 2>&1 | tee .build/test.log \
		|| { echo "==> what failed"; grep -A 12 "^✘" .build/test.log | grep -v "^[✔◇]"; \
			sed -n "/Program crashed/,/^Registers/p" .build/test.log | grep -v "^[✔◇]" | head -60; exit 1; }

fuzz: setup ## give every reader broken files, MINUTES=1 for each; docs/reliability.md
	@MINUTES="$(or $(MINUTES),1)" Tools/fuzz.sh

bench: setup ## where the time of an answer goes, and how Swift compares with Python (VITRAIL_PYTHON=file)
	@echo "==> building the benchmarks"
	@swift build -c release --product vitrail-bench
	@.build/release/vitrail-bench

# Weights are random and made where they are missing: 16 GB, so they stay until they are deleted.
MODELS := .build/models
fullsize: build ## LLaVA-1.5-7B and SAM ViT-H beside transformers (MODELS=folder for 16 GB, VITRAIL_PYTHON=file)
	@swift build -c release --product vitrail-bench
	@mkdir -p "$(MODELS)"
	@for model in llava-1.5-7b sam-vit-huge; do test -e "$(MODELS)/$$model/config.json" \
		|| $(VITRAIL) synthesize --model $$model --output "$(MODELS)/$$model" || exit; done
	@.build/release/vitrail-bench full-size --llava "$(MODELS)/llava-1.5-7b" --sam "$(MODELS)/sam-vit-huge"

train: build ## train the embedded model again, from nothing (OUTPUT=folder; CONFIG=file: another training)
ifdef CONFIG
	@$(VITRAIL) train "$(CONFIG)" $(if $(OUTPUT),--output "$(OUTPUT)")
else
	@Tools/train.sh "$(or $(OUTPUT),runs/mosaic)"
endif

format: ## format all Swift sources in place
	@swift format --in-place --parallel --recursive $(SOURCES)

lint: ## check the formatting
	@swift format lint --strict --parallel --recursive $(SOURCES)

docs: setup ## build the documentation in .build/documentation; a warning is an error
	@swift build -c release
	@Tools/check-docs.sh

check: lint docs ## what CI checks after `make test`: formatting, documentation, warnings, files
	@Tools/check-warnings.sh
	@Tools/check-files.sh
	@echo "==> all checks passed"

clean: ## remove what was built and made; what `make setup` fetched stays in ~/.cache/vitrail
	@rm -rf .build demo
