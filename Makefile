# The house's one front door: `make` lists what there is. CI calls the same targets as a person.

PYTHON ?= python3
VENV   ?= .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check

# Set-up runs again when, and only when, one of these files says something new.
SETUP  := requirements.txt requirements.lock pyproject.toml
STAMP  := $(VENV)/.set-up-$(shell cat $(SETUP) | cksum | tr ' ' '-')

# Two processes of two threads each run many times slower than two of one. `bench` alone lifts this.
export OMP_NUM_THREADS := 1
# A progress bar is for people; in a log or on a page it is noise.
export TQDM_DISABLE := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup book pdf serve test quick export notebooks corpus address colab oldest classroom marks exercises release inventory offline links new count claims cover scores mutants coverage types bench lock clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv and install the pinned versions and the package itself

book: $(STAMP)  ## check the exports, execute every chapter, build the site and say where it is
	$(PY) -m tools.export --check
	$(PY) -m tools.notebooks --check
	$(PY) -m tools.build_site build

pdf: $(STAMP)  ## print the built site as one PDF, _build/soft-attention.pdf (needs Chromium)
	$(PY) -m tools.pdf

serve: $(STAMP)  ## serve the built site on this machine
	$(PY) -m tools.build_site serve

test: $(STAMP)  ## everything: style, generated files, tests, notebooks, strict build, built pages, demos
	$(PY) -m tools.stages test

quick: $(STAMP)  ## the first minute of `make test`
	$(PY) -m tools.stages quick

export: $(STAMP)  ## write softattn/*.py from the chapters
	$(PY) -m tools.export

notebooks: $(STAMP)  ## write notebooks/*.ipynb from the chapters
	$(PY) -m tools.notebooks

corpus: $(STAMP)  ## renew the frozen snapshot of the book's own text (moves its numbers)
	$(PY) -m tools.corpus

address: $(STAMP)  ## set the repository's address everywhere: make address URL=https://github.com/YOU/softattn
	@test -n "$(URL)" || { echo "make address: say where the repository stands: make address URL=https://github.com/YOU/softattn" >&2; exit 2; }
	$(PY) -m tools.address "$(URL)"

colab: $(STAMP)  ## run the notebooks in a venv with Colab's old versions
	$(PY) -m tools.run_notebooks --colab

oldest: $(STAMP)  ## run the fast tests with the oldest versions that the package allows (fetches an old PyTorch: up to 3 GB)
	$(PY) -m tools.oldest $(if $(BASE),--base $(BASE))

classroom: $(STAMP)  ## notebooks for students and teacher, and a course for nbgrader: _build/classroom
	$(PY) -m tools.classroom all $(NAMES)

marks: $(STAMP)  ## mark what students handed in: make marks FOLDER=path
	@test -n "$(FOLDER)" || { echo "make marks: name the folder with what was handed in: make marks FOLDER=path" >&2; exit 2; }
	$(PY) -m tools.classroom collect "$(FOLDER)" || test $$? = 1  # what was not taken has been named
	$(PY) -m tools.classroom marks

release: $(STAMP)  ## build sdist, wheel, checksums and bill of materials in _build/release
	$(PY) -m tools.release

inventory: $(STAMP)  ## print the concept questions: form A, form B and an answer sheet, to _build/inventory (needs Chromium)
	$(PY) -m tools.questions paper

offline: $(STAMP)  ## zip the built site, the notebooks and all wheels for a room without a network
	$(PY) -m tools.offline

links: $(STAMP)  ## follow the links that leave the site (needs the net)
	$(PY) -m tools.build_site links

new: $(STAMP)  ## begin a chapter: make new NAME=glimpse PART="IV Draw"
	@test -n "$(NAME)" || { echo "make new: name the chapter: make new NAME=glimpse" >&2; exit 2; }
	$(PY) -m tools.new "$(NAME)" --part "$(or $(PART),Toolbox)"

exercises: $(STAMP)  ## kind, level, minutes and hints of each exercise
	$(PY) -m tools.exercises --table

count: $(STAMP)  ## words, cells, lines and minutes of each chapter
	$(PY) -m tools.count

claims: $(STAMP)  ## numbers in prose that no cell beside them holds
	$(PY) -m tools.claims

cover: $(STAMP)  ## draw the README's picture: the first one of a chapter
	$(PY) -m tools.cover index book/_static/cover.svg

scores: $(STAMP)  ## write the README's summary of the scoreboard from the cards
	$(PY) -m tools.scores

mutants: $(STAMP)  ## change each sign, index, constant and operator of the exported formulas: does a test see it? (hours; goes on where it stopped)
	$(PY) -m tools.mutants $(if $(MINUTES),--minutes $(MINUTES)) $(NAMES)
	$(PY) -m tools.mutants --write
	$(PY) -m tools.mutants --check

types: $(STAMP)  ## check the types of package, tools, recipes and benchmarks
	$(PY) -m basedpyright --level error

coverage: $(STAMP)  ## which lines of package and tools the tests run: a report, no gate
	$(PY) -m pytest -q -m "not site and not browser" --cov --cov-report=term --cov-report=html:_build/coverage

bench: $(STAMP)  ## time the package against what it should match, side by side
	$(PY) -m bench.run

lock: $(STAMP)  ## freeze what stands in .venv into requirements.lock
	$(PY) -m pip freeze --all --exclude-editable --exclude pip --exclude wheel | sed 's/+cpu$$//' | LC_ALL=C sort -f > requirements.lock.part
	mv requirements.lock.part requirements.lock

clean:  ## remove what was built; .venv stays
	rm -rf _build build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

# torch first and by itself: any version but this pin would fetch gigabytes of CUDA. The package last, built with the
# setuptools that the pins brought, so that nothing is fetched for it.
$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "This needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "Setting up $(VENV): about two minutes and 1.5 GB, more where torch is fetched"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP) "$$(grep '^torch==' requirements.txt)"
	$(PIP) -r requirements.txt -c requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@rm -f $(VENV)/.set-up-*
	@touch $@
