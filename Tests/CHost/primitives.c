/* Compares every primitive of the build's instruction set with the scalar one, on random and extreme arguments, with guard
 * bytes around the outputs. Compile with -DQK_STATIC_SET=cortexmdsp and the like, and -DHAS_DEPTHWISE3X3,
 * -DHAS_WINOGRAD3X3 for a set with that primitive. Exits with 0 or the number of the primitive that differs. */
#include "inner_kernels.h"

#include "platform.h"

static uint32_t state = 20240607;

static uint32_t next(void) {
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

/* lowest ... highest */
static int32_t between(int32_t lowest, int32_t highest) {
  return (int32_t)(next() % ((uint32_t)(highest - lowest) + 1)) + lowest;
}

static int32_t one_of(int32_t a, int32_t b, int32_t c) {
  int32_t choice = between(0, 2);
  return choice == 0 ? a : choice == 1 ? b : c;
}

#define GUARD 16
#define ROOM 2048
static int8_t input[24000], weights[64 * 400];
static int32_t bias[64], sums[64], multiplier[64], shift[64];
static _Alignas(8) uint8_t expected[GUARD + ROOM + GUARD], found[GUARD + ROOM + GUARD];

static void fill(int8_t *bytes, int count, int extreme) {
  for (int i = 0; i < count; i++) bytes[i] = (int8_t)(extreme ? one_of(-128, 127, -127) : (int32_t)next());
}

static void clear(void) {
  for (int i = 0; i < GUARD + ROOM + GUARD; i++) expected[i] = found[i] = (uint8_t)(i * 37 + 11);
}

static int same(void) {
  for (int i = 0; i < GUARD + ROOM + GUARD; i++) {
    if (expected[i] != found[i]) return 0;
  }
  return 1;
}

/* Factors that requantize a sum of `products` products to about `bits` bits; now and then any factor. */
static qk_channel_quantization quantization(int channels, int products, int bits, int wide_output) {
  qk_channel_quantization q;
  int magnitude = 13, odd = between(0, 9) == 0;
  while (products > 1) {
    magnitude++;
    products >>= 2;
  }
  for (int i = 0; i < 64; i++) {
    bias[i] = odd && between(0, 3) == 0 ? (int32_t)next() : between(-(1 << magnitude), 1 << magnitude);
    multiplier[i] = between(0, 20) == 0 ? 1 << 30 : between(1 << 30, INT32_MAX);
    shift[i] = odd ? between(-31, 3) : between(bits - magnitude - 2, bits - magnitude + 1);
    if (shift[i] > 3) shift[i] = 3;
    if (i >= channels) multiplier[i] = shift[i] = bias[i] = 0;
  }
  q.bias = bias;
  q.weightSums = sums;
  q.multiplier = multiplier;
  q.shift = shift;
  q.outputZeroPoint = one_of(0, between(-128, 127), -128);
  q.outputMin = wide_output ? -32768 : -128;
  q.outputMax = wide_output ? 32767 : 127;
  if (between(0, 2) == 0) {
    q.outputMin = between(q.outputMin, q.outputMax);
    q.outputMax = between(q.outputMin, q.outputMax);
  }
  return q;
}

static int matmul(int wide_output) {
  static const int8_t *rows[160];
  qk_matmul_args args;
  int lists = between(0, 1), size = between(0, 2);
  args.rowCount = between(0, 20) == 0 ? 0 : between(1, size == 0 ? 10 : 3);
  args.rowGroups = between(1, size == 0 ? 4 : size == 1 ? 20 : 100);
  args.pixelCount = between(1, size == 2 ? 5 : 13);
  args.channelCount = between(1, size == 2 ? 20 : 40);
  while ((args.channelCount + 15) / 16 * args.rowCount * args.rowGroups > 400) args.channelCount = (args.channelCount + 1) / 2;
  while ((args.channelCount + 15) / 16 * args.rowCount * args.rowGroups > 400) args.rowGroups = (args.rowGroups + 1) / 2;
  args.pixelStride = lists ? 0 : between(0, 67);
  args.pointerStride = lists ? args.rowCount : 0;
  while ((lists ? args.pixelCount : 1) * args.rowCount > 160) args.pixelCount--;
  for (int i = 0; i < (lists ? args.pixelCount : 1) * args.rowCount; i++) {
    rows[i] = input + between(0, (int)sizeof input - 13 * 67 - 400 - 64);
  }
  args.rows = rows;
  args.flipped = 0;
  args.weights = weights;
  args.quantization =
      quantization(args.channelCount, args.rowCount * args.rowGroups * 4, wide_output ? 16 : 8, wide_output);
  args.outputStride = args.channelCount + between(0, 3);
  for (int c = 0; c < args.channelCount; c++) {
    int groups = args.rowCount * args.rowGroups;
    sums[c] = 0;
    for (int k = 0; k < groups * 4; k++) sums[c] += weights[(c / 16 * groups + k / 4) * 64 + c % 16 * 4 + k % 4];
  }
  clear();
  args.output = expected + GUARD;
  if (wide_output) qk_scalar_matmul16(&args);
  else qk_scalar_matmul(&args);
  args.output = found + GUARD;
  if (wide_output) qk_static_matmul16(&args);
  else qk_static_matmul(&args);
  return same();
}

static int depthwise(void) {
  static const int8_t *taps[600];
  qk_depthwise_args args;
  int lists = between(0, 1);
  args.tapCount = between(0, 20) == 0 ? between(100, 200) : between(1, 27);
  args.pixelCount = between(1, lists ? 3 : 9);
  args.channelCount = between(1, 40);
  while ((args.channelCount + 15) / 16 * ((args.tapCount + 3) / 4) > 400) args.channelCount = (args.channelCount + 1) / 2;
  args.pixelStride = lists ? 0 : between(0, 80);
  args.pointerStride = lists ? args.tapCount : 0;
  for (int i = 0; i < (lists ? args.pixelCount : 1) * args.tapCount; i++) {
    taps[i] = input + between(0, (int)sizeof input - 9 * 80 - 128);
  }
  args.taps = taps;
  args.weights = weights;
  args.quantization = quantization(args.channelCount, args.tapCount, 8, 0);
  args.outputStride = args.channelCount + between(0, 3);
  for (int c = 0; c < (args.channelCount + 15) / 16 * 16; c++) {
    int groups = (args.tapCount + 3) / 4;
    sums[c] = 0;
    for (int t = 0; t < groups * 4; t++) {
      int8_t *weight = &weights[(c / 16 * groups + t / 4) * 64 + c % 16 * 4 + t % 4];
      if (t >= args.tapCount) *weight = 0; /* the padding of the layout */
      sums[c] += *weight;
    }
  }
  clear();
  args.output = (int8_t *)expected + GUARD;
  qk_scalar_depthwise(&args);
  args.output = (int8_t *)found + GUARD;
  qk_static_depthwise(&args);
  return same();
}

#ifdef HAS_DEPTHWISE3X3
static int depthwise3x3(void) {
  static const int8_t *taps[9 * 64];
  static int8_t padding[40];
  qk_depthwise3x3_args args;
  int rows, columns, pixel = 0;
  args.channelCount = between(1, 40);
  do {
    args.height = between(1, 9);
    args.width = between(1, 9);
    args.strideHeight = between(1, 3);
    args.strideWidth = between(1, 3);
    args.padTop = between(0, 2);
    args.padLeft = between(0, 2);
    rows = args.height + args.padTop + between(0, 2) - 3;
    columns = args.width + args.padLeft + between(0, 2) - 3;
    args.outputHeight = rows / args.strideHeight + 1;
    args.outputWidth = columns / args.strideWidth + 1;
  } while (rows < 0 || columns < 0 || args.outputHeight * args.outputWidth > 64 ||
           args.outputHeight * args.outputWidth * args.channelCount > ROOM);
  args.input = input + between(0, 1000);
  args.inputZeroPoint = between(-128, 127);
  args.weights = weights;
  args.quantization = quantization(args.channelCount, 9, 8, 0);
  for (int c = 0; c < (args.channelCount + 15) / 16 * 16; c++) {
    sums[c] = 0;
    for (int t = 0; t < 12; t++) {
      int8_t *weight = &weights[(c / 16 * 3 + t / 4) * 64 + c % 16 * 4 + t % 4];
      if (t >= 9) *weight = 0; /* the padding of the layout */
      sums[c] += *weight;
    }
  }
  for (int c = 0; c < args.channelCount; c++) padding[c] = (int8_t)args.inputZeroPoint;
  for (int y = 0; y < args.outputHeight; y++) {
    for (int x = 0; x < args.outputWidth; x++, pixel++) {
      for (int t = 0; t < 9; t++) {
        int row = y * args.strideHeight - args.padTop + t / 3, column = x * args.strideWidth - args.padLeft + t % 3;
        int inside = row >= 0 && row < args.height && column >= 0 && column < args.width;
        taps[pixel * 9 + t] = inside ? args.input + (row * args.width + column) * args.channelCount : padding;
      }
    }
  }
  clear();
  qk_depthwise_args lists = {taps, 9, 9, 0, pixel, args.channelCount, weights, args.quantization,
                             (int8_t *)expected + GUARD, args.channelCount};
  qk_scalar_depthwise(&lists);
  args.output = (int8_t *)found + GUARD;
  QK_STATIC_NAME(QK_STATIC_SET, depthwise3x3)(&args);
  return same();
}
#endif

#ifdef HAS_WINOGRAD3X3
static int winograd3x3(void) {
  static const int32_t G[6][3] = {{6, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 6}};
  static const int8_t *taps[9 * 256];
  static int8_t padding[48];
  static int16_t transformed[48 * 48 * 36];
  static _Alignas(64) uint8_t scratch[40000];
  qk_winograd3x3_args args;
  int pixel = 0, groups;
  size_t scratch_size;
  args.channelCount = 16 * between(1, 3);
  args.outputChannelCount = between(1, 48);
  do {
    args.height = between(1, 13);
    args.width = between(1, 13);
    args.padTop = between(0, 2);
    args.padLeft = between(0, 2);
    args.outputHeight = args.height + args.padTop + between(0, 2) - 2;
    args.outputWidth = args.width + args.padLeft + between(0, 2) - 2;
  } while (args.outputHeight < 1 || args.outputWidth < 1 ||
           args.outputHeight * args.outputWidth * args.outputChannelCount > ROOM);
  args.input = input + between(0, 1000);
  args.inputZeroPoint = between(-128, 127);
  args.quantization = quantization(args.outputChannelCount, 9 * args.channelCount, 8, 0);
  groups = 9 * args.channelCount / 4;
  for (int o = 0; o < (args.outputChannelCount + 15) / 16 * 16; o++) {
    int32_t magnitude = 0, limit;
    for (int c = 0; c < args.channelCount; c++) {
      int8_t w[9];
      for (int t = 0; t < 9; t++) {
        int k = t * args.channelCount + c;
        w[t] = weights[(o / 16 * groups + k / 4) * 64 + o % 16 * 4 + k % 4];
        magnitude += w[t] < 0 ? -w[t] : w[t];
      }
      for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
          int32_t sum = 0;
          for (int t = 0; t < 9; t++) sum += G[i][t / 3] * G[j][t % 3] * w[t];
          transformed[((o / 16 * 6 + j) * (args.channelCount / 2) + c / 2) * 192 + i * 32 + o % 16 * 2 + c % 2] = (int16_t)sum;
        }
      }
    }
    /* The primitive's domain, up to its ends. */
    limit = (1 << 25) - 1 - 128 * magnitude;
    if (bias[o] > limit) bias[o] = limit;
    if (bias[o] < -limit) bias[o] = -limit;
    if (multiplier[o] != 0 && shift[o] >= 0) shift[o] = -1;
  }
  for (int c = 0; c < args.channelCount; c++) padding[c] = (int8_t)args.inputZeroPoint;
  for (int y = 0; y < args.outputHeight; y++) {
    for (int x = 0; x < args.outputWidth; x++, pixel++) {
      for (int t = 0; t < 9; t++) {
        int row = y - args.padTop + t / 3, column = x - args.padLeft + t % 3;
        int inside = row >= 0 && row < args.height && column >= 0 && column < args.width;
        taps[pixel * 9 + t] = inside ? args.input + (row * args.width + column) * args.channelCount : padding;
      }
    }
  }
  clear();
  qk_matmul_args direct = {taps, 9, 9, args.channelCount / 4, 0, pixel, 0, weights, args.quantization, expected + GUARD,
                           args.outputChannelCount, args.outputChannelCount};
  qk_scalar_matmul(&direct);
  args.weights = transformed;
  args.output = (int8_t *)found + GUARD;
  args.scratch = scratch;
  for (size_t i = 0; i < sizeof scratch; i++) scratch[i] = (uint8_t)(i * 37 + 11);
  QK_STATIC_NAME(QK_STATIC_SET, winograd3x3)(&args);
  scratch_size = qk_winograd3x3_scratch_size((size_t)args.channelCount, (size_t)args.outputChannelCount);
  for (size_t i = scratch_size; i < sizeof scratch; i++) {
    if (scratch[i] != (uint8_t)(i * 37 + 11)) return 0;
  }
  return same();
}
#endif

