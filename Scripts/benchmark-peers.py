#!/usr/bin/env python3
"""The same models on the same inputs in qcli, LiteRT (XNNPACK) and ONNX Runtime, one thread, alternating in one run.

Prints medians in microseconds and the ratios peer / qcli. It judges nothing.

    benchmark-peers.py QCLI [--rounds N] MODEL.tflite[:FLOAT.onnx] ...

An int8 .tflite runs in LiteRT as it is. ONNX Runtime has no reader for it: it gets the float .onnx of the same network, if
one is named, quantized by its own tool (QDQ, per channel, int8). A float .tflite is skipped: the comparison is of int8 with
int8. LiteRT and ONNX Runtime are called from Python; the call itself is part of their time.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

logging.disable(logging.WARNING)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def median_of(function, seconds=0.25):
    """Median time of one call in microseconds, over blocks of calls that fill `seconds`."""
    start = time.perf_counter()
    function()
    once = max(time.perf_counter() - start, 1e-7)
    calls = max(1, int(0.005 / once))
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        for _ in range(calls):
            function()
        times.append((time.perf_counter() - start) / calls * 1e6)
    return statistics.median(times)


def litert(path, rng):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        limits = numpy.iinfo(detail["dtype"])
        interpreter.set_tensor(
            detail["index"], rng.integers(limits.min, limits.max + 1, detail["shape"], detail["dtype"]))
    return interpreter.invoke


def onnxruntime(path, folder, rng):
    import onnxruntime as ort
    from onnxruntime import quantization

    def feed(session):
        return {
            i.name: rng.standard_normal([d if isinstance(d, int) else 1 for d in i.shape]).astype(numpy.float32)
            for i in session.get_inputs()
        }

    def make_session(path):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    class Samples(quantization.CalibrationDataReader):
        """Random inputs: the speed does not depend on the ranges."""

        def __init__(self):
            session = make_session(path)
            self.samples = iter([feed(session) for _ in range(4)])

        def get_next(self):
            return next(self.samples, None)

    prepared, quantized = os.path.join(folder, "prepared.onnx"), os.path.join(folder, "quantized.onnx")
    quantization.quant_pre_process(path, prepared)
    quantization.quantize_static(
        prepared, quantized, Samples(), per_channel=True, quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QInt8, weight_type=quantization.QuantType.QInt8)
    session = make_session(quantized)
    inputs = feed(session)
    return lambda: session.run(None, inputs)


def is_integer(path):
    """Whether a .tflite takes integers."""
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(path).get_input_details()
    return all(numpy.issubdtype(d["dtype"], numpy.integer) for d in details)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("qcli")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{'model':32} {'qcli us':>10} {'LiteRT us':>10} {'ratio':>6} {'ORT us':>10} {'ratio':>6}")
    for model in arguments.models:
        path, _, source = model.partition(":")
        if not is_integer(path):
            print(f"{os.path.basename(path):32} skipped: a float model")
            continue
        rng = numpy.random.default_rng(1)
        with tempfile.TemporaryDirectory() as folder:
            compiled = os.path.join(folder, "model.qkm")
            subprocess.run([arguments.qcli, "quantize", path, "-o", compiled], check=True, stdout=subprocess.DEVNULL)
            peers = {"litert": litert(path, rng)}
            if source:
                peers["ort"] = onnxruntime(source, folder, rng)
            ours, theirs = [], {name: [] for name in peers}
            for _ in range(arguments.rounds):
                result = subprocess.run(
                    [arguments.qcli, "bench", compiled, "--json"], check=True, capture_output=True)
                ours.append(json.loads(result.stdout)["median_us"])
                for name, function in peers.items():
                    theirs[name].append(median_of(function))
        mine = statistics.median(ours)
        row = f"{os.path.basename(path):32} {mine:10.2f}"
        for name in ("litert", "ort"):
            if name in theirs:
                peer = statistics.median(theirs[name])
                row += f" {peer:10.2f} {peer / mine:6.2f}"
            else:
                row += f" {'-':>10} {'-':>6}"
        print(row, flush=True)


if __name__ == "__main__":
    sys.exit(main())
