"""Trains a residual network with plain 3x3 convolutions on the handwritten digits and writes
golden/models/digits_residual (ONNX, NCHW, free batch axis).

    python train_residual.py

The kind of network whose convolutions fast algorithms serve; training as in train_digits.py.
"""

import json
import pathlib
import platform

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

import digits_data
import train_digits


def convolution(inputs, outputs, kernel, stride=1):
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs)]


class ResidualNet(nn.Module):
    """Input [N,1,8,8] in 0..1, output [N,10] logits."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(*convolution(1, 16, 3), nn.ReLU())
        self.block1 = nn.Sequential(*convolution(16, 16, 3), nn.ReLU(), *convolution(16, 16, 3))
        self.block2 = nn.Sequential(*convolution(16, 32, 3, stride=2), nn.ReLU(), *convolution(32, 32, 3))
        self.skip2 = nn.Sequential(*convolution(16, 32, 1, stride=2))
        self.join = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(32, 10)

    def forward(self, image):
        x = self.stem(image)
        x = self.join(x + self.block1(x))
        x = self.join(self.skip2(x) + self.block2(x))
        return self.dense(self.pool(x).flatten(1))


def write_provenance(folder, facts):
    digits_data.write_provenance(folder, __file__, **facts)
    # The training comes from there.
    script = pathlib.Path(train_digits.__file__)
    record = json.loads((folder / "provenance.json").read_text())
    record["generator"][f"golden/generate/{script.name}"] = digits_data.sha256(script)
    (folder / "provenance.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def main():
    torch.manual_seed(train_digits.SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = digits_data.load()
    images, labels = (torch.from_numpy(a) for a in data["train"])
    network = ResidualNet()
    train_digits.train(network, images.unsqueeze(1), labels)

    folder = digits_data.MODELS / "digits_residual"
    folder.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, 8, 8),),
        str(folder / "model.onnx"),
        dynamo=False,
        opset_version=17,
        input_names=["image"],
        output_names=["logits"],
        dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
    )
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)

    test_images, test_labels = data["test"]
    test_images = test_images[:, None]
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"image": test_images})[0]
    with torch.no_grad():
        difference = np.abs(network(torch.from_numpy(test_images)).numpy() - outputs).max()
    assert difference < 1e-4, difference

    np.save(folder / "float_outputs.npy", outputs)
    facts = {
        "description": "residual network of plain 3x3 convolutions, ReLU, global average pool",
        "seed": train_digits.SEED,
        "input": "image float32 [N,1,8,8], 0..1",
        "output": "logits float32 [N,10]",
        "parameters": sum(p.numel() for p in network.parameters()),
        "test_accuracy": round(digits_data.accuracy(outputs, test_labels), 6),
        "float_outputs_by": f"onnxruntime {onnxruntime.__version__}",
        "trained_with": f"torch {torch.__version__.split('+')[0]} on {platform.machine()}",
    }
    write_provenance(folder, facts)
    print(facts)


if __name__ == "__main__":
    main()
