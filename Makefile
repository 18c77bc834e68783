# markbridge: one make target per job. Everything happens in a private virtual environment.
PYTHON ?= python3
VENV ?= .venv
SECONDS ?= 60
FUZZ ?= build/fuzz
BIN := $(VENV)/bin
CHECKOUT := $(abspath .)
CSRC := $(wildcard csrc/*/*.c csrc/*/*.h csrc/include/markbridge/*.h)
DEBIAN_TOOLS := systemtap systemtap-doc systemtap-sdt-dev bpftrace babeltrace2 binutils \
	lttng-tools liblttng-ust-dev postgresql-15 mawk gawk gdb libc6-dbg dwz clang python3-venv gcc make libc6-dev lz4 zstd lld linux-perf

.PHONY: help demo test guest examples fuzz random fuzz-c bench lint types layers pytest unit sanitize declared wheel docs tools format clean

help:
	@echo "make demo      set up, build the example program, trace it, replay the recording"
	@echo "make test      set up, then all checks and tests"
	@echo "make guest     some tests of the running kernel on Debian's kernels, under an emulator (root; a part of make test)"
	@echo "make examples  SystemTap's own examples in a guest, and docs/examples.md of what came of it (root)"
	@echo "make unit      the fast tests alone, for another Python: PYTHON=/usr/bin/python3 VENV=.venv-debian"
	@echo "make random    20,000 random programs: interpreter against native code"
	@echo "make fuzz-c    all that reads bytes in C under libFuzzer (clang), FUZZ_C_SECONDS=1800 for each target"
	@echo "make fuzz      fuzz the front end, SECONDS=60, keeping inputs and findings in FUZZ=build/fuzz"
	@echo "make bench     measure beside other tracers and print a table (root)"
	@echo "make tools     install the Debian packages that the comparisons use (root)"
	@echo "make format    format the sources"
	@echo "make clean     remove what the other targets made"

# --- setting up -------------------------------------------------------------------------------

SETUP := pyproject.toml setup.py csrc/build.py csrc/number.py $(CSRC)
INSTALL := -m pip install -q --disable-pip-version-check --config-settings editable_mode=compat

$(VENV)/bin/python:
	@sh tools/prerequisites.sh $(PYTHON)
	@$(PYTHON) -m venv $(VENV)

# What a user needs; and what who works on markbridge needs, to whom a warning is an error.
$(VENV)/.base: $(SETUP) | $(VENV)/bin/python
	@sh tools/prerequisites.sh $(PYTHON)
	@echo "setting up $(VENV) ..."
	@$(BIN)/python $(INSTALL) -e .
	@$(BIN)/python -m compileall -q bridge grammars formats
	@touch $@

$(VENV)/.dev: $(SETUP) | $(VENV)/bin/python
	@echo "setting up $(VENV) ..."
	@MARKBRIDGE_DEVELOP=1 $(BIN)/python $(INSTALL) -e '.[dev]'
	@$(BIN)/python -m compileall -q bridge grammars formats
	@touch $(VENV)/.base $@

tools:
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q $(DEBIAN_TOOLS)

# --- the jobs ---------------------------------------------------------------------------------

demo: $(VENV)/.base
	@PATH="$(CHECKOUT)/$(BIN):$$PATH" sh examples/demo.sh

test: lint layers types sanitize pytest wheel guest

# Both at the same time. Kernels and emulator are downloaded, and nothing of them is installed. One of them: KERNELS=6.1;
# all tests of the running kernel, which takes hours under emulation: SELECTION=bpf. What has not run after so long fails.
KERNELS ?= 6.1 6.12
SELECTION ?= guest
export MARKBRIDGE_GUEST_SECONDS ?= 1500
guest: $(VENV)/.dev
	@mkdir -p build/guest; for kernel in $(KERNELS); do \
		{ $(BIN)/python -m tests.guest test --kernel $$kernel -m "$(SELECTION)" >build/guest/$$kernel.out 2>&1; \
		echo $$? >build/guest/$$kernel.code; $(BIN)/python -m tests.guest stop --kernel $$kernel; } & done; wait; \
	cd build/guest; code=0; for kernel in $(KERNELS); do \
		cat $$kernel.out; [ "$$(cat $$kernel.code)" = 0 ] || code=1; done; exit $$code

# Random programs: interpreter against native code, with a table of what they executed.
PROGRAMS ?= 20000
random: $(VENV)/.dev
	@$(BIN)/python -m tests.support.random_programs $(PROGRAMS)

# All that reads bytes in C under libFuzzer, half an hour for each target of tests/c/fuzz_*.c.
FUZZ_C_SECONDS ?= 1800
fuzz-c: $(VENV)/.dev
	PYTHON=$(CHECKOUT)/$(BIN)/python sh tests/c/fuzz.sh $(FUZZ_C_SECONDS)

# The fuzzer is an extra of its own: Atheris is a large wheel that not every Python has.
fuzz: $(VENV)/.dev
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check 'atheris>=3.0'
	@PYTHON=$(CHECKOUT)/$(BIN)/python sh tests/fuzz/run.sh $(SECONDS) $(FUZZ)

# SystemTap's own examples in a guest; those that were run already are not run again: rm build/examples.json, or name some.
EXAMPLES ?=
examples: $(VENV)/.dev
	@$(BIN)/python -m tests.guest examples --kernel 6.12 $(EXAMPLES); code=$$?; $(BIN)/python -m tests.guest stop --kernel 6.12; exit $$code

bench: $(VENV)/.dev
	@$(BIN)/python -m bench

# What is generated from csrc/*/*.cdef.h: Python's numbers, its typed face, and the compiler's check of both.
declared:
	@$(BIN)/python -m tools.declared

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/vulture
	$(BIN)/python -m tools.class_names

layers: $(VENV)/.dev
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.dev
	$(BIN)/mypy

# Two at a time; the tests that look at the running kernel one after the other.
WORKERS ?= 2
TESTS ?=
pytest: $(VENV)/.dev
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(TESTS)

# The fast part of it, for another Python: make unit PYTHON=/usr/bin/python3 VENV=.venv-debian
# Scripts that are made to break a compiler take minutes to do so, with any Python.
unit: $(VENV)/.dev
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup -q tests/unit tests/properties/script --ignore=tests/unit/script/test_limits.py

# The C side under AddressSanitizer and UndefinedBehaviorSanitizer: its own tests, then those of Python that give it bytes to read,
# to write and to run on. Where bytes of Python itself are read, Python takes all its memory from malloc, which is slow but has bounds.
SANITIZED := $(CHECKOUT)/build/sanitized/markbridge.so
SANITIZED_BYTES ?= tests/unit/test_sanitized.py tests/properties/ctf tests/properties/ltt tests/properties/ir/test_patterns.py \
	tests/differential/test_ltt_damage.py
SANITIZED_TESTS ?= tests/properties/ir/test_native.py tests/unit/ctf tests/unit/ltt tests/unit/runtime tests/unit/kernel \
	tests/unit/functions/test_cases.py tests/differential/test_ltt_expected.py tests/differential/test_ltt_convert.py
UNDER_SANITIZERS := MARKBRIDGE_SEEDS=60 MARKBRIDGE_MUTATIONS=400 sh tests/c/under.sh $(SANITIZED) $(BIN)/python -m pytest --capture=sys \
	-n $(WORKERS) --dist loadgroup
sanitize: $(VENV)/.dev
	sh tests/c/run.sh
	sh tests/c/library.sh $(SANITIZED)
	PYTHONMALLOC=malloc $(UNDER_SANITIZERS) $(SANITIZED_BYTES)
	$(UNDER_SANITIZERS) $(SANITIZED_TESTS) --deselect tests/differential/test_ltt_convert.py::test_there_and_back

# The wheel is made from the sdist and tried in another folder and another environment.
wheel: $(VENV)/.dev
	PYTHON=$(CHECKOUT)/$(BIN)/python sh tools/check_wheel.sh

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-* build dist markbridge.egg-info bridge/_markbridge*.so bridge/_declarations.py
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f examples/shop
