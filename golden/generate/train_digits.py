"""Trains the demo network on the handwritten digits and writes golden/models/digits (ONNX, NCHW, free batch axis).

    python train_digits.py

A depthwise-separable network with one residual block and ReLU6, batch normalisation folded by the exporter. One
thread and fixed seeds: the same versions on the same kind of processor give the same model.
"""

import platform

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

import digits_data

SEED = 7
EPOCHS = 150
BATCH = 32


def convolution(inputs, outputs, kernel, stride=1, groups=1, activation=True):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if activation else nn.Sequential(*layers)


class DigitsNet(nn.Module):
    """Input [N,1,8,8] in 0..1, output [N,10] logits."""

    def __init__(self):
        super().__init__()
        self.stem = convolution(1, 16, 3)
        self.block1 = nn.Sequential(convolution(16, 16, 3, groups=16), convolution(16, 32, 1))
        self.block2 = nn.Sequential(convolution(32, 32, 3, stride=2, groups=32), convolution(32, 40, 1))
        self.block3 = nn.Sequential(convolution(40, 40, 3, groups=40), convolution(40, 40, 1, activation=False))
        self.join = nn.ReLU6()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dense = nn.Linear(40, 10)

    def forward(self, image):
        x = self.block2(self.block1(self.stem(image)))
        x = self.join(x + self.block3(x))
        return self.dense(self.pool(x).flatten(1))


def shifted(images, generator):
    """Returns the images moved by -1, 0 or +1 pixels each way, with zeros at the border, and slightly scaled."""
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    result = torch.empty_like(images)
    moves = torch.randint(0, 3, (len(images), 2), generator=generator)
    gains = 0.9 + 0.2 * torch.rand(len(images), generator=generator)
    for i, (dy, dx) in enumerate(moves.tolist()):
        result[i] = padded[i, :, dy : dy + 8, dx : dx + 8] * gains[i]
    return result.clamp_(0, 1)


def train(network, images, labels):
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.05)
    network.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(images), generator=generator)
        for i in range(len(images) // BATCH):
            rows = order[i * BATCH : (i + 1) * BATCH]
            optimizer.zero_grad()
            loss_function(network(shifted(images[rows], generator)), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    network.eval()


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = digits_data.load()
    images, labels = (torch.from_numpy(a) for a in data["train"])
    network = DigitsNet()
    train(network, images.unsqueeze(1), labels)

    folder = digits_data.MODELS / "digits"
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

    np.save(folder / "calibration.npy", data["calibration"][0][:, None])
    np.save(folder / "test_inputs.npy", test_images)
    np.save(folder / "test_labels.npy", test_labels)
    np.save(folder / "float_outputs.npy", outputs)
    facts = {
        "description": "depthwise-separable convolutional network with a residual block, ReLU6, global average pool",
        "seed": SEED,
        "input": "image float32 [N,1,8,8], 0..1",
        "output": "logits float32 [N,10]",
        "parameters": sum(p.numel() for p in network.parameters()),
        "test_accuracy": round(digits_data.accuracy(outputs, test_labels), 6),
        "float_outputs_by": f"onnxruntime {onnxruntime.__version__}",
        "trained_with": f"torch {torch.__version__.split('+')[0]} on {platform.machine()}",
    }
    digits_data.write_provenance(folder, __file__, **facts)
    print(facts)
    print("train accuracy", digits_data.accuracy(network(images.unsqueeze(1)).detach(), labels.numpy()))


if __name__ == "__main__":
    main()
