"""Makes small quantized .tflite models, one per operator and configuration, and what TensorFlow Lite Micro computes.

    python tflite_operators.py [GROUP ...]     (with requirements-tensorflow.txt and tflite-micro)

Writes golden/ops/tflite/GROUP.json: the models (base64), seeded inputs and the outputs of TensorFlow Lite Micro's reference
kernels, as integers. Recurrent models have several inputs per case, run in order with their state kept.
"""

import base64
import hashlib
import json
import pathlib
import sys

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tflite_micro.python.tflite_micro import runtime

SEED = 20240611
TARGET = pathlib.Path(__file__).resolve().parent.parent / "ops" / "tflite"
TYPES = {
    "int8": (schema.TensorType.INT8, np.int8),
    "int16": (schema.TensorType.INT16, np.int16),
    "int32": (schema.TensorType.INT32, np.int32),
    "int64": (schema.TensorType.INT64, np.int64),
    "int4": (schema.TensorType.INT4, np.int8),
    "float32": (schema.TensorType.FLOAT32, np.float32),
    "uint8": (schema.TensorType.UINT8, np.uint8),
}


class Model:
    """A model under construction; tensors are named by their number."""

    def __init__(self):
        self.tensors, self.operators, self.codes = [], [], []
        self.buffers = [schema.BufferT()]
        self.inputs, self.outputs, self.names = [], [], {}

    def tensor(self, shape, kind, scale=None, zero=0, data=None, axis=None, variable=False):
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.name = list(shape), TYPES[kind][0], f"t{len(self.tensors)}"
        tensor.isVariable, tensor.buffer = variable, 0
        if scale is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = np.atleast_1d(np.array(scale, np.float32))
            zeros = np.atleast_1d(np.array(zero, np.int64))
            quantization.zeroPoint = np.broadcast_to(zeros, quantization.scale.shape).copy()
            quantization.quantizedDimension = axis or 0
            tensor.quantization = quantization
        if data is not None:
            values = np.ascontiguousarray(np.array(data), TYPES[kind][1]).reshape(-1)
            if kind == "int4":
                low = values.astype(np.uint8) & 15
                low = np.append(low, np.zeros(len(low) % 2, np.uint8))
                values = low[0::2] | low[1::2] << 4
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def op(self, name, inputs, outputs, options=None, version=1):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes)
        self.codes.append(code)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options is not None:
            kind = type(options).__name__[:-1]
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = options
        self.operators.append(operator)

    def bytes(self):
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs, graph.name = self.inputs, self.outputs, "main"
        model = schema.ModelT()
        model.version, model.subgraphs, model.buffers = 3, [graph], self.buffers
        model.operatorCodes, model.description = self.codes, ""
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def options(kind, **fields):
    result = getattr(schema, kind + "OptionsT")()
    for name, value in fields.items():
        assert hasattr(result, name), (kind, name)
        setattr(result, name, value)
    return result


ACTIVATION = schema.ActivationFunctionType
PADDING = schema.Padding


class Cases:
    """The cases of one group, each with inputs and the reference's outputs."""

    def __init__(self, group):
        self.group, self.cases = group, []
        self.random = np.random.RandomState(SEED + int(hashlib.sha256(group.encode()).hexdigest()[:6], 16) % 10**6)

    def scale(self, low=0.002, high=0.2):
        return float(np.float32(np.exp(self.random.uniform(np.log(low), np.log(high)))))

    def zero(self):
        return int(self.random.choice([-128, 127, 0, self.random.randint(-100, 100)]))

    def activation(self, kind="int8"):
        return (self.scale(), self.zero()) if kind == "int8" else (self.scale(1e-5, 1e-3), 0)

    def weights(self, shape, bits=8):
        limit = 127 if bits == 8 else 7
        return self.random.randint(-limit, limit + 1, shape)

    def values(self, model, index):
        tensor = model.tensors[index]
        kind = next(k for k, v in TYPES.items() if v[0] == tensor.type)
        info = np.iinfo(TYPES[kind][1])
        draw = self.random.randint(info.min, info.max + 1, tensor.shape)
        # Extremes come often.
        extreme = self.random.rand(*tensor.shape)
        return np.where(extreme < 0.05, info.min, np.where(extreme < 0.1, info.max, draw)).astype(TYPES[kind][1])

    def add(self, name, model, runs=2, inputs=None):
        data = model.bytes()
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
        samples, results = [], []
        for run in range(runs):
            arrays = inputs[run] if inputs else [self.values(model, i) for i in model.inputs]
            for position, array in enumerate(arrays):
                interpreter.set_input(array, position)
            interpreter.invoke()
            outputs = [np.array(interpreter.get_output(i)) for i in range(len(model.outputs))]
            samples.append([a.reshape(-1).tolist() for a in arrays])
            results.append([o.reshape(-1).tolist() for o in outputs])
        self.cases.append({
            "name": name, "model": base64.b64encode(data).decode(), "inputs": samples, "outputs": results,
        })

    def write(self):
        import tflite_micro
        from importlib.metadata import version

        content = {
            "format": 1,
            "generator": {
                "golden/generate/tflite_operators.py": hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()
            },
            "reference": {"name": "tflite-micro (PyPI), reference kernels", "version": version("tflite_micro")},
            "seed": SEED,
            "cases": self.cases,
        }
        TARGET.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({k: v for k, v in content.items() if k != "cases"}, sort_keys=True)[:-1] + ', "cases": [']
        lines.append(",\n".join(json.dumps(case, separators=(",", ":"), sort_keys=True) for case in self.cases))
        (TARGET / f"{self.group}.json").write_text("\n".join(lines) + "\n]}\n")
        print(self.group, len(self.cases), (TARGET / f"{self.group}.json").stat().st_size)


# MARK: groups

EXACT = [(0.1, 0.1, 0.02), (0.05, 0.2, 0.02), (0.3, 0.1, 0.06), (0.07, 0.1, 0.028), (0.9, 0.01, 0.012)]

def layer_scales(cases, channels, per_channel, low=0.001, high=0.02):
    return [cases.scale(low, high) for _ in range(channels)] if per_channel else cases.scale(low, high)


