# The ways into this project. `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
# Those that need no arguments and end within minutes; the others say what they want.
BENCHES ?= melee_speed chess_speed gather startup train_memory mamba_backends gpu_epoch \
           encode_memory push sequential_duels

# Images: `make build push REGISTRY=registry.example/team`, of some: IMAGES="encoder trainer".
BUILDER ?= docker
REGISTRY ?=
BASE ?=
IMAGES ?= conductor encoder evaluator store trainer
# Found once, so that `make build push` pushes what it built.
TAG ?= $(eval TAG := $(shell $(PYTHON) docker/images.py tag))$(TAG)
BUILD_FLAGS ?=
PUSH_FLAGS ?=
export BUILDER REGISTRY BASE IMAGES BUILD_FLAGS PUSH_FLAGS

.PHONY: help demo test lint format bench build push deploy e2e e2e-failures clean
.NOTPARALLEL:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

# The stamp is newer than what it was made from, so a second call does nothing.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/installed  ## raw games to two verdicts on this machine, in minutes
	$(BIN)/wmctl submit demo $(ARGS)

test: .venv/installed  ## the whole test suite; ARGS=tests/wm for a part
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

lint: .venv/installed  ## ruff, mypy, the layers and the Dockerfiles
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/*/Dockerfile

format: .venv/installed  ## let ruff put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed  ## time what is claimed to be fast, both sides in one run
	for name in $(BENCHES); do echo "# $$name"; PYTHONPATH=. $(BIN)/python benchmarks/$$name.py || exit 1; done

build:  ## container images; BUILDER=docker|podman|buildah REGISTRY=... BASE=... IMAGES=...
	TAG='$(TAG)' $(PYTHON) docker/images.py build

push:  ## push them and record their digests in k8s/images, for wmctl and the overlays
	TAG='$(TAG)' $(PYTHON) docker/images.py push

e2e: .venv/installed deploy  ## deploy to KUBECONFIG's cluster and run the demo there
	WM_E2E=1 $(BIN)/pytest -s -m "not long" tests/e2e $(ARGS)

e2e-failures: .venv/installed deploy  ## what goes wrong on a cluster, provoked there: half an hour
	WM_E2E=1 $(BIN)/pytest -s -m long tests/e2e $(ARGS)

deploy:  ## build, push and apply the dev overlay to KUBECONFIG's cluster
	@test -n "$(KUBECONFIG)" || { echo "error: name a cluster: make deploy KUBECONFIG=... REGISTRY=..." >&2; exit 1; }
	$(MAKE) build push
	kubectl apply --server-side -k k8s/overlays/dev
	kubectl --namespace wm wait statefulset/wm-store --for=jsonpath='{.status.availableReplicas}'=1 --timeout=120s

clean:  ## remove what make, tests and demos made here
	rm -rf .venv wm-store build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
