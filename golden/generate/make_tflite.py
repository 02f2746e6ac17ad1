"""Makes the float .tflite models: the digits network with the weights of its ONNX form, and a Keras LSTM trained here.

    python train_digits.py     (first, with requirements.txt)
    python make_tflite.py      (with requirements-tensorflow.txt)

Both take [1,8,8], so the arrays of golden/models/digits fit them: [N,1,8,8] is N samples with the model's batch of 1.
The convolutional network is NHWC inside and starts with a Reshape; its stride-2 convolution keeps PyTorch's symmetric
padding by a Pad of its own, as Keras' MobileNets do.
"""

import os
import platform

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["TF_USE_LEGACY_KERAS"] = "1"  # Keras 3 no longer marks its LSTM for the converter to fuse
os.environ["TF_DETERMINISTIC_OPS"] = "1"

import numpy as np
import onnx
import tensorflow as tf
import tf_keras as keras
from onnx import numpy_helper

import digits_data

SEED = 11


def onnx_weights(path):
    """Returns the model's convolutions and its dense layer as lists of (weights, bias), in graph order."""
    graph = onnx.load(path).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    of = lambda kind: [tuple(constants[n] for n in node.input[1:3]) for node in graph.node if node.op_type == kind]
    return of("Conv"), of("Gemm")[0]


def digits_network():
    """The network of train_digits.py, batch normalisation already folded."""
    layers = keras.layers
    image = keras.Input((8, 8), batch_size=1, name="image")
    x = layers.Reshape((8, 8, 1))(image)

    def conv(x, channels, kernel, activation=True):
        x = layers.Conv2D(channels, kernel, padding="same")(x)
        return layers.ReLU(6.0)(x) if activation else x

    def depthwise(x, stride=1):
        if stride > 1:
            x = layers.ZeroPadding2D(1)(x)
        x = layers.DepthwiseConv2D(3, stride, padding="valid" if stride > 1 else "same")(x)
        return layers.ReLU(6.0)(x)

    x = conv(x, 16, 3)
    x = conv(depthwise(x), 32, 1)
    x = conv(depthwise(x, 2), 40, 1)
    x = layers.ReLU(6.0)(layers.Add()([x, conv(depthwise(x), 40, 1, activation=False)]))
    logits = layers.Dense(10, name="logits")(layers.GlobalAveragePooling2D()(x))
    network = keras.Model(image, logits)

    convolutions, dense = onnx_weights(digits_data.MODELS / "digits" / "model.onnx")
    places = [l for l in network.layers if isinstance(l, (layers.Conv2D, layers.DepthwiseConv2D))]
    for place, (weights, bias) in zip(places, convolutions, strict=True):
        is_depthwise = isinstance(place, layers.DepthwiseConv2D)
        place.set_weights([weights.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0)), bias])
    network.get_layer("logits").set_weights([dense[0].T, dense[1]])
    return network


def lstm_network(data):
    """A Keras LSTM over the eight rows of an image, and a dense layer."""
    keras.utils.set_random_seed(SEED)

    def build(batch_size):
        rows = keras.Input((8, 8), batch_size=batch_size, name="rows")
        return keras.Model(rows, keras.layers.Dense(10, name="logits")(keras.layers.LSTM(24)(rows)))

    trained = build(None)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile(keras.optimizers.legacy.Adam(0.01), loss)
    images, labels = data["train"]
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 * 0.92**epoch)
    trained.fit(images, labels, batch_size=32, epochs=40, verbose=0, callbacks=[schedule])
    network = build(1)
    network.set_weights(trained.get_weights())
    return network


def write(name, network, data, description):
    folder = digits_data.MODELS / name
    folder.mkdir(parents=True, exist_ok=True)
    model = tf.lite.TFLiteConverter.from_keras_model(network).convert()
    (folder / "model.tflite").write_bytes(model)
    interpreter = tf.lite.Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    place, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    images, labels = data["test"]
    outputs = []
    for image in images:
        interpreter.reset_all_variables()
        interpreter.set_tensor(place["index"], image[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"])[0])
    outputs = np.stack(outputs)
    difference = float(np.abs(network.predict(images, batch_size=1, verbose=0) - outputs).max())
    assert difference < 1e-4, (name, difference)
    np.save(folder / "float_outputs.npy", outputs)
    facts = {
        "description": description,
        "input": f"{place['name']} float32 {place['shape'].tolist()}, 0..1; the arrays are those of golden/models/digits",
        "output": "logits float32 [N,10]",
        "operators": [op["op_name"] for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE"],
        "parameters": int(network.count_params()),
        "test_accuracy": round(digits_data.accuracy(outputs, labels), 6),
        "float_outputs_by": f"tensorflow {tf.__version__} (TensorFlow Lite)",
        "largest_difference_from_keras": f"{difference:.1e}",
        "converted_with": f"tensorflow {tf.__version__} on {platform.machine()}",
    }
    if name == "digits_tflite":
        stored = np.load(digits_data.MODELS / "digits" / "float_outputs.npy")
        difference = float(np.abs(stored - outputs).max())
        assert difference < 1e-4, difference
        facts["largest_difference_from_onnx"] = f"{difference:.1e}"
    else:
        facts["seed"] = SEED
    digits_data.write_provenance(folder, __file__, **facts)
    print(f"{name:16s} {len(model):6d} bytes  accuracy {facts['test_accuracy']:.4f}  {facts['operators']}")


def main():
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    data = digits_data.load()
    write("digits_tflite", digits_network(), data, "the network of golden/models/digits, same weights, NHWC inside")
    write("lstm_keras", lstm_network(data), data, "Keras LSTM fused to UNIDIRECTIONAL_SEQUENCE_LSTM, and a dense layer")


if __name__ == "__main__":
    main()
