# make demo   build the quickstart dataset and its page (installs what it needs into .venv)
# make test   run the tests                make check  lint, format, types, layout
# make sft-demo   train a tiny model from nothing until it looks, crops and answers (minutes, no GPU)
# make train-demo sft-demo, then careless habits, then reward that mends them; ends with the table before and after
# make bench  measure and print ratios     make golden rewrite the golden images
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo sft-demo train-demo test check bench golden

demo: $(VENV)/base
	$(BIN)/seekerdata build recipes/build/quickstart.yaml
	$(BIN)/seekerdata show runs/quickstart

sft-demo: $(VENV)/dev
	$(BIN)/seekerdata build recipes/build/level1.yaml
	$(BIN)/seekerdata build recipes/build/level1.yaml --out runs/level1_test \
		--set source.seed=1 --set source.videos=256 --set select.rl_share=1.0
	$(BIN)/seekertrain init-tiny runs/tiny
	OMP_NUM_THREADS=2 $(BIN)/seekertrain sft recipes/sft/quickstart.yaml

# The questions that nobody trained on, greedily, with and without the last step of training.
SCORE = OMP_NUM_THREADS=2 $(BIN)/seekereval run world --data runs/level1_test/dataset --set fps=0.2 \
	--max-tokens 72 --concurrency 64

train-demo: sft-demo
	$(BIN)/seekerdata build recipes/build/careless.yaml
	OMP_NUM_THREADS=2 $(BIN)/seekertrain sft recipes/sft/careless.yaml
	OMP_NUM_THREADS=2 $(BIN)/seekertrain rl recipes/rl/quickstart.yaml
	$(SCORE) --model hf/runs/careless_sft/model --out runs/train_demo/before
	$(SCORE) --model hf/runs/quickstart_rl/model --out runs/train_demo/after
	$(BIN)/seekereval view runs/train_demo/before
	$(BIN)/seekereval view runs/train_demo/after
	$(BIN)/seekereval report runs/train_demo/before runs/train_demo/after

test: $(VENV)/dev
	$(BIN)/python -m pytest -n 2

check: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layout.py

bench: $(VENV)/dev
	$(BIN)/python bench/reading.py
	$(BIN)/python bench/building.py
	$(BIN)/python bench/calling.py
	$(BIN)/python bench/evaluating.py
	$(BIN)/python bench/collating.py
	$(BIN)/python bench/rolling.py

golden: $(VENV)/dev
	SEEKER_GOLDEN=write $(BIN)/python -m pytest -q tests/seekerdata/test_shapes.py

$(VENV)/base: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/dev: $(VENV)/base
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
