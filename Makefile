# make demo needs no data set; every target makes .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
TRAIN = $(BIN)/s4nn train experiments/$(1).toml --resume
ENGINES = 'tests/test_continuous.py::test_both_engines_give_the_same_bits[5C3S2-70C2-P2-3-float64-linear]' \
	'tests/test_continuous.py::test_inputs_at_two_times_take_a_shorter_way[40-70-3-linear]'
RUNGS = $(addprefix ladder/,$(basename $(notdir $(sort $(wildcard experiments/ladder/*.toml))))) mnist-near
PLAIN = $(addprefix tests/test_,kernels.py backprop.py gradient.py ds4nn.py first_spike.py anytime.py)
BOUNDS = $(addprefix tests/test_,kernels.py backprop.py) $(ENGINES)

.PHONY: .venv help demo mnist mnist-early mnist-literal ladder fashion systems s4nn-authors bench figures tables results test test-plain \
	test-bounds test-oldest test-newest test-wheel test-site wheel docs docs-zip fuzz lint clean

help:
	@echo "make demo           train and evaluate on the embedded digits, about a minute"
	@echo "make test           the tests"
	@echo "make mnist          train mnist (faithful) and mnist-plus, print both beside the paper"
	@echo "make mnist-early    train mnist-early, which decides as early as the paper's network"
	@echo "make mnist-literal  the paper's printed settings"
	@echo "make ladder         train the steps from the printed rule to the printed numbers, three seeds each, about four hours"
	@echo "make fashion        train fashion (faithful) and fashion-plus, print both beside the paper"
	@echo "make systems        train S4NN, BS4NN, ReL-PSP, Mostafa, Comsa and STiDi-BP, three hours"
	@echo "make s4nn-authors   make the weights again that S4NN's authors published, and compare every bit"
	@echo "make bench          measure the kernels and others, about half an hour; run it with nothing beside it"
	@echo "make figures        draw the figures from the shipped records; RECORD=runs/NAME/seedN: of that run"
	@echo "make tables         write the tables from the shipped records"
	@echo "make results        read the numbers of README and docs/ from the shipped records, and write them there"
	@echo "make docs           the site, into docs/_build/html: open index.html; make docs-zip: as one file"
	@echo "make test-site      the site and its tests, those in a browser where there is a Chromium"
	@echo "make test-plain     the kernel tests without compilation"
	@echo "make test-bounds    the kernel tests with every index checked"
	@echo "make test-oldest    the tests with the oldest packages that pyproject.toml allows; test-newest: with the newest"
	@echo "make wheel          the wheel, into dist/; make test-wheel: install it in an empty environment and use it"
	@echo "make fuzz           20,000 odd inputs, a quarter of an hour; SEED=n: others"
	@echo "make lint | clean"

.venv: .venv/installed

.venv/installed: pyproject.toml setup.py requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --only-binary numba,llvmlite --requirement requirements.lock || { echo \
		"no packages: is there a network, and is numba there for $$($(PYTHON) -V)? Else: make PYTHON=python3.13 ..."; exit 1; }
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: .venv/installed
	$(BIN)/s4nn train experiments/demo.toml --force
	$(BIN)/s4nn evaluate runs/demo/seed0/weights.npz

mnist: .venv/installed
	$(call TRAIN,mnist)
	$(call TRAIN,mnist-plus)
	@echo
	$(BIN)/s4nn compare runs/mnist/seed0 runs/mnist-plus/seed0

mnist-early: .venv/installed
	$(call TRAIN,mnist-early)

mnist-literal: .venv/installed
	$(call TRAIN,mnist-literal)

# Ctrl-C loses nothing: call it again
ladder: .venv/installed
	set -e; for rung in $(RUNGS); do for seed in 0 1 2; do \
		$(BIN)/s4nn train experiments/$$rung.toml --seed $$seed --resume --out runs/$$rung/seed$$seed; \
	done; done

fashion: .venv/installed
	$(call TRAIN,fashion)
	$(call TRAIN,fashion-plus)
	@echo
	$(BIN)/s4nn compare runs/fashion/seed0 runs/fashion-plus/seed0

systems: .venv/installed
	$(call TRAIN,s4nn)
	$(call TRAIN,bs4nn)
	$(call TRAIN,s4nn-fashion)
	$(call TRAIN,bs4nn-fashion)
	$(call TRAIN,mostafa)
	$(call TRAIN,mostafa-noise)
	$(call TRAIN,comsa)
	$(call TRAIN,relpsp)
	$(call TRAIN,relpsp-fashion)
	$(call TRAIN,relpsp-conv)
	$(call TRAIN,stidi)

s4nn-authors: .venv/installed
	$(call TRAIN,s4nn-authors)
	S4NN_AUTHORS=runs/s4nn-authors/seed0 $(BIN)/python -m pytest tests/test_authors.py

docs: .venv/installed
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -d docs/_build/doctrees docs docs/_build/html
	@echo "docs/_build/html/index.html"

docs-zip: docs
	cd docs/_build && ../../$(BIN)/python -m zipfile -c s4nn_ref-site.zip html/
	@echo "docs/_build/s4nn_ref-site.zip"

bench: .venv/installed
	$(BIN)/python experiments/bench

figures: .venv/installed
	$(BIN)/python figures/draw_all.py $(RECORD)
	$(if $(RECORD),,$(BIN)/python figures/side_by_side.py)
	$(if $(RECORD),,$(BIN)/python figures/systems.py)

tables: .venv/installed
	$(BIN)/python figures/tables.py

results: .venv/installed
	$(BIN)/python figures/results.py
	$(BIN)/python figures/ladder.py

# two processes, a file of tests each
test: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

# the site, and what a browser makes of it
test-site: docs
	$(BIN)/python -m pytest tests/site

# the kernels as plain Python, line by line as they are written
test-plain: .venv/installed
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest $(PLAIN)

# the kernels with every index checked, machine code that is kept apart from the usual one
test-bounds: .venv/installed
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest $(BOUNDS)

# OLDEST: the lower bounds of pyproject.toml; a test holds that they are. Each in an environment of its own
OLDEST = numpy==1.26.0 numba==0.60.0 scipy==1.11.1 matplotlib==3.8.0 pillow==10.0.0 pooch==1.8.0 threadpoolctl==3.1.0 \
	tqdm==4.66.0 pytest==8.0.0 hypothesis==6.100.0

test-oldest:
	$(call TEST_WITH,$(OLDEST))

test-newest:
	$(call TEST_WITH,--upgrade)

define TEST_WITH
	$(PYTHON) -m venv --clear build/$@
	build/$@/bin/python -m pip install --quiet --upgrade "setuptools>=77"
	build/$@/bin/python -m pip install --quiet --no-build-isolation --only-binary numba,llvmlite --editable .[dev] $(1)
	build/$@/bin/s4nn --version
	build/$@/bin/python -m pytest -p no:cacheprovider
endef

wheel: .venv/installed
	rm -rf build/lib
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

test-wheel: .venv/installed
	.ci/wheel --index

fuzz: .venv/installed
	S4NN_FUZZ=20000 S4NN_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -s tests/test_fuzz.py

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv build dist docs/_build docs/drawn *.egg-info .pytest_cache .hypothesis .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