static int add(void) {
  qk_add_args args;
  int odd = between(0, 9) == 0;
  args.a = input + between(0, 1000);
  args.b = input + between(0, 1000);
  args.aStep = between(0, 5) != 0;
  args.bStep = between(0, 5) != 0;
  args.count = between(1, 200);
  args.leftShift = between(0, 3) ? 20 : between(0, 20);
  args.aZeroPoint = one_of(-128, 127, between(-128, 127));
  args.bZeroPoint = one_of(-128, 127, between(-128, 127));
  args.aMultiplier = between(0, 2) == 0 ? 1 << 30 : between(1 << 30, INT32_MAX);
  args.bMultiplier = between(0, 2) == 0 ? 1 << 30 : between(1 << 30, INT32_MAX);
  args.aShift = odd ? between(-31, 2) : between(-6, 0);
  args.bShift = odd ? between(-31, 2) : between(-6, 0);
  /* As models have it: the input with the larger scale, or both, is scaled by a half. */
  int exact = between(0, 5);
  if (exact < 3) args.leftShift = 20;
  if (exact == 0 || exact == 2) args.aMultiplier = 1 << 30, args.aShift = 0;
  if (exact == 1 || exact == 2) args.bMultiplier = 1 << 30, args.bShift = 0;
  if (between(0, 4) == 0) args.bMultiplier = -args.bMultiplier;
  args.outputMultiplier = between(1 << 30, INT32_MAX);
  args.outputShift = between(-20, odd ? 0 : -15);
  args.outputZeroPoint = between(-128, 127);
  args.outputMin = between(0, 1) ? -128 : between(-128, 127);
  args.outputMax = between(0, 1) ? 127 : between(args.outputMin, 127);
  clear();
  args.output = (int8_t *)expected + GUARD;
  qk_scalar_add(&args);
  args.output = (int8_t *)found + GUARD;
  qk_static_add(&args);
  return same();
}

