import Testing

@testable import qcli

/// The whole text that people see; a change here is a change of the command line's contract.
@Suite struct HelpSnapshotTests {
  @Test func program() {
    #expect(
      qcli("--help").output == """
        OVERVIEW: Quantize neural networks to int8 and run them with integer kernels.

        USAGE: qcli <subcommand>

        OPTIONS:
          --version               Show the version.
          -h, --help              Show help information.

        SUBCOMMANDS:
          quantize                Quantize a trained model to int8 and write it as a
                                  .qkm file.
          infer                   Run a .qkm model on arrays.
          inspect                 Show what a model is made of.
          verify                  Show what each layer of a .qkm loses against the float
                                  model.
          bench                   Measure how long a .qkm model runs on this machine.
          ops                     List the operators that source models may use.
          export                  Write a .qkm model as C source.

          See 'qcli help <subcommand>' for detailed help.

        """)
  }

  @Test func quantize() {
    #expect(
      qcli("quantize", "--help").output == """
        OVERVIEW: Quantize a trained model to int8 and write it as a .qkm file.

        A float model needs calibration arrays: representative samples of shape [N] +
        the input's shape, with or without the model's own batch axis of 1. An int8
        .tflite keeps its own scales and needs none.

        USAGE: qcli quantize <model> [--calibration <[name=]x.npy> ...]
                 [--method <method>] [--recurrent-state <bits>] [--output <out.qkm>]
                 [--self-test] [--strip-names] [--threads <n>]

        ARGUMENTS:
          <model>                 A trained model, .onnx or .tflite.

        OPTIONS:
          --calibration <[name=]x.npy>
                                  Calibration samples of an input, float32. One file per
                                  input, in the model's order or with its name.
          --method <method>       How calibrated values become ranges. (values: minmax,
                                  percentile, mse, entropy; default: mse)
          --recurrent-state <bits>
                                  The width of the hidden state of recurrent layers.
                                  (values: 8, 16; default: 8)
          -o, --output <out.qkm>  Where to write the result. (default: the model's path
                                  with .qkm as its extension)
          --self-test             Add an input and a checksum of every layer's output,
                                  so that a device can test itself.
          --strip-names           Leave out the names of tensors: a smaller file.
          --threads <n>           How many threads to calibrate with; the result does
                                  not depend on it. (default: all processors)
          --version               Show the version.
          -h, --help              Show help information.

        """)
  }

  @Test func infer() {
    #expect(
      qcli("infer", "--help").output == """
        OVERVIEW: Run a .qkm model on arrays.

        Arrays have shape [N] + the model's input shape, with or without the model's own
        batch axis of 1; the model runs N times. Results go to the --output files, or to
        standard output as text when there are none.

        USAGE: qcli infer <model> --input <[name=]x.npy> ...
                 [--output <[name=]y.npy> ...] [--raw] [--stateful]
                 [--load-state <file>] [--save-state <file>] [--threads <n>]
                 [--trace <folder>] [--json]

        ARGUMENTS:
          <model>                 The model, a .qkm file.

        OPTIONS:
          --input <[name=]x.npy>  The samples of an input: float32, or the model's
                                  integer type with --raw. One file per input, in the
                                  model's order or with its name.
          -o, --output <[name=]y.npy>
                                  Where to write an output, in the model's order or with
                                  its name.
          --raw                   Read and write the model's integers instead of real
                                  values.
          --stateful              Keep recurrent state from one sample to the next.
          --load-state <file>     Start from the recurrent state in this file, which
                                  --save-state wrote for the same model. Needs
                                  --stateful.
          --save-state <file>     Write the recurrent state after the last sample to
                                  this file. Needs --stateful.
          --threads <n>           How many samples to run at once; results do not depend
                                  on it. (default: 1)
          --trace <folder>        Write every tensor that has a name in the source model
                                  to this folder, one .npy each.
          --json                  Print a JSON object with the results.
          --version               Show the version.
          -h, --help              Show help information.

        """)
  }

  @Test func inspect() {
    #expect(
      qcli("inspect", "--help").output == """
        OVERVIEW: Show what a model is made of.

        A source model is shown as quantization sees it: folded, its activations fused
        into layers, channels last.

        USAGE: qcli inspect <model> [--json]

        ARGUMENTS:
          <model>                 A .qkm, .onnx or .tflite file.

        OPTIONS:
          --json                  Print a JSON object.
          --version               Show the version.
          -h, --help              Show help information.

        """)
  }

  @Test func verify() {
    #expect(
      qcli("verify", "--help").output == """
        OVERVIEW: Show what each layer of a .qkm loses against the float model.

        A layer's own error is what remains when it is given the very values that the
        .qkm gave it, so the layer at fault is on top, not those behind it. Errors are
        signal-to-quantization-noise ratios: 10 log10 of the sum of squares of the float
        values over that of the differences. Saturated values lie beyond the range of
        their type.

        USAGE: qcli verify <float-model> <model> --input <[name=]x.npy> ...
                 [--labels <y.npy>] [--threads <n>] [--json]

        ARGUMENTS:
          <float-model>           The trained model, .onnx or .tflite.
          <model>                 The .qkm file made from it.

        OPTIONS:
          --input <[name=]x.npy>  Samples of an input, float32. One file per input, in
                                  the model's order or with its name.
          --labels <y.npy>        The class of each sample, integers: shows the accuracy
                                  of both models by the largest value of the first
                                  output.
          --threads <n>           How many samples to run at once; the result does not
                                  depend on it. (default: all processors)
          --json                  Print a JSON object.
          --version               Show the version.
          -h, --help              Show help information.

        """)
  }

  @Test func bench() {
    #expect(
      qcli("bench", "--help").output == """
        OVERVIEW: Measure how long a .qkm model runs on this machine.

        One thread, random input, the monotonic clock. Runs are timed one by one after a
        warm-up; the times per op come from runs of their own, so that reading the clock
        between ops does not count into the total.

        USAGE: qcli bench <model> [--runs <n>] [--per-op] [--json]

        ARGUMENTS:
          <model>                 The model, a .qkm file.

        OPTIONS:
          --runs <n>              How many runs to time. (default: as many as fit in one
                                  second, 10 to 10000)
          --per-op                Show the time of every op.
          --json                  Print a JSON object.
          --version               Show the version.
          -h, --help              Show help information.

        """)
  }

  @Test func ops() {
    #expect(
      qcli("ops", "--help").output == """
        OVERVIEW: List the operators that source models may use.

        Float models are quantized to int8 with any of these; ONNX operators for
        constants are computed when the model is read and need constant inputs. The
        types of a TFLite operator are those that an already quantized model may have;
        its results then equal TensorFlow Lite Micro's.

        USAGE: qcli ops [--markdown]

        OPTIONS:
          --markdown              Print Markdown tables, as in the README.
          --version               Show the version.
          -h, --help              Show help information.

        """)
  }

  @Test func export() {
    #expect(
      qcli("export", "--help").output == """
        OVERVIEW: Write a .qkm model as C source.

        USAGE: qcli export <model> --c <folder> [--name <name>]

        ARGUMENTS:
          <model>                 The model, a .qkm file.

        OPTIONS:
          --c <folder>            The folder for NAME.h and NAME.c; it is made if its
                                  parent exists.
          --name <name>           What files, symbols and, in upper case, macros are
                                  called. (default: model)
          --version               Show the version.
          -h, --help              Show help information.

        """)
  }
}