def output_scale(input_scale, weight_scale, fan_in):
    return float(np.float32(input_scale * float(np.mean(weight_scale)) * 127 * 60 * np.sqrt(fan_in) / 127))


def convolution(cases, name, shape, channels, kernel, stride=(1, 1), dilation=(1, 1), padding="SAME", fused="NONE",
                groups=1, kind="int8", bits=8, bias="int32", per_channel=True, exact=None):
    model = Model()
    n, h, w, c = shape
    scale, zero = cases.activation(kind)
    weight_shape = (channels, *kernel, c // groups)
    fan_in = kernel[0] * kernel[1] * c // groups
    scales = layer_scales(cases, channels, per_channel)
    if bits == 4:
        scales = [s * 16 for s in scales] if per_channel else scales * 16
    if exact:
        # Factors that are short decimals: every odd sum is a tie but for the rounding of the scales themselves.
        scale, scales = exact[0], [exact[1]] * channels if per_channel else exact[1]
    x = model.tensor(shape, kind, scale, zero)
    data = cases.random.randint(-1, 2, weight_shape) if exact else cases.weights(weight_shape, bits)
    weights = model.tensor(weight_shape, "int4" if bits == 4 else "int8", scales, 0, data, 0)
    inputs = [x, weights]
    product = np.float32(scale) * np.array(scales, np.float32)
    if bias:
        values = cases.random.randint(-3000, 3000, channels) * (256 if kind == "int16" else 1)
        inputs.append(model.tensor([channels], bias, product, 0, values, 0))
    else:
        inputs.append(-1)
    if padding == "SAME":
        size = [-(-h // stride[0]), -(-w // stride[1])]
    else:
        size = [(v - (k - 1) * d - 1) // s + 1 for v, k, d, s in zip((h, w), kernel, dilation, stride)]
    out_scale = exact[2] if exact else output_scale(scale, scales, fan_in)
    out = model.tensor([n, *size, channels], kind, out_scale, cases.zero() if kind == "int8" else 0)
    model.op("CONV_2D", inputs, [out], options(
        "Conv2D", padding=getattr(PADDING, padding), strideH=stride[0], strideW=stride[1],
        dilationHFactor=dilation[0], dilationWFactor=dilation[1],
        fusedActivationFunction=getattr(ACTIVATION, fused)), 3)
    model.inputs, model.outputs = [x], [out]
    cases.add(name, model)


def group_conv(cases):
    convolution(cases, "3x3 same", (1, 7, 6, 3), 5, (3, 3))
    convolution(cases, "3x3 valid stride 2", (1, 9, 8, 4), 17, (3, 3), (2, 2), padding="VALID", fused="RELU")
    convolution(cases, "1x1", (2, 4, 5, 19), 33, (1, 1), fused="RELU6")
    convolution(cases, "5x2 same stride 2x1 dilation 1x2", (1, 8, 11, 2), 16, (5, 2), (2, 1), (1, 2), fused="RELU_N1_TO_1")
    convolution(cases, "dilated 2", (1, 9, 9, 3), 4, (3, 3), dilation=(2, 2))
    convolution(cases, "per tensor", (1, 5, 5, 8), 8, (3, 3), per_channel=False)
    convolution(cases, "no bias", (1, 5, 5, 4), 15, (2, 2), bias=None)
    convolution(cases, "grouped", (1, 6, 5, 8), 12, (3, 3), groups=4)
    convolution(cases, "one group per channel", (1, 6, 5, 6), 12, (3, 3), groups=6)
    convolution(cases, "1-d", (1, 1, 20, 5), 7, (1, 5), (1, 2))
    convolution(cases, "kernel larger than input", (1, 3, 3, 2), 3, (5, 5))
    convolution(cases, "int4", (1, 6, 6, 5), 9, (3, 3), bits=4)
    for scales in EXACT:
        convolution(cases, f"factor {scales}", (1, 5, 5, 3), 4, (1, 1), bias=None, exact=scales)


def group_conv_int16(cases):
    convolution(cases, "3x3", (1, 6, 5, 3), 5, (3, 3), kind="int16", bias="int64")
    convolution(cases, "stride 2 relu", (1, 7, 7, 4), 18, (3, 3), (2, 2), fused="RELU", kind="int16", bias="int64")
    convolution(cases, "no bias", (1, 5, 4, 4), 6, (1, 1), kind="int16", bias=None)
    convolution(cases, "int32 bias", (1, 5, 4, 4), 6, (2, 2), kind="int16", bias="int32")


def depthwise(cases, name, shape, multiplier, kernel, stride=(1, 1), dilation=(1, 1), padding="SAME", fused="NONE",
              kind="int8", bits=8, bias=True):
    model = Model()
    n, h, w, c = shape
    channels = c * multiplier
    scale, zero = cases.activation(kind)
    scales = layer_scales(cases, channels, True)
    if bits == 4:
        scales = [s * 16 for s in scales]
    x = model.tensor(shape, kind, scale, zero)
    weight_shape = (1, *kernel, channels)
    weights = model.tensor(weight_shape, "int4" if bits == 4 else "int8", scales, 0, cases.weights(weight_shape, bits), 3)
    inputs = [x, weights]
    if bias:
        inputs.append(model.tensor([channels], "int32" if kind == "int8" else "int64",
                                   np.float32(scale) * np.array(scales, np.float32), 0,
                                   cases.random.randint(-2000, 2000, channels), 0))
    if padding == "SAME":
        size = [-(-h // stride[0]), -(-w // stride[1])]
    else:
        size = [(v - (k - 1) * d - 1) // s + 1 for v, k, d, s in zip((h, w), kernel, dilation, stride)]
    out = model.tensor([n, *size, channels], kind, output_scale(scale, scales, kernel[0] * kernel[1]),
                       cases.zero() if kind == "int8" else 0)
    model.op("DEPTHWISE_CONV_2D", inputs, [out], options(
        "DepthwiseConv2D", padding=getattr(PADDING, padding), strideH=stride[0], strideW=stride[1],
        depthMultiplier=multiplier, dilationHFactor=dilation[0], dilationWFactor=dilation[1],
        fusedActivationFunction=getattr(ACTIVATION, fused)), 3)
    model.inputs, model.outputs = [x], [out]
    cases.add(name, model)


def group_depthwise(cases):
    depthwise(cases, "3x3", (1, 7, 6, 5), 1, (3, 3))
    depthwise(cases, "stride 2 relu6", (1, 9, 8, 17), 1, (3, 3), (2, 2), fused="RELU6")
    depthwise(cases, "multiplier 2", (1, 6, 6, 3), 2, (3, 3), padding="VALID")
    depthwise(cases, "multiplier 16 of one channel", (1, 8, 6, 1), 16, (5, 3), (2, 2))
    depthwise(cases, "one channel", (1, 8, 6, 1), 1, (3, 3))
    depthwise(cases, "dilated", (2, 8, 7, 4), 1, (3, 3), dilation=(2, 2))
    depthwise(cases, "1x7", (1, 1, 15, 6), 1, (1, 7), bias=False)
    depthwise(cases, "int4", (1, 6, 6, 5), 1, (3, 3), bits=4)
    depthwise(cases, "int16", (1, 6, 6, 5), 1, (3, 3), kind="int16")
    depthwise(cases, "int16 multiplier 3", (1, 5, 6, 2), 3, (3, 2), (2, 1), kind="int16", fused="RELU")


def transposed(cases, name, shape, channels, kernel, stride, padding, fused="NONE", kind="int8", bias=True):
    model = Model()
    n, h, w, c = shape
    scale, zero = cases.activation(kind)
    scales = layer_scales(cases, channels, True)
    size = [h * stride[0], w * stride[1]] if padding == "SAME" else [
        (h - 1) * stride[0] + kernel[0], (w - 1) * stride[1] + kernel[1]]
    out_shape = [n, *size, channels]
    shape_tensor = model.tensor([4], "int32", data=out_shape)
    weight_shape = (channels, *kernel, c)
    weights = model.tensor(weight_shape, "int8", scales, 0, cases.weights(weight_shape), 0)
    x = model.tensor(shape, kind, scale, zero)
    inputs = [shape_tensor, weights, x]
    if bias:
        inputs.append(model.tensor([channels], "int32" if kind == "int8" else "int64",
                                   np.float32(scale) * np.array(scales, np.float32), 0,
                                   cases.random.randint(-2000, 2000, channels), 0))
    out = model.tensor(out_shape, kind, output_scale(scale, scales, kernel[0] * kernel[1] * c / stride[0] / stride[1]),
                       cases.zero() if kind == "int8" else 0)
    model.op("TRANSPOSE_CONV", inputs, [out], options(
        "TransposeConv", padding=getattr(PADDING, padding), strideH=stride[0], strideW=stride[1],
        fusedActivationFunction=getattr(ACTIVATION, fused)), 4)
    model.inputs, model.outputs = [x], [out]
    cases.add(name, model)


def group_transpose_conv(cases):
    transposed(cases, "2x2 stride 2 valid", (1, 4, 3, 5), 3, (2, 2), (2, 2), "VALID")
    transposed(cases, "3x3 stride 2 same", (1, 5, 4, 3), 17, (3, 3), (2, 2), "SAME")
    transposed(cases, "4x3 stride 2x1 same", (1, 3, 4, 2), 4, (4, 3), (2, 1), "SAME", bias=False)
    transposed(cases, "1x1 stride 3", (1, 3, 3, 2), 4, (1, 1), (3, 3), "SAME")
    transposed(cases, "3x3 stride 1 valid relu", (2, 3, 4, 6), 5, (3, 3), (1, 1), "VALID", fused="RELU")
    transposed(cases, "int16", (1, 4, 4, 3), 5, (3, 3), (2, 2), "SAME", kind="int16")


def dense(cases, name, shape, channels, per_channel=False, weights_zero=0, fused="NONE", kind="int8", bias="int32",
          keep=False, bits=8, exact=None):
    model = Model()
    scale, zero = cases.activation(kind)
    depth = shape[-1]
    scales = layer_scales(cases, channels, per_channel)
    if bits == 4:
        scales = [s * 16 for s in scales] if per_channel else scales * 16
    if exact:
        # Factors that are short decimals: every odd sum is a tie but for the rounding of the scales themselves.
        scale, scales = exact[0], [exact[1]] * channels if per_channel else exact[1]
    x = model.tensor(shape, kind, scale, zero)
    data = cases.random.randint(-1, 2, (channels, depth)) if exact else cases.weights((channels, depth), bits)
    weights = model.tensor((channels, depth), "int4" if bits == 4 else "int8", scales, weights_zero, data, 0)
    inputs = [x, weights]
    if bias:
        inputs.append(model.tensor([channels], bias, np.float32(scale) * np.array(scales, np.float32), 0,
                                   cases.random.randint(-2000, 2000, channels), 0))
    else:
        inputs.append(-1)
    rows = int(np.prod(shape[:-1]))
    out_scale = exact[2] if exact else output_scale(scale, scales, depth)
    out = model.tensor([*shape[:-1], channels] if keep else [rows, channels], kind, out_scale,
                       cases.zero() if kind == "int8" else 0)
    model.op("FULLY_CONNECTED", inputs, [out], options(
        "FullyConnected", fusedActivationFunction=getattr(ACTIVATION, fused), keepNumDims=keep), 9)
    model.inputs, model.outputs = [x], [out]
    cases.add(name, model)


def group_dense(cases):
    dense(cases, "per tensor", (1, 23), 9)
    dense(cases, "rows relu", (3, 16), 17, fused="RELU")
    dense(cases, "per channel", (2, 31), 16, per_channel=True)
    dense(cases, "weights with a zero point", (2, 20), 5, weights_zero=-17)
    dense(cases, "weights with an extreme zero point", (3, 9), 18, weights_zero=127)
    dense(cases, "no bias, axes kept", (1, 2, 3, 8), 4, bias=None, keep=True)
    dense(cases, "int4", (2, 13), 6, bits=4)
    dense(cases, "int16", (2, 21), 6, kind="int16", bias="int64")
    dense(cases, "int16 int32 bias", (2, 21), 6, kind="int16", bias="int32")
    for scales in EXACT:
        dense(cases, f"factor {scales}", (20, 3), 4, bias=None, exact=scales)
        dense(cases, f"per channel factor {scales}", (20, 3), 4, per_channel=True, bias=None, exact=scales)
        dense(cases, f"int16 factor {scales}", (20, 3), 4, kind="int16", bias="int32", exact=scales)
    dense(cases, "int16 per channel no bias", (2, 12), 5, per_channel=True, kind="int16", bias=None)


def group_batch_matmul(cases):
    for name, a, b, adj_x, adj_y, kind in [
        ("plain", (2, 3, 5), (2, 5, 4), False, False, "int8"),
        ("broadcast", (2, 2, 3, 7), (1, 2, 7, 17), False, False, "int8"),
        ("second transposed", (3, 6), (9, 6), False, True, "int8"),
        ("first transposed", (1, 5, 3), (1, 5, 4), True, False, "int8"),
        ("int16", (2, 3, 5), (2, 5, 4), False, False, "int16"),
    ]:
        model = Model()
        (sa, za), (sb, zb) = cases.activation(kind), cases.activation(kind)
        x, y = model.tensor(a, kind, sa, za), model.tensor(b, kind, sb, zb)
        m = a[-1] if adj_x else a[-2]
        n = b[-2] if adj_y else b[-1]
        k = a[-2] if adj_x else a[-1]
        leading = np.broadcast_shapes(a[:-2], b[:-2])
        reach = 127 if kind == "int8" else 32767
        out = model.tensor([*leading, m, n], kind, sa * sb * reach * np.sqrt(k) / 2, cases.zero() if kind == "int8" else 0)
        model.op("BATCH_MATMUL", [x, y], [out], options("BatchMatMul", adjX=adj_x, adjY=adj_y), 3)
        model.inputs, model.outputs = [x, y], [out]
        cases.add(name, model)
    for scales in EXACT:
        model = Model()
        x, y = model.tensor((9, 2), "int8", scales[0], -128), model.tensor((2, 2), "int8", scales[1], 0)
        out = model.tensor((9, 2), "int8", scales[2], 0)
        model.op("BATCH_MATMUL", [x, y], [out], options("BatchMatMul", adjX=False, adjY=False), 3)
        model.inputs, model.outputs = [x, y], [out]
        values = [cases.random.randint(-128, -80, (9, 2)).astype(np.int8), np.array([[1, 0], [-1, 2]], np.int8)]
        cases.add(f"factor {scales}", model, 1, [values])


def group_pool(cases):
    for name, op, shape, kernel, stride, padding, fused, kind in [
        ("average 2x2", "AVERAGE_POOL_2D", (1, 6, 6, 5), (2, 2), (2, 2), "VALID", "NONE", "int8"),
        ("average 3x3 same relu", "AVERAGE_POOL_2D", (1, 7, 6, 17), (3, 3), (2, 2), "SAME", "RELU", "int8"),
        ("average global", "AVERAGE_POOL_2D", (1, 7, 5, 6), (7, 5), (1, 1), "VALID", "NONE", "int8"),
        ("max 2x2", "MAX_POOL_2D", (1, 6, 7, 5), (2, 2), (2, 2), "VALID", "NONE", "int8"),
        ("max 3x2 same relu6", "MAX_POOL_2D", (2, 5, 6, 18), (3, 2), (1, 2), "SAME", "RELU6", "int8"),
        ("average int16", "AVERAGE_POOL_2D", (1, 5, 6, 3), (3, 3), (1, 1), "SAME", "NONE", "int16"),
        ("max int16 relu", "MAX_POOL_2D", (1, 5, 6, 3), (2, 2), (2, 2), "SAME", "RELU", "int16"),
    ]:
        model = Model()
        scale, zero = cases.activation(kind)
        n, h, w, c = shape
        size = [-(-v // s) if padding == "SAME" else (v - k) // s + 1 for v, k, s in zip((h, w), kernel, stride)]
        x = model.tensor(shape, kind, scale, zero)
        out = model.tensor([n, *size, c], kind, scale, zero)
        model.op(op, [x], [out], options(
            "Pool2D", padding=getattr(PADDING, padding), strideH=stride[0], strideW=stride[1], filterHeight=kernel[0],
            filterWidth=kernel[1], fusedActivationFunction=getattr(ACTIVATION, fused)), 2)
        model.inputs, model.outputs = [x], [out]
        cases.add(name, model)


def group_mean(cases):
    for name, shape, axes, keep, same, kind in [
        ("height and width", (1, 5, 6, 7), [1, 2], False, False, "int8"),
        ("height and width, same scale", (1, 4, 4, 16), [1, 2], True, True, "int8"),
        ("channels", (2, 3, 4, 9), [3], False, False, "int8"),
        ("outer axis", (4, 3, 5), [0], True, False, "int8"),
        ("first and last", (3, 4, 5, 2), [0, 3], False, False, "int8"),
        ("everything", (3, 4), [0, 1], True, False, "int8"),
        ("negative axis", (2, 6, 3), [-1], False, True, "int8"),
        ("int16", (1, 5, 6, 7), [1, 2], False, False, "int16"),
        ("factor 0.5", (30, 2, 2), [2], False, (0.1, 0.1), "int8"),
        ("factor 0.25", (30, 4, 2), [1], False, (0.3, 0.3), "int8"),
        ("factor 0.125", (30, 4, 2), [1], False, (0.3, 0.6), "int8"),
        ("factor 0.4", (30, 3, 2), [1], False, (0.12, 0.1), "int8"),
        ("int16 factor 0.5", (30, 2, 2), [2], False, (0.1, 0.1), "int16"),
    ]:
        model = Model()
        scale, zero = cases.activation(kind)
        out_scale, out_zero = (scale, zero) if same else (scale * 0.7, cases.zero() if kind == "int8" else 0)
        if isinstance(same, tuple):
            (scale, out_scale), out_zero = same, cases.zero() if kind == "int8" else 0
        x = model.tensor(shape, kind, scale, zero)
        axis = model.tensor([len(axes)], "int32", data=axes)
        reduced = {a % len(shape) for a in axes}
        result = [1 if i in reduced else v for i, v in enumerate(shape) if keep or i not in reduced]
        out = model.tensor(result, kind, out_scale, out_zero)
        model.op("MEAN", [x, axis], [out], options("Reducer", keepDims=keep), 2)
        model.inputs, model.outputs = [x], [out]
        cases.add(name, model)


def group_binary(cases):
    def case(name, op, a, b, fused="NONE", kind="int8", constant=None, same=False, wide=None, exact=None):
        model = Model()
        (sa, za), (sb, zb) = cases.activation(kind), cases.activation(kind)
        if same:
            sb, zb = sa, za
        so, zo = cases.activation(kind)
        if op == "MUL":
            so = sa * sb * (127 if kind == "int8" else 32767) * 0.8
        elif same:
            so, zo = sa, za
        else:
            so = max(sa, sb) * 1.3
        if wide:
            so *= wide
        if exact:
            (sa, sb, so), za, zb, zo = exact, cases.zero() if kind == "int8" else 0, 0, 0
        x = model.tensor(a, kind, sa, za)
        data = None if constant is None else cases.random.randint(-100, 100, b)
        y = model.tensor(b, kind, sb, zb, data)
        out = model.tensor(np.broadcast_shapes(a, b), kind, so, zo)
        name_of = {"ADD": "Add", "SUB": "Sub", "MUL": "Mul", "MAXIMUM": "MaximumMinimum", "MINIMUM": "MaximumMinimum"}[op]
        fields = {} if "M" == name_of[0] and name_of != "Mul" else {"fusedActivationFunction": getattr(ACTIVATION, fused)}
        if op in ("ADD", "SUB") and kind == "int16":
            fields["potScaleInt16"] = False
        model.op(op, [x, y], [out], options(name_of, **fields), 2)
        model.inputs, model.outputs = [x] if constant else [x, y], [out]
        cases.add(f"{op.lower()} {name}", model)

    for op in ("ADD", "SUB", "MUL"):
        case("same shape", op, (2, 5, 7), (2, 5, 7))
        case("relu", op, (1, 4, 4, 5), (1, 4, 4, 5), "RELU")
        case("relu6, channel", op, (1, 3, 4, 18), (18,), "RELU6")
        case("scalar constant", op, (1, 3, 4, 5), (1,), constant=True)
        case("channel constant", op, (1, 3, 4, 5), (5,), constant=True)
        case("both broadcast", op, (3, 1, 4), (1, 5, 4))
        case("small output scale", op, (40,), (40,), wide=0.02)
        for scales in EXACT:
            case(f"factor {scales}", op, (60,), (60,), exact=scales)
        for scales in [(0.01, 0.02, 0.03), (0.5, 0.5, 0.5), (0.1, 0.1, 0.2), (0.3, 0.15, 0.3)]:
            case(f"scales {scales}", op, (60,), (60,), exact=scales)
            case(f"int16 scales {scales}", op, (60,), (60,), kind="int16", exact=scales)
        case("int16", op, (2, 9), (2, 9), kind="int16")
        case("int16 channel relu", op, (2, 3, 9), (9,), "RELU", kind="int16")
    for op in ("MAXIMUM", "MINIMUM"):
        case("same shape", op, (2, 5, 7), (2, 5, 7), same=True)
        case("channel", op, (2, 5, 7), (7,), same=True)
        case("scalar constant", op, (2, 5, 7), (1,), same=True, constant=True)
        case("int16", op, (2, 9), (2, 9), kind="int16", same=True)


def function(cases, name, op, scale, zero, out_scale, out_zero, opts=None, kind="int8"):
    model = Model()
    values = np.arange(-128, 128, dtype=np.int8) if kind == "int8" else np.concatenate([
        np.arange(-32768, 32768, 257), cases.random.randint(-3000, 3000, 100), [-32768, 32767, 0, 1, -1]]).astype(np.int16)
    x = model.tensor([len(values)], kind, scale, zero)
    out = model.tensor([len(values)], kind, out_scale, out_zero)
    model.op(op, [x], [out], opts, 2)
    model.inputs, model.outputs = [x], [out]
    cases.add(f"{op.lower()} {name}", model, 1, [[values]])


def group_unary(cases):
    case = lambda *args: function(cases, *args)

    for i, (scale, zero) in enumerate([(0.05, 3), (0.1, -128), (0.02, 127), (0.9, 0), (0.003, -40), (cases.scale(), cases.zero())]):
        out = cases.activation()
        case(f"{i}", "RELU", scale, zero, scale * 0.9, -128)
        case(f"{i} other", "RELU", scale, zero, *out)
        case(f"{i}", "RELU6", scale, zero, scale, zero)
        case(f"{i}", "LEAKY_RELU", scale, zero, scale * 0.8, cases.zero(), options("LeakyRelu", alpha=[0.1, 0.01, 0.3, 1.5, -0.2, 0.0][i]))
        case(f"{i} decimal", "RELU", [0.1, 0.2, 0.3, 0.07, 0.6, 0.05][i], zero, [0.2, 0.08, 0.24, 0.28, 0.75, 0.1][i], -128)
        case(f"{i} decimal", "LEAKY_RELU", [0.1, 0.2, 0.3, 0.07, 0.6, 0.05][i], zero, [0.2, 0.08, 0.24, 0.28, 0.75, 0.1][i], 0,
             options("LeakyRelu", alpha=[0.5, 0.1, 0.2, 0.25, 0.3, -0.5][i]))
        case(f"{i} decimal", "HARD_SWISH", [0.1, 0.2, 0.3, 0.07, 0.6, 0.05][i], zero, [0.2, 0.08, 0.24, 0.28, 0.75, 0.1][i], 0)
        case(f"{i}", "LOGISTIC", scale, zero, 1 / 256, -128)
        case(f"{i}", "TANH", scale, zero, 1 / 128, 0)
        case(f"{i}", "ELU", scale, zero, scale * 0.9, cases.zero())
        case(f"{i}", "HARD_SWISH", scale, zero, scale * [1.0, 0.7, 1.3, 1.0, 0.5, 0.9][i], cases.zero())


def group_unary_int16(cases):
    case = lambda *args, **named: function(cases, *args, **named)
    for i, scale in enumerate([2**-12, 2**-11, 2**-13, 1e-4, 3e-4, 5e-3]):
        case(f"int16 {i}", "LOGISTIC", scale, 0, 2**-15, 0, kind="int16")
        case(f"int16 {i}", "TANH", scale, 0, 2**-15, 0, kind="int16")
        case(f"int16 {i}", "LEAKY_RELU", scale, 0, scale * 0.9, 0, options("LeakyRelu", alpha=0.1), kind="int16")
        case(f"int16 {i}", "RELU", scale, 0, scale * 0.8, 0, kind="int16")
    case("int16", "RELU6", 3e-4, 0, 3e-4, 0, kind="int16")


def group_prelu(cases):
    for name, shape, slope, kind in [
        ("channel", (1, 3, 4, 7), (1, 1, 7), "int8"), ("one", (2, 9), (1,), "int8"), ("all", (1, 2, 3, 4), (2, 3, 4), "int8"),
    ] + [(f"factor {scales}", (20, 6), (6,), "int8") for scales in EXACT]:
        model = Model()
        scale, zero = cases.activation(kind)
        x = model.tensor(shape, kind, scale, zero)
        data, so, sl = cases.weights(slope), scale * 0.8, 0.004
        if name.startswith("factor"):
            scale, sl, so = [float(v) for v in name[8:-1].split(", ")]
            model.tensors[x].quantization.scale = np.array([scale], np.float32)
            data = cases.random.randint(-3, 4, slope)
        alpha = model.tensor(slope, "int8", sl, 0 if name.startswith("factor") else cases.zero(), data)
        out = model.tensor(shape, kind, so, cases.zero() if kind == "int8" else 0)
        model.op("PRELU", [x, alpha], [out])
        model.inputs, model.outputs = [x], [out]
        cases.add(name, model)


def group_softmax(cases):
    for name, shape, scale, beta, kind, out in [
        ("10", (1, 10), 0.1, 1.0, "int8", "int8"), ("beta", (3, 7), 0.05, 2.5, "int8", "int8"),
        ("many", (2, 300), 0.02, 1.0, "int8", "int8"), ("large scale", (4, 12), 0.9, 1.0, "int8", "int8"),
        ("to int16", (2, 11), 0.07, 1.0, "int8", "int16"), ("int16", (2, 11), 3e-4, 1.0, "int16", "int16"),
        ("int16 beta", (2, 40), 1e-3, 0.5, "int16", "int16"),
    ]:
        model = Model()
        x = model.tensor(shape, kind, scale, cases.zero() if kind == "int8" else 0)
        result = (1 / 256, -128) if out == "int8" else (1 / 65536, -32768) if kind == "int8" else (1 / 32768, 0)
        y = model.tensor(shape, out, *result)
        model.op("SOFTMAX", [x], [y], options("Softmax", beta=beta), 3)
        model.inputs, model.outputs = [x], [y]
        cases.add(name, model)
    for name, shape, scale in [("log", (2, 10), 0.1), ("log many", (1, 120), 0.03), ("log steep", (3, 9), 0.8)]:
        model = Model()
        x = model.tensor(shape, "int8", scale, cases.zero())
        y = model.tensor(shape, "int8", 16 / 256, 127)
        model.op("LOG_SOFTMAX", [x], [y], options("LogSoftmax"), 2)
        model.inputs, model.outputs = [x], [y]
        cases.add(name, model)


def group_layout(cases):
    def unchanged(kind):
        return cases.activation(kind)

    def finish(name, model, x, out):
        model.inputs, model.outputs = x if isinstance(x, list) else [x], out if isinstance(out, list) else [out]
        cases.add(name, model)

    for name, shape, pads, kind in [
        ("pad", (1, 4, 5, 3), [[0, 0], [1, 2], [0, 1], [0, 0]], "int8"), ("pad channels", (2, 3, 4), [[0, 1], [0, 0], [2, 3]], "int8"),
        ("pad int16", (1, 4, 5, 3), [[0, 0], [1, 2], [3, 1], [0, 0]], "int16"),
    ]:
        model = Model()
        s, z = unchanged(kind)
        x = model.tensor(shape, kind, s, z)
        p = model.tensor([len(shape), 2], "int32", data=pads)
        out = model.tensor([v + a + b for v, (a, b) in zip(shape, pads)], kind, s, z)
        model.op("PAD", [x, p], [out], options("Pad"), 2)
        finish(name, model, x, out)
    model = Model()
    s, z = unchanged("int8")
    x = model.tensor((1, 3, 4, 2), "int8", s, z)
    p = model.tensor([4, 2], "int32", data=[[0, 0], [1, 1], [2, 0], [0, 1]])
    v = model.tensor([1], "int8", s, z, [-77])
    out = model.tensor((1, 5, 6, 3), "int8", s, z)
    model.op("PADV2", [x, p, v], [out], options("PadV2"), 2)
    finish("padv2", model, x, out)

    for name, shapes, axis, kind in [
        ("concatenation channels", [(1, 3, 4, 2), (1, 3, 4, 5)], 3, "int8"), ("concatenation first", [(2, 5), (1, 5), (3, 5)], 0, "int8"),
        ("concatenation middle", [(2, 3, 4), (2, 1, 4)], -2, "int16"),
    ]:
        model = Model()
        s, z = unchanged(kind)
        xs = [model.tensor(shape, kind, s, z) for shape in shapes]
        result = list(shapes[0])
        result[axis] = sum(shape[axis] for shape in shapes)
        out = model.tensor(result, kind, s, z)
        model.op("CONCATENATION", xs, [out], options("Concatenation", axis=axis), 2)
        finish(name, model, xs, out)

    for name, shape, axis, sizes, op in [
        ("split", (2, 6, 4), 1, [2, 2, 2], "SPLIT"), ("split channels", (1, 2, 3, 8), 3, [4, 4], "SPLIT"),
        ("split_v", (2, 7, 4), 1, [1, 4, 2], "SPLIT_V"),
    ]:
        model = Model()
        s, z = unchanged("int8")
        x = model.tensor(shape, "int8", s, z)
        a = model.tensor([1] if op == "SPLIT_V" else [], "int32", data=[axis])
        outs = [model.tensor([n if i == axis else v for i, v in enumerate(shape)], "int8", s, z) for n in sizes]
        if op == "SPLIT":
            model.op(op, [a, x], outs, options("Split", numSplits=len(sizes)), 2)
        else:
            n = model.tensor([len(sizes)], "int32", data=sizes)
            model.op(op, [x, n, a], outs, options("SplitV", numSplits=len(sizes)), 2)
        finish(name, model, x, outs)

    for name, shape, begin, size in [("slice", (2, 5, 6), [1, 2, 0], [1, 2, 6]), ("slice to the end", (3, 4, 5), [0, 1, 3], [-1, -1, 2])]:
        model = Model()
        s, z = unchanged("int8")
        x = model.tensor(shape, "int8", s, z)
        b, n = model.tensor([3], "int32", data=begin), model.tensor([3], "int32", data=size)
        result = [v - o if k < 0 else k for v, o, k in zip(shape, begin, size)]
        out = model.tensor(result, "int8", s, z)
        model.op("SLICE", [x, b, n], [out], options("Slice"), 2)
        finish(name, model, x, out)
    for name, shape, spec, masks, kind in [
        ("strided slice", (4, 6, 5), ([1, 0, 4], [4, 6, 0], [2, 3, -1]), {}, "int8"),
        ("strided slice masks", (4, 6, 5), ([1, 2, 1], [2, 5, 3], [1, 1, 1]), dict(beginMask=2, endMask=4, shrinkAxisMask=1), "int8"),
        ("strided slice int16", (1, 6, 5, 2), ([0, 1, 0, 0], [1, 6, 5, 2], [1, 2, 2, 1]), {}, "int16"),
    ]:
        model = Model()
        s, z = unchanged(kind)
        x = model.tensor(shape, kind, s, z)
        arrays = [model.tensor([len(v)], "int32", data=v) for v in spec]
        index = tuple(
            spec[0][i] if masks.get("shrinkAxisMask", 0) >> i & 1 else slice(
                None if masks.get("beginMask", 0) >> i & 1 else spec[0][i],
                None if masks.get("endMask", 0) >> i & 1 else spec[1][i], spec[2][i]) for i in range(len(shape)))
        result = np.zeros(shape)[index].shape
        out = model.tensor(result, kind, s, z)
        fields = dict(beginMask=0, endMask=0, ellipsisMask=0, newAxisMask=0, shrinkAxisMask=0)
        fields.update(masks)
        model.op("STRIDED_SLICE", [x, *arrays], [out], options("StridedSlice", **fields), 4)
        finish(name, model, x, out)

    for axis, count in [(0, 3), (1, 2), (-1, 4)]:
        model = Model()
        s, z = unchanged("int8")
        xs = [model.tensor((3, 5), "int8", s, z) for _ in range(count)]
        out = model.tensor(np.stack([np.zeros((3, 5))] * count, axis).shape, "int8", s, z)
        model.op("PACK", xs, [out], options("Pack", valuesCount=count, axis=axis), 2)
        finish(f"pack {axis}", model, xs, out)
        model = Model()
        shape = np.stack([np.zeros((3, 5))] * count, axis).shape
        x = model.tensor(shape, "int8", s, z)
        outs = [model.tensor((3, 5), "int8", s, z) for _ in range(count)]
        model.op("UNPACK", [x], outs, options("Unpack", num=count, axis=axis), 2)
        finish(f"unpack {axis}", model, x, outs)

    for name, shape, permutation, kind in [
        ("transpose", (2, 3, 4), (2, 0, 1), "int8"), ("transpose 4-d", (1, 3, 4, 5), (0, 3, 1, 2), "int8"),
        ("transpose of ones", (1, 7, 1, 5), (2, 0, 1, 3), "int8"), ("transpose int16", (2, 3, 4), (1, 2, 0), "int16"),
    ]:
        model = Model()
        s, z = unchanged(kind)
        x = model.tensor(shape, kind, s, z)
        p = model.tensor([len(shape)], "int32", data=permutation)
        out = model.tensor([shape[i] for i in permutation], kind, s, z)
        model.op("TRANSPOSE", [x, p], [out], options("Transpose"), 2)
        finish(name, model, x, out)

    for name, op, shape, extra, result in [
        ("reshape", "RESHAPE", (2, 3, 4), [4, 6], (4, 6)), ("expand dims", "EXPAND_DIMS", (3, 4), [1], (3, 1, 4)),
        ("squeeze", "SQUEEZE", (1, 3, 1, 4), None, (3, 4)),
    ]:
        model = Model()
        s, z = unchanged("int8")
        x = model.tensor(shape, "int8", s, z)
        out = model.tensor(result, "int8", s, z)
        if op == "SQUEEZE":
            model.op(op, [x], [out], options("Squeeze", squeezeDims=[0, 2]))
        elif op == "EXPAND_DIMS":
            model.op(op, [x, model.tensor([1], "int32", data=extra)], [out], options("ExpandDims"))
        else:
            model.op(op, [x, model.tensor([len(extra)], "int32", data=extra)], [out], options("Reshape", newShape=extra))
        finish(name, model, x, out)


def group_resize(cases):
    for op, kind in [("RESIZE_NEAREST_NEIGHBOR", "Nearest"), ("RESIZE_BILINEAR", "Bilinear")]:
        for shape, size in [((1, 3, 4, 5), (6, 8)), ((1, 5, 7, 2), (3, 4)), ((1, 4, 3, 17), (7, 11)), ((1, 2, 2, 3), (2, 2))]:
            for align, half in [(False, False), (True, False), (False, True)]:
                model = Model()
                s, z = cases.activation()
                x = model.tensor(shape, "int8", s, z)
                n = model.tensor([2], "int32", data=size)
                out = model.tensor((shape[0], *size, shape[3]), "int8", s, z)
                name = "ResizeNearestNeighbor" if kind == "Nearest" else "ResizeBilinear"
                model.op(op, [x, n], [out], options(name, alignCorners=align, halfPixelCenters=half), 3)
                model.inputs, model.outputs = [x], [out]
                cases.add(f"{kind.lower()} {shape[1:3]} to {size} align {align} half {half}", model, 1)


def group_quantize(cases):
    for a, b in [("int8", "int8"), ("int8", "int16"), ("int16", "int8"), ("int16", "int16"), ("int8", "int32"), ("int16", "int32")]:
        for i in range(6):
            model = Model()
            (sa, za), (sb, zb) = cases.activation(a), cases.activation("int16" if b == "int32" else b)
            if i > 2:
                sa, sb = [(0.1, 0.2), (0.3, 0.24), (0.07, 0.28)][i - 3]
            # A step in the middle: conversions of a model's own inputs and outputs belong to its border.
            x = model.tensor((3, 17), a, sa, za)
            shifted = model.tensor((3, 17), a, sa, za)
            model.op("MAXIMUM", [x, model.tensor((1,), a, sa, za, [-100])], [shifted], options("MaximumMinimum"), 2)
            out = model.tensor((3, 17), b, sb if b != "int32" else sa * 0.01, zb)
            model.op("QUANTIZE", [shifted], [out], options("Quantize"), 2)
            model.inputs, model.outputs = [x], [out]
            cases.add(f"{a} to {b} {i}", model)


def group_svdf(cases):
    for name, depth, units, rank, memory, state_kind, batch in [
        ("int16 state", 8, 3, 2, 5, "int16", 1), ("int8 state", 9, 17, 1, 10, "int8", 1), ("batch", 4, 4, 2, 3, "int16", 2),
    ] + [(f"factor {scales}", 3, 20, 1, 2, "int16", 1) for scales in EXACT]:
        model = Model()
        filters = units * rank
        si, zi = cases.scale(0.01, 0.05), cases.zero()
        sf, st = 0.01, 0.01
        ss = 0.002 if state_kind == "int16" else 0.5
        so, limit, draw = 0.5, 1000, cases.weights
        if name.startswith("factor"):
            # Both stages have the same decimal factor.
            si, sf, ss = [float(v) for v in name[8:-1].split(", ")]
            st, so, limit, draw = sf, ss * sf / (si * sf / ss), 2, lambda shape: cases.random.randint(-1, 2, shape)
        x = model.tensor((batch, depth), "int8", si, zi)
        feature = model.tensor((filters, depth), "int8", sf, 0, draw((filters, depth)))
        time = model.tensor((filters, memory), state_kind, st, 0, draw((filters, memory)))
        bias = model.tensor((units,), "int32", ss * st, 0, cases.random.randint(-limit, limit, units))
        state = model.tensor((batch, filters * memory), state_kind, ss, 0 if state_kind == "int16" else 5, variable=True)
        out = model.tensor((batch, units), "int8", so, cases.zero())
        model.op("SVDF", [x, feature, time, bias, state], [out],
                 options("SVDF", rank=rank, fusedActivationFunction=ACTIVATION.RELU), 4)
        model.inputs, model.outputs = [x], [out]
        cases.add(name, model, 6)


def group_lstm(cases):
    for name, steps, depth, hidden, batch, time_major, kind, clip in [
        ("batch major", 5, 6, 7, 1, False, "int8", 0.0), ("time major", 4, 5, 17, 1, True, "int8", 0.0),
        ("two samples", 3, 4, 5, 2, False, "int8", 0.0), ("clipped cell", 5, 3, 4, 1, False, "int8", 0.5),
        ("int16", 4, 6, 5, 1, False, "int16", 0.0), ("factor 0.1", 3, 3, 4, 1, False, "int8", 0.0),
        ("factor 0.7", 3, 3, 4, 1, False, "int8", 0.0),
    ]:
        model = Model()
        si, zi = (0.02, cases.zero()) if kind == "int8" else (2.0**-12, 0)
        if name.startswith("factor"):
            si = float(name[7:])
        sh, zh = (1 / 128, 0) if kind == "int8" else (2.0**-15, 0)
        if kind == "int8":
            zh = 7
        sc = 2.0**-11
        shape = (steps, batch, depth) if time_major else (batch, steps, depth)
        x = model.tensor(shape, kind, si, zi)
        inputs = [x] + [-1] * 23
        for gate in range(4):
            sw, sr = cases.scale(0.003, 0.01), cases.scale(0.003, 0.01)
            if name.startswith("factor"):
                si = float(name[7:])
                sw, sr = 2.0**-12 * [0.5, 1.5, 2.5, 3.5][gate] / si, 2.0**-12 * [0.5, 0.25, 1.5, 0.75][gate] / sh
            inputs[1 + gate] = model.tensor((hidden, depth), "int8", sw, 0, cases.weights((hidden, depth)))
            inputs[5 + gate] = model.tensor((hidden, hidden), "int8", sr, 0, cases.weights((hidden, hidden)))
            limit = 3000 if kind == "int8" else 300000
            inputs[12 + gate] = model.tensor((hidden,), "int32" if kind == "int8" else "int64", si * sw, 0,
                                             cases.random.randint(-limit, limit, hidden))
        inputs[18] = model.tensor((batch, hidden), kind, sh, zh, variable=True)
        inputs[19] = model.tensor((batch, hidden), "int16", sc, 0, variable=True)
        out_shape = (steps, batch, hidden) if time_major else (batch, steps, hidden)
        out = model.tensor(out_shape, kind, sh, zh)
        operator_options = options("UnidirectionalSequenceLSTM", fusedActivationFunction=ACTIVATION.TANH, cellClip=clip,
                                   projClip=0.0, timeMajor=time_major, asymmetricQuantizeInputs=False)
        model.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [out], operator_options, 3)
        intermediates = []
        for scale, zero in [(2.0**-12, 0)] * 4 + [(sh, zh)]:
            intermediates.append(model.tensor((0,), "int16" if len(intermediates) < 4 else kind, scale, zero))
        model.operators[-1].intermediates = intermediates
        model.inputs, model.outputs = [x], [out]
        cases.add(name, model, 3)


GROUPS = {name[6:]: function for name, function in list(globals().items()) if name.startswith("group_")}

if __name__ == "__main__":
    for group in sys.argv[1:] or GROUPS:
        cases = Cases(group)
        GROUPS[group](cases)
        cases.write()