static int mul(void) {
  qk_mul_args args;
  args.a = input + between(0, 1000);
  args.b = input + between(0, 1000);
  args.aStep = between(0, 5) != 0;
  args.bStep = between(0, 5) != 0;
  args.count = between(1, 200);
  args.aZeroPoint = one_of(-128, 127, between(-128, 127));
  args.bZeroPoint = one_of(-128, 127, between(-128, 127));
  args.multiplier = between(1 << 30, INT32_MAX);
  args.shift = between(-31, 3);
  args.outputZeroPoint = between(-128, 127);
  args.outputMin = between(0, 1) ? -128 : between(-128, 127);
  args.outputMax = between(0, 1) ? 127 : between(args.outputMin, 127);
  clear();
  args.output = (int8_t *)expected + GUARD;
  qk_scalar_mul(&args);
  args.output = (int8_t *)found + GUARD;
  qk_static_mul(&args);
  return same();
}

static int lookup(void) {
  qk_lookup_args args;
  args.input = input + between(0, 1000);
  args.table = weights + between(0, 100);
  args.count = between(0, 200);
  clear();
  args.output = (int8_t *)expected + GUARD;
  qk_scalar_lookup(&args);
  args.output = (int8_t *)found + GUARD;
  qk_static_lookup(&args);
  return same();
}

