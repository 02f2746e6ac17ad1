"""Trains small recurrent networks on the handwritten digits, eight rows of eight, and writes golden/models/<name>.

    python train_recurrent.py [NAME ...]

Two families. `*_pytorch` are what torch.onnx exports (batch first, so a Transpose before the recurrent op, and a Slice
or Gather of the last step after it). The rest are built node by node with onnx.helper, for the forms that PyTorch never
exports: peepholes, coupled gates with clip, a reset gate applied before the matrix product, batch-first layout, reverse
direction, learned initial states, the final cell state as an output, ReLU in a GRU. Their cells are written out below,
trained, and compared with the engine that computes the float outputs.

Inputs are golden/models/digits/{calibration,test_inputs}.npy: [N,1,8,8] is N samples of the model's own [1,8,8].
"""

import platform
import sys

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import digits_data

SEED = 11
BATCH = 32
OPSET = 17


class ModuleNet(nn.Module):
    """A torch recurrent module, batch first, and a dense layer on its last step."""

    def __init__(self, kind, hidden, **options):
        super().__init__()
        self.recurrent = kind(8, hidden, batch_first=True, **options)
        self.dense = nn.Linear(hidden * (2 if options.get("bidirectional") else 1), 10)

    def forward(self, rows):
        return self.dense(self.recurrent(rows)[0][:, -1])


class FinalStatesNet(nn.Module):
    """A torch LSTM whose final hidden and cell states, joined, feed the dense layer."""

    def __init__(self, hidden):
        super().__init__()
        self.recurrent = nn.LSTM(8, hidden, batch_first=True)
        self.dense = nn.Linear(2 * hidden, 10)

    def forward(self, rows):
        _, (h, c) = self.recurrent(rows)
        return self.dense(torch.cat([h[0], c[0]], 1))


