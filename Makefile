# The commands of a working day. `make demo` and `make test` need Swift 6.3 or later, make and a C compiler.
SWIFT ?= swift
BUILD := .build/release
DIGITS := golden/models/digits

export CPU

.PHONY: all build demo test test-full asan tsan lib check-symbols size test-cross bench bench-sweep lint format clean

all: build

build:
	$(SWIFT) build -c release

demo: build
	Scripts/demo.sh $(BUILD)/qcli $(DIGITS)

# The closing line is the Swift tests'.
test: build
	$(SWIFT) build --build-tests
	Scripts/test-c-host $(BUILD)/qcli
	$(SWIFT) test --skip-build

test-full:
	QK_FULL_TESTS=1 $(SWIFT) test
	QK_FULL_TESTS=1 $(SWIFT) test -c release -Xswiftc -enable-testing --scratch-path .build-release-tests

asan:
	$(SWIFT) test --sanitize=address --scratch-path .build-asan

tsan:
	$(SWIFT) test --sanitize=thread --scratch-path .build-tsan

# The oracle folder holds real int8 models, with the float network for ONNX Runtime after the colon where there is one;
# BENCH_MODELS names others.
ORACLE ?= $(or $(QK_ORACLE),../shared/oracle)
BENCH_MODELS ?= $(if $(wildcard $(ORACLE)/models),$(addprefix $(ORACLE)/models/,ad01_int8.tflite:$(ORACLE)/models/ad01_fp32.onnx \
  kws_ref_model.tflite:$(ORACLE)/models/kws_ref_model_float32.onnx \
  pretrainedResnet_quant.tflite:$(ORACLE)/models/pretrainedResnet.onnx trained_lstm_int8.tflite))

bench: build build/venv/ready
	build/venv/bin/python Scripts/benchmark-peers.py $(BUILD)/qcli $(BENCH_MODELS)

build/venv/ready: Scripts/requirements-benchmark.txt
	python3 -m venv build/venv
	build/venv/bin/pip install -q -r Scripts/requirements-benchmark.txt
	touch $@

# One layer at a time over image sizes and channels; needs Python only. SWEEP takes options of the script.
bench-sweep: build
	Scripts/benchmark-sweep $(BUILD)/qcli $(SWEEP)

# The static library for C programs: build/TARGET/libqkernels.a, qkernels.h, qkernels.pc. TARGET is one of x86_64-linux
# aarch64-linux armv7em armv6m riscv64 riscv32, CPU the processor of a bare-metal target; see the script.
TARGET ?= $(shell uname -m)-linux

lib:
	Scripts/build-static-library $(TARGET)

check-symbols:
	Scripts/check-symbols.sh

size: build
	Scripts/size-table $(BUILD)/qcli

test-cross: build check-symbols
	Scripts/test-cross $(BUILD)/qcli

lint:
	swift-format lint --strict --recursive --parallel Package.swift Sources Tests

format:
	swift-format format --in-place --recursive --parallel Package.swift Sources Tests

clean:
	rm -rf .build .build-* build
