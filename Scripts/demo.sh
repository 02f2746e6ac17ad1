#!/bin/sh
# Quantizes the digits network, runs it on the test images, and prints accuracy, sizes and time.
#   demo.sh QCLI FOLDER
set -eu
qcli=$1
digits=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
model=$folder/digits.qkm

echo "1. quantize: a float network for 8x8 handwritten digits, calibrated on 200 images"
"$qcli" quantize "$digits/model.onnx" --calibration "$digits/calibration.npy" -o "$model"
echo "   float model $(wc -c <"$digits/model.onnx") bytes, int8 model $(wc -c <"$model") bytes"
echo
echo "2. infer: the integer network on 540 test images"
"$qcli" infer "$model" --input "$digits/test_inputs.npy" --output "$folder/logits.npy"
echo
echo "3. verify: accuracy of both, and what each layer loses"
"$qcli" verify "$digits/model.onnx" "$model" --input "$digits/test_inputs.npy" --labels "$digits/test_labels.npy"
echo
echo "4. bench: time per image on this machine"
"$qcli" bench "$model" --runs 2000