class CellNet(nn.Module):
    """One recurrent layer in ONNX's own weight layout, stepped in Python, and a dense layer on its last hidden state.

    `kind` is LSTM (gates i, o, f, c) or GRU (gates z, r, h). The attributes are those of the ONNX operator.
    """

    def __init__(
        self,
        kind,
        hidden,
        peepholes=False,
        input_forget=False,
        clip=None,
        linear_before_reset=False,
        reverse=False,
        layout=0,
        initial_states=False,
        cell_output=False,
        relu=False,
    ):
        super().__init__()
        gates = {"LSTM": 4, "GRU": 3}[kind]
        bound = hidden**-0.5
        self.kind, self.hidden, self.gates = kind, hidden, gates
        self.input_forget, self.clip, self.linear_before_reset = input_forget, clip, linear_before_reset
        self.reverse, self.layout, self.cell_output, self.relu = reverse, layout, cell_output, relu
        self.w = nn.Parameter(torch.empty(gates * hidden, 8).uniform_(-bound, bound))
        self.r = nn.Parameter(torch.empty(gates * hidden, hidden).uniform_(-bound, bound))
        self.wb = nn.Parameter(torch.zeros(gates * hidden))
        self.rb = nn.Parameter(torch.zeros(gates * hidden))
        self.p = nn.Parameter(torch.empty(3 * hidden).uniform_(-bound, bound)) if peepholes else None
        states = 2 if kind == "LSTM" else 1
        self.initial = nn.Parameter(torch.zeros(states, hidden)) if initial_states else None
        self.dense = nn.Linear(hidden * (2 if cell_output else 1), 10)

    def clipped(self, x):
        return x if self.clip is None else x.clamp(-self.clip, self.clip)

    def step_lstm(self, x, h, c):
        pre = x @ self.w.T + h @ self.r.T + self.wb + self.rb
        i, o, f, g = pre.chunk(4, 1)
        pi, po, pf = self.p.chunk(3) if self.p is not None else (0, 0, 0)
        i = torch.sigmoid(self.clipped(i + pi * c))
        f = 1 - i if self.input_forget else torch.sigmoid(self.clipped(f + pf * c))
        c = f * c + i * torch.tanh(self.clipped(g))
        o = torch.sigmoid(self.clipped(o + po * c))
        return o * torch.tanh(c), c

    def step_gru(self, x, h):
        n = self.hidden
        wx = x @ self.w.T + self.wb
        zr = wx[:, : 2 * n] + h @ self.r[: 2 * n].T + self.rb[: 2 * n]
        z, r = torch.sigmoid(self.clipped(zr)).chunk(2, 1)
        if self.linear_before_reset:
            g = wx[:, 2 * n :] + r * (h @ self.r[2 * n :].T + self.rb[2 * n :])
        else:
            g = wx[:, 2 * n :] + (r * h) @ self.r[2 * n :].T + self.rb[2 * n :]
        activation = torch.relu if self.relu else torch.tanh
        return (1 - z) * activation(self.clipped(g)) + z * h

    def forward(self, rows):
        h = torch.zeros(len(rows), self.hidden)
        c = torch.zeros(len(rows), self.hidden)
        if self.initial is not None:
            h = h + self.initial[0]
            c = c + self.initial[-1]
        for t in reversed(range(8)) if self.reverse else range(8):
            if self.kind == "LSTM":
                h, c = self.step_lstm(rows[:, t], h, c)
            else:
                h = self.step_gru(rows[:, t], h)
        return self.dense(torch.cat([h, c], 1) if self.cell_output else h)

    def onnx_model(self, layout=None):
        """Returns the ONNX form; `layout` overrides this network's own, for an engine that lacks layout 1."""
        layout = self.layout if layout is None else layout
        batch = "batch" if self.initial is None else 1
        constants, nodes = [], []

        def constant(name, tensor):
            constants.append(numpy_helper.from_array(tensor.detach().numpy().astype(np.float32), name))
            return name

        x = "rows"
        if layout == 0:
            nodes.append(helper.make_node("Transpose", [x], ["steps"], "to_time_major", perm=[1, 0, 2]))
            x = "steps"
        inputs = [
            x,
            constant("W", self.w[None]),
            constant("R", self.r[None]),
            constant("B", torch.cat([self.wb, self.rb])[None]),
        ]
        if self.initial is not None or self.p is not None:
            inputs.append("")
        if self.initial is not None:
            names = ["initial_h", "initial_c"][: len(self.initial)]
            inputs += [constant(name, state[None, None]) for name, state in zip(names, self.initial)]
        elif self.p is not None:
            inputs += ["", ""]
        if self.p is not None:
            inputs.append(constant("P", self.p[None]))
        attributes = {"hidden_size": self.hidden, "direction": "reverse" if self.reverse else "forward"}
        if layout:
            attributes["layout"] = layout
        if self.clip is not None:
            attributes["clip"] = self.clip
        if self.input_forget:
            attributes["input_forget"] = 1
        if self.kind == "GRU":
            attributes["linear_before_reset"] = int(self.linear_before_reset)
        if self.relu:
            attributes["activations"] = ["Sigmoid", "Relu"]
        outputs = ["", "final_h"] + (["final_c"] if self.cell_output else [])
        nodes.append(helper.make_node(self.kind, inputs, outputs, "recurrent", **attributes))
        constants.append(numpy_helper.from_array(np.array([1 if layout else 0], np.int64), "direction_axis"))
        nodes.append(helper.make_node("Squeeze", ["final_h", "direction_axis"], ["h"], "drop_direction"))
        features = "h"
        if self.cell_output:
            nodes.append(helper.make_node("Squeeze", ["final_c", "direction_axis"], ["c"], "drop_cell_direction"))
            nodes.append(helper.make_node("Concat", ["h", "c"], ["states"], "join", axis=1))
            features = "states"
        dense = [features, constant("dense.weight", self.dense.weight), constant("dense.bias", self.dense.bias)]
        nodes.append(helper.make_node("Gemm", dense, ["logits"], "dense", transB=1))
        graph = helper.make_graph(
            nodes,
            "recurrent_digits",
            [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [batch, 8, 8])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 10])],
            constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