/* kind: 0 maximum, 1 average, 2 sum */
static int pool(int kind) {
  static const int8_t *rows[8];
  qk_pool_args args;
  args.rowCount = between(1, 8);
  args.columnCount = between(1, 8);
  args.columnStride = between(1, 80);
  args.channelCount = between(1, 70);
  args.divisor = between(1, args.rowCount * args.columnCount);
  args.outputMin = between(0, 1) ? -128 : between(-128, 127);
  args.outputMax = between(0, 1) ? 127 : between(args.outputMin, 127);
  for (int i = 0; i < args.rowCount; i++) rows[i] = input + between(0, 10000);
  args.rows = rows;
  clear();
  args.output = (int8_t *)expected + GUARD;
  args.sums = (int32_t *)(void *)(expected + GUARD);
  if (kind == 0) qk_scalar_max_pool(&args);
  else if (kind == 1) qk_scalar_average_pool(&args);
  else qk_scalar_window_sum(&args);
  args.output = (int8_t *)found + GUARD;
  args.sums = (int32_t *)(void *)(found + GUARD);
  if (kind == 0) qk_static_max_pool(&args);
  else if (kind == 1) qk_static_average_pool(&args);
  else qk_static_window_sum(&args);
  return same();
}

#ifndef ROUNDS
#define ROUNDS 400
#endif

int main(void) {
  for (int round = 0; round < ROUNDS; round++) {
    fill(input, sizeof input, round % 8 == 7);
    fill(weights, sizeof weights, round % 8 == 7);
    for (size_t i = 0; i < sizeof weights; i++) {
      if (weights[i] == -128) weights[i] = -127; /* as the model format says */
    }
    if (!matmul(0)) return 1;
    if (!matmul(1)) return 2;
    if (!depthwise()) return 3;
#ifdef HAS_DEPTHWISE3X3
    if (!depthwise3x3()) return 10;
#endif
#ifdef HAS_WINOGRAD3X3
    if (!winograd3x3()) return 11;
#endif
    for (int i = 0; i < 8; i++) {
      if (!add()) return 4;
      if (!mul()) return 5;
      if (!lookup()) return 6;
      if (!pool(0)) return 7;
      if (!pool(1)) return 8;
      if (!pool(2)) return 9;
    }
  }
  platform_print("ok\n");
  return 0;
}
