"""Makes small files that must be refused: golden/rejects/*.{onnx,tflite,qkm,npy}.

    python make_rejects.py     (with requirements-tensorflow.txt)

What the program says about each is golden/rejects/errors.json, which the tests record and compare.
"""

import hashlib
import io
import json
import pathlib
import struct
import zlib

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tflite_operators import Model, options

TARGET = pathlib.Path(__file__).resolve().parent.parent / "rejects"
RANDOM = np.random.RandomState(5)
files = {}


def constant(name, shape, scale=1.0):
    return numpy_helper.from_array((RANDOM.uniform(-1, 1, shape) * scale).astype(np.float32), name)


def onnx_model(nodes, constants=(), shape=(1, 2, 4, 4), opset=17):
    graph = helper.make_graph(
        nodes,
        "reject",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(constants),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def make_onnx():
    node = helper.make_node
    convolution = node("Conv", ["x", "w"], ["y"], "conv")
    sound = onnx_model([convolution], [constant("w", (3, 2, 3, 3))]).SerializeToString()
    files["truncated.onnx"] = sound[:-7]
    files["cycle.onnx"] = onnx_model([
        node("Add", ["x", "b"], ["a"], "first"), node("Relu", ["a"], ["b"], "second"), node("Neg", ["b"], ["y"], "last"),
    ]).SerializeToString()
    files["missing_tensor.onnx"] = onnx_model([convolution]).SerializeToString()
    files["duplicate_tensor.onnx"] = onnx_model([
        node("Relu", ["x"], ["y"], "first"), node("Neg", ["x"], ["y"], "second"),
    ]).SerializeToString()
    negative = constant("w", (3, 2, 3, 3))
    negative.dims[0] = -3
    files["negative_size.onnx"] = onnx_model([convolution], [negative]).SerializeToString()
    huge = constant("w", (3, 2, 3, 3))
    huge.dims[0] = 1 << 40
    files["huge_size.onnx"] = onnx_model([convolution], [huge]).SerializeToString()
    files["not_a_number.onnx"] = onnx_model([convolution], [constant("w", (3, 2, 3, 3), np.nan)]).SerializeToString()
    files["unsupported_operators.onnx"] = onnx_model([
        node("LayerNormalization", ["x", "w"], ["a"], "normalize"), node("NonZero", ["a"], ["b"], "find"),
        node("Custom", ["b"], ["y"], "own", domain="com.example"),
    ], [constant("w", (4,))]).SerializeToString()
    sizes = numpy_helper.from_array(np.array([1, 2, 8, 8], np.int64), "sizes")
    files["cubic_resize.onnx"] = onnx_model(
        [node("Resize", ["x", "", "", "sizes"], ["y"], "enlarge", mode="cubic")], [sizes]
    ).SerializeToString()
    files["old_opset.onnx"] = onnx_model([node("Relu", ["x"], ["y"])], opset=5).SerializeToString()


def dense(weights_scale=0.01, axis=None, bias_scale=None, input_scale=0.05):
    model = Model()
    x = model.tensor((1, 4), "int8", input_scale, 3)
    w = model.tensor((3, 4), "int8", weights_scale, data=RANDOM.randint(-127, 128, (3, 4)), axis=axis)
    scale = np.multiply(0.05, 0.01) if bias_scale is None else bias_scale
    b = model.tensor((3,), "int32", scale, data=[1, 2, 3])
    y = model.tensor((1, 3), "int8", 0.1, -5)
    model.op("FULLY_CONNECTED", [x, w, b], [y], options("FullyConnected"))
    model.inputs, model.outputs = [x], [y]
    return model


def make_tflite():
    sound = dense().bytes()
    files["truncated.tflite"] = sound[: len(sound) // 2]
    files["zero_scale.tflite"] = dense(weights_scale=0.0).bytes()
    files["nan_scale.tflite"] = dense(input_scale=np.nan).bytes()
    files["no_scale.tflite"] = dense(input_scale=None).bytes()
    files["scales_of_another_axis.tflite"] = dense(weights_scale=[0.01] * 4, axis=1).bytes()
    files["too_few_scales.tflite"] = dense(weights_scale=[0.01] * 2, axis=0).bytes()
    files["bias_scale.tflite"] = dense(bias_scale=0.7).bytes()
    missing = dense()
    missing.operators[0].inputs[1] = 77
    files["missing_tensor.tflite"] = missing.bytes()
    unsupported = Model()
    x = unsupported.tensor((1, 4), "float32")
    y = unsupported.tensor((1, 4), "float32")
    unsupported.op("CUMSUM", [x], [y])
    unsupported.inputs, unsupported.outputs = [x], [y]
    files["unsupported_operator.tflite"] = unsupported.bytes()


def make_qkm():
    # magic, version, size, checksum; what follows counts nothing and points nowhere.
    def file(magic=b"QKM1", version=1, size=256, damage=False):
        rest = bytes(256 - 16)
        checksum = zlib.crc32(rest) ^ (1 if damage else 0)
        return magic + struct.pack("<III", version, size, checksum) + rest

    files["truncated.qkm"] = file()[:100]
    files["version.qkm"] = file(version=99)
    files["size.qkm"] = file(size=4096)
    files["checksum.qkm"] = file(damage=True)
    files["empty_tables.qkm"] = file()


def make_npy():
    def save(array):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=True)
        return buffer.getvalue()

    def reshaped(shape):
        header, blanks = b"(2, 1, 8, 8), }", b" " * (len(shape) - 12)
        result = save(images).replace(header + blanks, shape.encode() + b", }", 1)
        assert len(result) == len(save(images)) and shape.encode() in result
        return result

    images = RANDOM.uniform(0, 1, (2, 1, 8, 8)).astype(np.float32)
    files["fortran_order.npy"] = save(np.asfortranarray(images))
    files["big_endian.npy"] = save(images.astype(">f4"))
    files["wrong_type.npy"] = save(images.astype(np.int8))
    files["objects.npy"] = save(np.array([None, 1], object))
    files["wrong_shape.npy"] = save(images[:, :, :7])
    files["not_finite.npy"] = save(np.where(images == images.max(), np.nan, images).astype(np.float32))
    files["truncated.npy"] = save(images)[:-9]
    files["large_shape.npy"] = reshaped("(2147483648, 1, 8, 8)")
    files["negative_shape.npy"] = reshaped("(-2, 1, 8, 8)")


def main():
    make_onnx()
    make_tflite()
    make_qkm()
    make_npy()
    TARGET.mkdir(exist_ok=True)
    for name, data in files.items():
        (TARGET / name).write_bytes(data)
    folder = pathlib.Path(__file__).resolve().parent
    scripts = [pathlib.Path(__file__).name, "tflite_operators.py"]
    record = {
        "generator": {f"golden/generate/{s}": hashlib.sha256((folder / s).read_bytes()).hexdigest() for s in scripts},
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    (TARGET / "provenance.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
    print(len(files), "files,", sum(map(len, files.values())), "bytes")


if __name__ == "__main__":
    main()