# name: (network, batch axis of a PyTorch export or None for a hand-built model, description)
NETWORKS = {
    "lstm_pytorch": (lambda: ModuleNet(nn.LSTM, 20), "free", "LSTM"),
    "lstm_stacked_pytorch": (lambda: ModuleNet(nn.LSTM, 18, num_layers=2), "free", "LSTM, two layers"),
    "lstm_bidirectional_pytorch": (lambda: ModuleNet(nn.LSTM, 14, bidirectional=True), "free", "LSTM, both directions"),
    "lstm_final_states_pytorch": (lambda: FinalStatesNet(16), 1, "LSTM, final hidden and cell state joined, batch 1"),
    "gru_pytorch": (lambda: ModuleNet(nn.GRU, 20), "free", "GRU, linear_before_reset = 1"),
    "gru_bidirectional_stacked_pytorch": (
        lambda: ModuleNet(nn.GRU, 12, num_layers=2, bidirectional=True),
        "free",
        "GRU, both directions, two layers, linear_before_reset = 1",
    ),
    "rnn_tanh_pytorch": (lambda: ModuleNet(nn.RNN, 32), "free", "plain RNN, tanh"),
    "rnn_relu_pytorch": (lambda: ModuleNet(nn.RNN, 32, nonlinearity="relu"), 1, "plain RNN, ReLU, batch 1"),
    "lstm_peephole": (lambda: CellNet("LSTM", 20, peepholes=True), None, "LSTM with peepholes"),
    "lstm_input_forget_clip": (
        lambda: CellNet("LSTM", 20, input_forget=True, clip=1.5),
        None,
        "LSTM with coupled input and forget gates, gate inputs clipped to 1.5",
    ),
    "lstm_layout1": (lambda: CellNet("LSTM", 20, layout=1), None, "LSTM, layout = 1 (batch first)"),
    "lstm_reverse": (lambda: CellNet("LSTM", 20, reverse=True), None, "LSTM, reverse direction"),
    "lstm_initial_states": (
        lambda: CellNet("LSTM", 20, initial_states=True),
        None,
        "LSTM with learned initial hidden and cell state, batch 1",
    ),
    "lstm_peephole_reverse_states": (
        lambda: CellNet("LSTM", 16, peepholes=True, reverse=True, cell_output=True),
        None,
        "LSTM with peepholes, reverse, final hidden and cell state joined",
    ),
    "gru_reset_before": (lambda: CellNet("GRU", 20), None, "GRU, linear_before_reset = 0 (TensorFlow's)"),
    "gru_reset_before_clip_initial": (
        lambda: CellNet("GRU", 20, clip=2.0, reverse=True, initial_states=True),
        None,
        "GRU, linear_before_reset = 0, reverse, gate inputs clipped to 2, learned initial state, batch 1",
    ),
    "gru_relu": (
        lambda: CellNet("GRU", 20, linear_before_reset=True, relu=True),
        None,
        "GRU, linear_before_reset = 1, ReLU instead of tanh",
    ),
}


def train(network, rows, labels, epochs):
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    steps = epochs * (len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.02)
    for _ in range(epochs):
        order = torch.randperm(len(rows), generator=generator)
        for i in range(len(rows) // BATCH):
            chosen = order[i * BATCH : (i + 1) * BATCH]
            optimizer.zero_grad()
            loss_function(network(rows[chosen]), labels[chosen]).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    network.eval()


def run(session, name, rows, batch):
    """Runs one batch at a time where the model has a fixed one."""
    if batch == 1:
        return np.concatenate([session.run(None, {name: row[None]})[0] for row in rows])
    return session.run(None, {name: rows})[0]


def build(name, data):
    make, batch, description = NETWORKS[name]
    torch.manual_seed(SEED)
    network = make()
    rows, labels = (torch.from_numpy(a) for a in data["train"])
    train(network, rows, labels, epochs=40)
    folder = digits_data.MODELS / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    test_rows, test_labels = data["test"]
    if batch is None:
        model = network.onnx_model()
        onnx.save(model, path)
        batch = 1 if network.initial is not None else "free"
        # ONNX Runtime refuses layout 1: the same weights in layout 0 give the same numbers.
        engine_model = network.onnx_model(layout=0).SerializeToString()
    else:
        axes = {"rows": {0: "batch"}, "logits": {0: "batch"}} if batch == "free" else None
        torch.onnx.export(
            network,
            (torch.zeros(1, 8, 8),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["rows"],
            output_names=["logits"],
            dynamic_axes=axes,
        )
        engine_model = path.read_bytes()
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(engine_model, providers=["CPUExecutionProvider"])
    outputs = run(session, "rows", test_rows, batch)
    with torch.no_grad():
        expected = network(torch.from_numpy(test_rows)).numpy()
    difference = float(np.abs(expected - outputs).max())
    assert difference < 1e-4, (name, difference)
    np.save(folder / "float_outputs.npy", outputs)
    layout1 = isinstance(network, CellNet) and network.layout == 1
    facts = {
        "description": description,
        "seed": SEED,
        "input": f"rows float32 [{'N' if batch == 'free' else 1},8,8], 0..1; "
        "the arrays are those of golden/models/digits",
        "output": "logits float32 [N,10]",
        "parameters": sum(p.numel() for p in network.parameters()),
        "test_accuracy": round(digits_data.accuracy(outputs, test_labels), 6),
        "float_outputs_by": f"onnxruntime {onnxruntime.__version__}"
        + (" on the same weights in layout 0" if layout1 else ""),
        "largest_difference_from_torch": f"{difference:.1e}",
        "trained_with": f"torch {torch.__version__.split('+')[0]} on {platform.machine()}",
    }
    digits_data.write_provenance(folder, __file__, **facts)
    print(f"{name:36s} {path.stat().st_size:6d} bytes  accuracy {facts['test_accuracy']:.4f}  torch {difference:.1e}")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = digits_data.load()
    for name in sys.argv[1:] or NETWORKS:
        build(name, data)


if __name__ == "__main__":
    main()
