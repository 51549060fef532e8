# A thin front of Meson. The two commands a newcomer needs: make run, make test.
BUILD ?= build
PYTHON ?= /usr/bin/python3

.PHONY: all web run test check fresh setup clean format bench

all: web $(BUILD)/build.ninja
	@ninja -C $(BUILD) strata strata-exporter strata-ml
	@ln -sf src/algorithms/strata-ml $(BUILD)/strata-ml

# The console, where Node is there: web/dist, which the program takes in.
web:
	@tools/web

$(BUILD)/build.ninja: meson.build meson_options.txt
	@meson setup $(BUILD) --buildtype=debugoptimized $(if $(wildcard $(BUILD)/build.ninja),--reconfigure)

# Installs what is missing (Debian packages), builds, starts Strata, trains a model in front of you.
run:
	@tools/setup run
	@$(MAKE) --no-print-directory all
	@tools/run

# Every gate and every test; ends with "N passed, N failed".
test:
	@tools/setup test
	@$(MAKE) --no-print-directory all
	@$(PYTHON) tools/check.py

# Only the gates that need no server and no root: for the time between two edits.
check:
	@$(PYTHON) tools/check.py --fast

# Both commands again in a bare Debian 12 root with nothing installed.
fresh:
	@tools/setup fresh
	@tools/fresh

setup:
	@tools/setup test

# Every claim against its peer; needs root and a quiet machine.
bench:
	@tools/setup test
	@$(MAKE) --no-print-directory all
	@ninja -C $(BUILD) tests/http-test-server tests/runtime-driver tests/promql-driver
	@$(PYTHON) bench/all.py

format:
	@clang-format -i $$(git ls-files 'src/*.c' 'src/*.h' 'tests/*.c' 'tools/*.c')

clean:
	@rm -rf $(BUILD)
