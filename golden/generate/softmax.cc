// Writes golden/ops/softmax.json: the softmax family as the sources of TensorFlow Lite Micro compute it. Not needed to
// build or test the package.
//
//   tflite-micro  90b983c2b3f1480642e040bbd2ddb37b998f3424
//   gemmlowp      16e8662c34917be0065110bfcd9cc27d30f52fdf
//
//   I=tflite-micro/tensorflow/lite/kernels/internal
//   D=$(sha256sum < softmax.cc | cut -c 1-64)
//   g++ -std=c++17 -O1 -DGENERATOR_DIGEST=\"$D\" -I tflite-micro -I gemmlowp softmax.cc $I/common.cc \
//     $I/runtime_shape.cc $I/quantization_util.cc
//   ./a.out > golden/ops/softmax.json

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tensorflow/lite/kernels/internal/quantization_util.h"
#include "tensorflow/lite/kernels/internal/reference/log_softmax.h"
#include "tensorflow/lite/kernels/internal/reference/softmax.h"

static uint64_t state = 20240608;
static uint64_t Next() {  // SplitMix64
  uint64_t z = (state += 0x9E3779B97F4A7C15ull);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

static bool first_case = true;
template <typename T>
static void Print(const char* name, const std::vector<T>& values, bool last) {
  std::printf("      \"%s\": [", name);
  for (size_t i = 0; i < values.size(); ++i) std::printf(i ? ",%lld" : "%lld", static_cast<long long>(values[i]));
  std::printf(last ? "]\n" : "],\n");
}
template <typename I, typename O>
static void Case(const char* name, int depth, const std::vector<long long>& factors, const std::vector<int16_t>& tables,
                 const std::vector<I>& input, const std::vector<O>& output) {
  std::printf(first_case ? "    {\n" : "    ,{\n");
  first_case = false;
  std::printf("      \"name\": \"%s\",\n      \"parameter\": %d,\n", name, depth);
  Print("second", factors, false);
  Print("third", tables, false);
  Print("input", input, false);
  Print("output", output, true);
  std::printf("    }\n");
}

// Rows of flat, mixed and spread values, with the extremes.
template <typename T>
static std::vector<T> Rows(int rows, int depth, int spread) {
  std::vector<T> values;
  const int lowest = std::numeric_limits<T>::min(), range = std::numeric_limits<T>::max() - lowest;
  for (int row = 0; row < rows; ++row) {
    const int top = lowest + static_cast<int>(Next() % (range + 1));
    for (int i = 0; i < depth; ++i) {
      const int width = 1 + range / (spread >> (2 * (row % 4)) ? (spread >> (2 * (row % 4))) : 1);
      const int value = top - static_cast<int>(Next() % width);
      values.push_back(static_cast<T>(value < lowest ? lowest : value));
    }
  }
  return values;
}

int main() {
  std::printf("{\n  \"format\": 1,\n  \"generator\": {\"golden/generate/softmax.cc\": \"%s\"},\n", GENERATOR_DIGEST);
  std::printf("  \"reference\": {\"name\": \"tflite-micro and gemmlowp\", \"version\": \"source\", \"revision\": ");
  std::printf("\"90b983c2b3f1480642e040bbd2ddb37b998f3424 16e8662c34917be0065110bfcd9cc27d30f52fdf\"},\n");
  std::printf("  \"seed\": 20240608,\n  \"cases\": [\n");
  for (const double scale : {1.0 / 256, 0.0235, 0.1, 0.6, 3.1}) {
    for (const int depth : {1, 2, 5, 12, 40, 300}) {
      const int rows = depth > 100 ? 2 : 8;
      const int32_t dims[2] = {rows, depth};
      const tflite::RuntimeShape shape(2, dims);
      const std::vector<int8_t> input = Rows<int8_t>(rows, depth, 64);
      tflite::SoftmaxParams params = {};
      int left_shift = 0;
      tflite::PreprocessSoftmaxScaling(1.0, scale, 5, &params.input_multiplier, &left_shift);
      params.input_left_shift = left_shift;
      params.diff_min = -1.0 * tflite::CalculateInputRadius(5, left_shift);
      std::vector<long long> factors = {params.input_multiplier, left_shift, params.diff_min};
      std::vector<int8_t> narrow(input.size());
      tflite::reference_ops::Softmax(params, shape, input.data(), shape, narrow.data());
      Case("softmax8", depth, factors, {}, input, narrow);
      std::vector<int16_t> wide(input.size());
      tflite::reference_ops::Softmax(params, shape, input.data(), shape, wide.data());
      Case("softmax8to16", depth, factors, {}, input, wide);
      int reverse_shift = 0;
      tflite::PreprocessLogSoftmaxScalingExp(1.0, scale, 5, &params.input_multiplier, &left_shift,
                                             &params.reverse_scaling_divisor, &reverse_shift);
      params.reverse_scaling_right_shift = -reverse_shift;
      params.diff_min = -tflite::CalculateInputRadius(5, left_shift);
      factors = {params.input_multiplier, left_shift, params.diff_min, params.reverse_scaling_divisor, reverse_shift};
      std::vector<int8_t> logs(input.size());
      tflite::reference_ops::LogSoftmax(params, rows, depth, shape, input.data(), shape, logs.data());
      Case("logSoftmax", depth, factors, {}, input, logs);
    }
  }
  std::vector<int16_t> tables(2 * 513);
  const int32_t range = std::numeric_limits<int16_t>::max() - std::numeric_limits<int16_t>::min();
  tflite::LUTPopulate<int16_t>(
      10.0f / range, std::numeric_limits<int16_t>::max(), 2.0f / range, 0, [](float value) { return std::exp(value); },
      tables.data());
  tflite::LUTPopulate<int16_t>(
      1.0f / range, std::numeric_limits<int16_t>::min(), 2.0f / range, 0,
      [](float value) { return 1.0f / (1.0f + value); }, tables.data() + 513);
  for (const double scale : {1.0 / 32768, 1.0 / 4096, 0.01}) {
    for (const int depth : {1, 2, 10, 100}) {
      const int rows = 4;
      const int32_t dims[2] = {rows, depth};
      const tflite::RuntimeShape shape(2, dims);
      const std::vector<int16_t> input = Rows<int16_t>(rows, depth, 4096);
      tflite::SoftmaxParams params = {};
      int left_shift = 0;
      tflite::QuantizeMultiplier(scale / (10.0 / 65535.0), &params.input_multiplier, &left_shift);
      params.input_left_shift = left_shift;
      params.exp_lut = tables.data();
      params.one_over_one_plus_x_lut = tables.data() + 513;
      std::vector<int16_t> output(input.size());
      tflite::reference_ops::SoftmaxInt16(params, shape, input.data(), shape, output.data());
      Case("softmax16", depth, {params.input_multiplier, left_shift}, first_case || depth == 1 ? tables : std::vector<int16_t>(),
           input, output);
    }
  }
  std::printf("  ]\n}\n");
}
