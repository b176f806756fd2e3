# Every target works on a machine where nothing was installed by hand; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEEDS ?= 1000
SECONDS ?= 70
N ?= 10
ADD_OURSELVES := import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'treadle.pth').write_text(str(pathlib.Path('operator').resolve()))
# `treadle`, and the same for kubectl: its plugins are programs of such names on the PATH.
ADD_PROGRAMS := for each in treadle:main kubectl-treadle:plugin; do \
	printf '\#!%s\nfrom treadle.cli.main import %s\n\n%s()\n' $(CURDIR)/$(BIN)/python $${each\#*:} $${each\#*:} > $(BIN)/$${each%:*} \
	&& chmod +x $(BIN)/$${each%:*} || exit 1; done

.DEFAULT_GOAL := check
.PHONY: check demo setup format lint test unit golden crds schema services sim control-plane \
	cluster cluster-down e2e torture bench image kind conformance docs help fuzz hostile

check: format lint unit ## the inner loop: format, lint, types, rooms, unit tests, 200 seeds

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready ## make .venv with all that tests, lint and benchmarks need

demo: $(VENV)/.run-ready ## run the file-processing pipeline on this computer
	$(BIN)/treadle run examples/file-processing --input '{"bytes": 2000000, "chunks": 8}'

# The run-time packages alone; `setup` adds the others to the same place.
$(VENV)/.run-ready: requirements/run.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -c "$(ADD_OURSELVES)"
	$(ADD_PROGRAMS)
	@touch $@

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -c "$(ADD_OURSELVES)"
	$(ADD_PROGRAMS)
	@touch $@

$(VENV)/.docs-ready: requirements/docs.txt $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/docs.txt
	@touch $@

format: setup
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix-only .

lint: setup ## ruff, mypy strict, the rooms, the tidy counts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy operator tests/support
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/tidy

unit: setup
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not cluster" tests

test: setup ## all tests that need no cluster
	$(BIN)/python -m pytest -q -n 2 -m "not cluster" --cov --cov-report= tests
	$(BIN)/coverage report --include 'operator/treadle/engine/*' --fail-under 95

fuzz: setup ## look for input that harms: make fuzz SECONDS=600 TARGET=jsonata
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(TARGET),--target $(TARGET))

hostile: setup ## what means harm, and what it costs: a table
	$(BIN)/python -m tests.hostile

golden: setup ## rewrite the golden histories, snapshots and pictures; read the diff
	GOLDEN_WRITE=1 $(BIN)/python -m pytest -q tests/golden tests/cli/graph

crds: setup ## generate crds/, the chart's copy and docs/resources.md from the models
	$(BIN)/python -m treadle.kube.schemas crds helm/treadle/files/crds
	$(BIN)/python -m tests.tidy.reference docs/resources.md

schema: setup ## generate docs/workflow-tests.schema.json from the models
	$(BIN)/python -m treadle.local.testschema docs/workflow-tests.schema.json

# The first release is of 2025-11-19, when AWS began to look at mocks.
services: setup ## write asl/services.jsonl.gz anew, of the service models in botocore
	for release in 1.41.0 1.44.8; do $(BIN)/python -m pip install --quiet --no-deps --upgrade \
		--target build/botocore-$$release botocore==$$release || exit 1; done
	$(BIN)/python -m tests.support.service_models operator/treadle/asl/services.jsonl.gz \
		build/botocore-1.41.0 build/botocore-1.44.8

docs: $(VENV)/.docs-ready ## build the site of docs/ in build/docs; broken links and anchors fail
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -d build/doctrees docs build/docs

sim: setup ## seeded worlds: make sim SEEDS=5000
	$(BIN)/python -m treadle.sim --seeds 0:$(SEEDS)

conformance: setup ## score against the recorded cases: make conformance CASES=file
	$(BIN)/python -m tests.conformance $(CASES) --results .cluster/results.jsonl

control-plane: setup ## etcd, API server, controllers, scheduler, a pretend node; KUBECONFIG in .cluster/
	$(BIN)/python -m tests.cluster.lab control-plane

cluster: setup ## the same with a real kubelet, containers, Services and cluster DNS
	$(BIN)/python -m tests.cluster.lab cluster

cluster-down: setup ## stop it and leave nothing behind
	$(BIN)/python -m tests.cluster.lab down

e2e: setup ## tests/cluster: on the control plane, then on the real node
	$(BIN)/python -m tests.cluster.lab control-plane
	TREADLE_REQUIRE_CLUSTER=1 $(BIN)/python -m pytest -q -m "cluster and not node" tests/cluster
	$(BIN)/python -m tests.cluster.lab cluster
	TREADLE_REQUIRE_CLUSTER=1 $(BIN)/python -m pytest -q -m node tests/cluster

torture: setup ## kill the operator N times: make torture N=50
	$(BIN)/python -m tests.cluster.lab control-plane
	$(BIN)/python -m tests.cluster.torture --kills $(N)

bench: setup ## every number that we claim
	$(BIN)/python -m benchmarks

image: ## the container image, with buildah or docker
	@if command -v buildah >/dev/null; then buildah bud -t treadle:dev .; else docker build -t treadle:dev .; fi

kind: ## a kind cluster, for those who have docker
	kind create cluster --config kind-config.yaml
	kubectl apply -f crds/
