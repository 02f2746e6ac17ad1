// Writes golden/ops/fixed_point.json: the fixed-point functions as the sources of TensorFlow Lite Micro and gemmlowp
// compute them. Not needed to build or test the package.
//
//   tflite-micro  90b983c2b3f1480642e040bbd2ddb37b998f3424
//   gemmlowp      16e8662c34917be0065110bfcd9cc27d30f52fdf
//
//   I=tflite-micro/tensorflow/lite/kernels/internal
//   D=$(sha256sum < fixed_point.cc | cut -c 1-64)
//   g++ -std=c++17 -O1 -DGENERATOR_DIGEST=\"$D\" -I tflite-micro -I gemmlowp fixed_point.cc $I/common.cc \
//     $I/runtime_shape.cc
//   ./a.out > golden/ops/fixed_point.json

#include <cstdint>
#include <cstdio>
#include <vector>

#include "tensorflow/lite/kernels/internal/common.h"
#include "tensorflow/lite/kernels/internal/reference/integer_ops/logistic.h"
#include "tensorflow/lite/kernels/internal/reference/integer_ops/tanh.h"

using gemmlowp::FixedPoint;

static uint64_t state = 20240607;
static uint64_t Next() {  // SplitMix64
  uint64_t z = (state += 0x9E3779B97F4A7C15ull);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// Random values of every magnitude, so that small and large ones are equally present.
static std::vector<int32_t> Magnitudes(int count, bool negative) {
  std::vector<int32_t> values;
  for (int i = 0; i < count; ++i) {
    const int32_t magnitude = static_cast<int32_t>((Next() >> 33) >> (i % 31));
    values.push_back(negative ? -magnitude : magnitude);
  }
  return values;
}

static bool first_case = true;
static void Print(const char* name, const std::vector<int64_t>& values, bool last) {
  std::printf("      \"%s\": [", name);
  for (size_t i = 0; i < values.size(); ++i) std::printf(i ? ",%lld" : "%lld", static_cast<long long>(values[i]));
  std::printf(last ? "]\n" : "],\n");
}
static void Case(const char* name, int parameter, const std::vector<std::vector<int64_t>>& columns) {
  std::printf(first_case ? "    {\n" : "    ,{\n");
  first_case = false;
  std::printf("      \"name\": \"%s\",\n      \"parameter\": %d,\n", name, parameter);
  if (columns.size() > 2) Print("second", columns[2], false);
  if (columns.size() > 3) Print("third", columns[3], false);
  Print("input", columns[0], false);
  Print("output", columns[1], true);
  std::printf("    }\n");
}
template <typename F>
static void Map(const char* name, int parameter, const std::vector<int32_t>& inputs, F function) {
  std::vector<std::vector<int64_t>> columns(2);
  for (int32_t x : inputs) {
    columns[0].push_back(x);
    columns[1].push_back(function(x));
  }
  Case(name, parameter, columns);
}

template <int B>
static void Bits() {
  std::vector<int32_t> nonpositive = Magnitudes(124, true);
  nonpositive.push_back(0);
  nonpositive.push_back(-1);
  nonpositive.push_back(INT32_MIN);
  nonpositive.push_back(INT32_MIN + 1);
  Map("exp", B, nonpositive, [](int32_t x) {
    return gemmlowp::exp_on_negative_values(FixedPoint<int32_t, B>::FromRaw(x)).raw();
  });
  std::vector<int32_t> any = Magnitudes(62, true);
  for (int32_t x : Magnitudes(62, false)) any.push_back(x);
  any.push_back(0);
  any.push_back(INT32_MAX);
  any.push_back(INT32_MIN + 1);
  if constexpr (B <= 6) {
    Map("logistic", B, any,
        [](int32_t x) { return gemmlowp::logistic(FixedPoint<int32_t, B>::FromRaw(x)).raw(); });
    Map("tanh", B, any, [](int32_t x) { return gemmlowp::tanh(FixedPoint<int32_t, B>::FromRaw(x)).raw(); });
  }
}

int main() {
  std::printf("{\n  \"format\": 1,\n  \"generator\": {\"golden/generate/fixed_point.cc\": \"%s\"},\n", GENERATOR_DIGEST);
  std::printf("  \"reference\": {\"name\": \"tflite-micro and gemmlowp\", \"version\": \"source\", \"revision\": ");
  std::printf("\"90b983c2b3f1480642e040bbd2ddb37b998f3424 16e8662c34917be0065110bfcd9cc27d30f52fdf\"},\n");
  std::printf("  \"seed\": 20240607,\n  \"cases\": [\n");
  Bits<0>(), Bits<1>(), Bits<2>(), Bits<3>(), Bits<4>(), Bits<5>(), Bits<6>(), Bits<7>();
  std::vector<int32_t> unit = Magnitudes(126, false);
  unit.push_back(0);
  unit.push_back(INT32_MAX);
  Map("oneOverOnePlus", 0, unit, [](int32_t x) {
    return gemmlowp::one_over_one_plus_x_for_x_in_0_1(FixedPoint<int32_t, 0>::FromRaw(x)).raw();
  });
  Map("oneMinusOverOnePlus", 0, unit, [](int32_t x) {
    return gemmlowp::one_minus_x_over_one_plus_x_for_x_in_0_1(FixedPoint<int32_t, 0>::FromRaw(x)).raw();
  });
  std::vector<int32_t> sums;  // 1 ... 4095 in Q12.19, dense around the powers of two
  for (int e = 0; e < 12; ++e)
    for (int d = -3; d <= 3; ++d)
      if (e > 0 || d >= 0) sums.push_back((1 << (19 + e)) + d * (1 << (e + 9)));
  for (int i = 0; i < 128; ++i) {
    const int32_t x = static_cast<int32_t>((Next() >> 33) >> (i % 12));
    if (x >= 1 << 19) sums.push_back(x);
  }
  sums.push_back(INT32_MAX);
  Map("log", 5, sums, [](int32_t x) {
    return tflite::log_x_for_x_greater_than_or_equal_to_1<5>(FixedPoint<int32_t, 12>::FromRaw(x)).raw();
  });
  {
    std::vector<std::vector<int64_t>> columns(3);
    for (int32_t x : sums) {
      int bits = 0;
      columns[0].push_back(x);
      columns[1].push_back(tflite::GetReciprocal(x, 12, &bits));
      columns[2].push_back(bits);
    }
    Case("reciprocal", 12, columns);
  }
  {
    std::vector<std::vector<int64_t>> columns(4);
    for (int i = 0; i < 512; ++i) {
      const int32_t x = static_cast<int32_t>(Next()) >> (i % 31);
      const int32_t multiplier = static_cast<int32_t>((1u << 30) + (Next() >> 34));
      const int shift = static_cast<int>(Next() % 62) - 31;
      columns[0].push_back(x);
      columns[1].push_back(tflite::MultiplyByQuantizedMultiplier(x, multiplier, shift));
      columns[2].push_back(multiplier);
      columns[3].push_back(shift);
    }
    Case("requantize", 32, columns);
  }
  {
    std::vector<std::vector<int64_t>> columns(4);
    for (int i = 0; i < 512; ++i) {
      const int64_t x = static_cast<int64_t>(Next()) >> (16 + i % 47);
      const int32_t multiplier =
          i % 16 == 0 ? INT32_MAX - i * 16 : static_cast<int32_t>((1u << 30) + (Next() >> 34));
      const int shift = static_cast<int>(Next() % 39) - 31;
      columns[0].push_back(x);
      columns[1].push_back(tflite::MultiplyByQuantizedMultiplier(x, multiplier, shift));
      columns[2].push_back(multiplier);
      columns[3].push_back(shift);
    }
    Case("requantize", 64, columns);
  }
  const int32_t one = 1;
  const tflite::RuntimeShape shape(1, &one);
  for (const int multiplier : {3, 6, 24, 9001, 16384, 32767}) {
    const int shift = multiplier < 9000 ? 0 : (multiplier == 9001 ? 11 : 15);
    std::vector<std::vector<int64_t>> sigmoid(4), tanh(4);
    for (int x = -32768; x < 32768; x += x < -32000 || x > 32000 ? 96 : 509) {
      const int16_t input = static_cast<int16_t>(x);
      int16_t output = 0;
      tflite::reference_integer_ops::Logistic(multiplier, shift, 1, &input, &output);
      sigmoid[0].push_back(x), sigmoid[1].push_back(output), sigmoid[2].push_back(multiplier), sigmoid[3].push_back(-shift);
      tflite::reference_integer_ops::Tanh(multiplier, shift, shape, &input, shape, &output);
      tanh[0].push_back(x), tanh[1].push_back(output), tanh[2].push_back(multiplier), tanh[3].push_back(-shift);
    }
    Case("logistic16", 16, sigmoid);
    Case("tanh16", 16, tanh);
  }
  std::printf("  ]\n}\n");
}
