#!/usr/bin/env python3
"""The same models on the same inputs in qcli, LiteRT (XNNPACK) and ONNX Runtime, one thread, alternating in one run.

Prints medians in microseconds and the ratios peer / qcli. It judges nothing.

    benchmark-peers.py QCLI [--rounds N] MODEL.tflite [MODEL.onnx ...]

An int8 .tflite runs in LiteRT as it is. ONNX Runtime gets it only if a quantized .onnx stands beside it. A float model is
skipped: the comparison is of int8 with int8.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

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


def onnxruntime(path, rng):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {
        i.name: rng.standard_normal([d if isinstance(d, int) else 1 for d in i.shape]).astype(numpy.float32)
        for i in session.get_inputs()
    }
    return lambda: session.run(None, feed)


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
    for path in arguments.models:
        if not is_integer(path):
            print(f"{os.path.basename(path):32} skipped: a float model")
            continue
        rng = numpy.random.default_rng(1)
        with tempfile.TemporaryDirectory() as folder:
            compiled = os.path.join(folder, "model.qkm")
            subprocess.run([arguments.qcli, "quantize", path, "-o", compiled], check=True, stdout=subprocess.DEVNULL)
            peers = {"litert": litert(path, rng)}
            quantized = path.removesuffix(".tflite") + "_int8.onnx"
            if os.path.exists(quantized):
                peers["ort"] = onnxruntime(quantized, rng)
            ours, theirs = [], {name: [] for name in peers}
            for _ in range(arguments.rounds):
                result = subprocess.run(
                    [arguments.qcli, "bench", compiled, "--runs", "2000", "--json"], check=True, capture_output=True)
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
