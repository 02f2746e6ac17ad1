/* Every primitive of an instruction set against the scalar one: random, extreme and lane-edge cases, with guard bytes
 * around every output. With --bench also the time of typical shapes.
 *
 *   check_inner SET [--bench]      exit 0 if every byte is equal
 *
 * The program is linked with the scalar set and the set that SET_NAME names at compile time. */
#include "inner_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JOIN3(a, b, c) a##b##c
#define PRIMITIVE(set, name) JOIN3(qk_, set, _##name)
#define STRING(x) #x
#define NAME(x) STRING(x)

static uint64_t seed = 0x9E3779B97F4A7C15u;
static uint32_t next(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (uint32_t)(seed >> 16);
}
static int32_t between(int32_t low, int32_t high) { return low + (int32_t)(next() % (uint32_t)(high - low + 1)); }

enum { GUARD = 96, SLACK = 128 };
static const int32_t sizes[] = {1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 48, 64, 65, 100};
enum { SIZES = sizeof sizes / sizeof *sizes };
static int failures, checks;

static void *allocate(size_t bytes) {
  void *p = NULL;
  if (posix_memalign(&p, 64, bytes + SLACK)) abort();
  memset(p, 0, bytes + SLACK);
  return p;
}

/* Fills with random bytes, or in extreme cases with the ends of the range only. */
static int8_t *bytes(size_t count, int extreme, int lowest) {
  int8_t *p = allocate(count);
  for (size_t i = 0; i < count + SLACK; i++) p[i] = (int8_t)(extreme ? (next() & 1 ? 127 : lowest) : between(lowest, 127));
  return p;
}

static int8_t *guarded(size_t count) {
  int8_t *p = allocate(count + 2 * GUARD);
  memset(p, 0x5A, count + 2 * GUARD);
  return p;
}

static void compare(const char *what, const int8_t *expected, const int8_t *actual, size_t count) {
  checks++;
  for (size_t i = 0; i < count + 2 * GUARD; i++) {
    if (expected[i] != actual[i]) {
      failures++;
      if (failures < 20)
        printf("FAIL %s: byte %ld of %zu is %d, expected %d\n", what, (long)i - GUARD, count, actual[i], expected[i]);
      return;
    }
  }
}

typedef struct {
  int32_t *bias, *sums, *multiplier, *shift;
} channels;

static channels make_channels(int32_t padded, int32_t used, int kind) {
  channels c = {allocate((size_t)padded * 4), allocate((size_t)padded * 4), allocate((size_t)padded * 4),
                allocate((size_t)padded * 4)};
  for (int32_t i = 0; i < used; i++) {
    switch (kind) {
    case 0: /* as in real layers */
      c.bias[i] = between(-20000, 20000);
      c.multiplier[i] = between(1 << 30, INT32_MAX);
      c.shift[i] = between(-12, -4);
      break;
    case 1: /* accumulators and shifts over their whole domain */
      c.bias[i] = (int32_t)next();
      c.multiplier[i] = between(1 << 30, INT32_MAX);
      c.shift[i] = between(-31, 30);
      break;
    default: /* ties: a multiplier of exactly one half */
      c.bias[i] = between(-300, 300);
      c.multiplier[i] = next() % 4 ? 1 << 30 : 0;
      c.shift[i] = between(-9, 3);
    }
  }
  return c;
}
static void free_channels(channels c) {
  free(c.bias);
  free(c.sums);
  free(c.multiplier);
  free(c.shift);
}

static int set_clamp(qk_channel_quantization *q, int kind, int32_t lowest, int32_t highest) {
  q->outputZeroPoint = kind == 0 && next() % 2 ? lowest : kind == 1 ? highest : between(lowest, highest);
  /* Often the zero point, as under a rectifier. */
  q->outputMin = kind == 2 ? between(lowest, 0) : lowest;
  if (kind != 1 && q->outputZeroPoint <= 0 && next() % 2) q->outputMin = q->outputZeroPoint;
  q->outputMax = kind == 2 ? between(1, highest) : highest;
  return kind;
}

static void check_matmul(int32_t rows, int32_t groups, int32_t pixels, int32_t count, int kind, int wide, int lists) {
  /* Only this set asks for flipped rows. */
  int flipped = !strcmp(NAME(SET_NAME), "avx512vnni") && !wide && next() % 2;
  int32_t blocks = (count + 15) / 16, padded = blocks * 16, stride = between(1, 4 * groups + 3);
  size_t blockBytes = (size_t)rows * groups * 64;
  int8_t *w = bytes(blocks * blockBytes, kind == 1, -127);
  for (int32_t o = count; o < padded; o++)
    for (int32_t k = 0; k < rows * groups; k++) memset(w + (o / 16) * blockBytes + k * 64 + (o % 16) * 4, 0, 4);
  size_t span = (size_t)pixels * stride + 4 * groups;
  int8_t *x = bytes(span * rows, kind == 1, -128);
  channels c = make_channels(padded, count, kind);
  for (int32_t o = 0; o < padded; o++)
    for (int32_t k = 0; k < rows * groups; k++)
      for (int j = 0; j < 4; j++) c.sums[o] += w[(o / 16) * blockBytes + k * 64 + (o % 16) * 4 + j];
  const int8_t **pointers = allocate(sizeof(void *) * rows * pixels);
  for (int32_t p = 0; p < (lists ? pixels : 1); p++)
    for (int32_t r = 0; r < rows; r++)
      pointers[p * rows + r] = x + r * span + (lists ? (size_t)(next() % (uint32_t)pixels) * stride : 0);
  int32_t outputStride = count + between(0, 5);
  size_t size = (size_t)pixels * outputStride * (wide ? 2 : 1);
  int8_t *expected = guarded(size), *actual = guarded(size);
  qk_matmul_args a = {.rows = pointers, .pointerStride = lists ? rows : 0, .rowCount = rows, .rowGroups = groups,
                      .pixelStride = lists ? 0 : stride, .pixelCount = pixels, .flipped = flipped, .weights = w,
                      .quantization = {c.bias, c.sums, c.multiplier, c.shift, 0, 0, 0}, .outputStride = outputStride,
                      .channelCount = count};
  set_clamp(&a.quantization, kind, wide ? -32768 : -128, wide ? 32767 : 127);
  qk_matmul_args b = a;
  a.output = expected + GUARD;
  b.output = actual + GUARD;
  if (wide) {
    qk_scalar_matmul16(&a);
    PRIMITIVE(SET_NAME, matmul16)(&b);
  } else {
    qk_scalar_matmul(&a);
    PRIMITIVE(SET_NAME, matmul)(&b);
  }
  char what[160];
  snprintf(what, sizeof what, "%s rows %d groups %d pixels %d channels %d kind %d lists %d", wide ? "matmul16" : "matmul",
           rows, groups, pixels, count, kind, lists);
  compare(what, expected, actual, size);
  free(w), free(x), free(pointers), free(expected), free(actual), free_channels(c);
}

#ifdef HAS_CONVOLUTION
typedef struct {
  qk_convolution_args args;
  int8_t *image, *weights, *scratch; /* the image with its padding */
  int32_t paddedWidth;
  channels channels;
} convolution;

/* A convolution of size x size + 1 pixels with everything but the output. */
static convolution make_convolution(int32_t size, int32_t count, int32_t kh, int32_t kw, int32_t stride, int32_t pads,
                                    int32_t outputs, int kind) {
  convolution v = {.args = {.height = size, .width = size + 1, .channelCount = count, .kernelHeight = kh, .kernelWidth = kw,
                            .strideHeight = stride, .strideWidth = stride, .dilationHeight = between(1, 1 + pads),
                            .inputZeroPoint = between(-128, 127), .outputChannelCount = outputs}};
  qk_convolution_args *a = &v.args;
  int32_t below = 0, right = 0;
  if (pads) a->padTop = between(0, kh), a->padLeft = between(0, kw), below = between(0, kh), right = between(0, kw);
  int32_t extent = (kh - 1) * a->dilationHeight + 1;
  if (size + a->padTop + below < extent) below = extent - size - a->padTop;
  if (size + 1 + a->padLeft + right < kw) right = kw - size - 1 - a->padLeft;
  a->outputHeight = (size + a->padTop + below - extent) / stride + 1;
  a->outputWidth = (size + 1 + a->padLeft + right - kw) / stride + 1;
  int32_t lastColumn = (a->outputWidth - 1) * stride + kw, groups = (kw * count + 3) / 4, blocks = (outputs + 15) / 16;
  /* What lies beyond the last window belongs to the image all the same. */
  int32_t paddedHeight = size + a->padTop + below;
  v.paddedWidth = size + 1 + a->padLeft + right;
  v.weights = bytes((size_t)blocks * kh * groups * 64, kind == 1, -127);
  for (int32_t o = 0; o < blocks * 16; o++)
    for (int32_t i = 0; i < kh * groups * 4; i++)
      if (o >= outputs || i % (groups * 4) >= kw * count)
        v.weights[((o / 16) * kh * groups + i / 4) * 64 + (o % 16) * 4 + i % 4] = 0;
  v.channels = make_channels(blocks * 16, outputs, kind);
  for (int32_t o = 0; o < blocks * 16; o++)
    for (int32_t i = 0; i < kh * groups * 4; i++)
      v.channels.sums[o] += v.weights[((o / 16) * kh * groups + i / 4) * 64 + (o % 16) * 4 + i % 4];
  int8_t *input = bytes((size_t)size * (size + 1) * count, kind == 1, -128);
  a->input = input;
  v.image = allocate((size_t)paddedHeight * v.paddedWidth * count);
  memset(v.image, a->inputZeroPoint, (size_t)paddedHeight * v.paddedWidth * count);
  for (int32_t y = 0; y < size; y++)
    memcpy(v.image + ((size_t)(y + a->padTop) * v.paddedWidth + a->padLeft) * count, input + (size_t)y * (size + 1) * count,
           (size_t)(size + 1) * count);
  a->weights = v.weights;
  a->quantization = (qk_channel_quantization){v.channels.bias, v.channels.sums, v.channels.multiplier, v.channels.shift, 0, 0, 0};
  set_clamp(&a->quantization, kind, -128, 127);
  a->slotCount = extent < size ? extent : size;
  a->slotBytes = (lastColumn * count + 15) / 16 * 16;
  v.scratch = allocate((size_t)kh * 8 + (size_t)(a->slotCount + 1) * a->slotBytes);
  a->rows = (const int8_t **)(void *)v.scratch;
  if (a->padLeft > 0 || lastColumn > size + 1) a->ring = v.scratch + (size_t)kh * 8;
  if (a->padTop > 0 || (a->outputHeight - 1) * stride + extent > size)
    a->padding = v.scratch + (size_t)kh * 8 + (size_t)a->slotCount * a->slotBytes;
  return v;
}
static void free_convolution(convolution v) {
  free((void *)(uintptr_t)v.args.input), free(v.image), free(v.weights), free(v.scratch), free_channels(v.channels);
}

static void check_convolution(int32_t size, int32_t count, int32_t kh, int32_t kw, int32_t stride, int32_t pads,
                              int32_t outputs, int kind) {
  convolution v = make_convolution(size, count, kh, kw, stride, pads, outputs, kind);
  qk_convolution_args *a = &v.args;
  size_t bytes = (size_t)a->outputHeight * a->outputWidth * outputs;
  int8_t *expected = guarded(bytes), *actual = guarded(bytes);
  const int8_t **rows = allocate(sizeof(void *) * kh);
  for (int32_t y = 0; y < a->outputHeight; y++) {
    for (int32_t k = 0; k < kh; k++)
      rows[k] = v.image + (size_t)(y * stride + k * a->dilationHeight) * v.paddedWidth * count;
    qk_matmul_args line = {.rows = rows, .rowCount = kh, .rowGroups = (kw * count + 3) / 4, .pixelStride = stride * count,
                           .pixelCount = a->outputWidth, .weights = v.weights, .quantization = a->quantization,
                           .output = expected + GUARD + (size_t)y * a->outputWidth * outputs, .outputStride = outputs,
                           .channelCount = outputs};
    qk_scalar_matmul(&line);
  }
  a->output = actual + GUARD;
  PRIMITIVE(SET_NAME, convolution)(a);
  char what[160];
  snprintf(what, sizeof what, "convolution size %d channels %d kernel %dx%d stride %d pads %d outputs %d kind %d", size, count,
           kh, kw, stride, pads, outputs, kind);
  compare(what, expected, actual, bytes);
  free(expected), free(actual), free(rows), free_convolution(v);
}
#endif

static void check_depthwise(int32_t taps, int32_t pixels, int32_t count, int kind) {
  int32_t blocks = (count + 15) / 16, padded = blocks * 16, groups = (taps + 3) / 4, spots = 3 * pixels;
  int8_t *w = bytes((size_t)blocks * groups * 64, kind == 1, -127);
  for (int32_t o = 0; o < padded; o++)
    for (int32_t t = 0; t < groups * 4; t++)
      if (o >= count || t >= taps) w[((o / 16) * groups + t / 4) * 64 + (o % 16) * 4 + t % 4] = 0;
  int8_t *x = bytes((size_t)(spots + pixels) * count, kind == 1, -128);
  channels c = make_channels(padded, count, kind);
  for (int32_t o = 0; o < padded; o++)
    for (int32_t t = 0; t < groups * 4; t++) c.sums[o] += w[((o / 16) * groups + t / 4) * 64 + (o % 16) * 4 + t % 4];
  const int8_t **pointers = allocate(sizeof(void *) * pixels * taps);
  for (int32_t i = 0; i < pixels * taps; i++) pointers[i] = x + (size_t)(next() % (uint32_t)spots) * count;
  size_t size = (size_t)pixels * count;
  int8_t *expected = guarded(size), *actual = guarded(size);
  qk_depthwise_args a = {.taps = pointers, .pointerStride = taps, .tapCount = taps, .pixelStride = 0,
                         .pixelCount = pixels, .channelCount = count, .weights = w,
                         .quantization = {c.bias, c.sums, c.multiplier, c.shift, 0, 0, 0}, .outputStride = count};
  set_clamp(&a.quantization, kind, -128, 127);
  for (int shared = 0; shared < 2; shared++) {
    if (shared) a.pointerStride = 0, a.pixelStride = count;
    qk_depthwise_args b = a;
    a.output = expected + GUARD;
    b.output = actual + GUARD;
    qk_scalar_depthwise(&a);
    PRIMITIVE(SET_NAME, depthwise)(&b);
    char what[160];
    snprintf(what, sizeof what, "depthwise taps %d pixels %d channels %d kind %d shared %d", taps, pixels, count, kind, shared);
    compare(what, expected, actual, size);
  }
  free(w), free(x), free(pointers), free(expected), free(actual), free_channels(c);
}

#ifdef HAS_DEPTHWISE3X3
static void check_depthwise3x3(int32_t height, int32_t width, int32_t count, int32_t strideHeight, int32_t strideWidth,
                               int kind) {
  int32_t blocks = (count + 15) / 16, padded = blocks * 16, padTop = between(0, 2), padLeft = between(0, 2);
  int32_t outputHeight = (height + padTop + between(0, 2) - 3) / strideHeight + 1;
  int32_t outputWidth = (width + padLeft + between(0, 2) - 3) / strideWidth + 1;
  if (height + padTop < 3 || width + padLeft < 3) return;
  int8_t *w = bytes((size_t)blocks * 3 * 64, kind == 1, -127);
  for (int32_t o = 0; o < padded; o++)
    for (int32_t t = 0; t < 12; t++)
      if (o >= count || t >= 9) w[((o / 16) * 3 + t / 4) * 64 + (o % 16) * 4 + t % 4] = 0;
  int8_t *x = bytes((size_t)height * width * count, kind == 1, -128);
  channels c = make_channels(padded, count, kind);
  for (int32_t o = 0; o < padded; o++)
    for (int32_t t = 0; t < 12; t++) c.sums[o] += w[((o / 16) * 3 + t / 4) * 64 + (o % 16) * 4 + t % 4];
  int32_t zero = between(-128, 127), pixels = outputHeight * outputWidth;
  int8_t *padding = allocate((size_t)count);
  memset(padding, zero, (size_t)count);
  const int8_t **pointers = allocate(sizeof(void *) * pixels * 9);
  for (int32_t i = 0; i < pixels * 9; i++) {
    int32_t row = i / 9 / outputWidth * strideHeight - padTop + i % 9 / 3;
    int32_t column = i / 9 % outputWidth * strideWidth - padLeft + i % 3;
    int inside = row >= 0 && row < height && column >= 0 && column < width;
    pointers[i] = inside ? x + ((size_t)row * width + column) * count : padding;
  }
  size_t size = (size_t)pixels * count;
  int8_t *expected = guarded(size), *actual = guarded(size);
  qk_channel_quantization q = {c.bias, c.sums, c.multiplier, c.shift, 0, 0, 0};
  for (int rectified = 0; rectified < 2; rectified++) {
    set_clamp(&q, kind, -128, 127);
    if (rectified) q.outputMin = q.outputZeroPoint, q.outputMax = q.outputMax < q.outputMin ? 127 : q.outputMax;
    qk_depthwise_args a = {.taps = pointers, .pointerStride = 9, .tapCount = 9, .pixelCount = pixels, .channelCount = count,
                           .weights = w, .quantization = q, .output = expected + GUARD, .outputStride = count};
    qk_depthwise3x3_args b = {.input = x, .height = height, .width = width, .channelCount = count,
                              .strideHeight = strideHeight, .strideWidth = strideWidth, .padTop = padTop,
                              .padLeft = padLeft, .outputHeight = outputHeight, .outputWidth = outputWidth,
                              .inputZeroPoint = zero, .weights = w, .quantization = q, .output = actual + GUARD};
    qk_scalar_depthwise(&a);
    PRIMITIVE(SET_NAME, depthwise3x3)(&b);
    char what[200];
    snprintf(what, sizeof what, "depthwise3x3 %dx%d channels %d strides %d %d padding %d %d kind %d rectified %d", height,
             width, count, strideHeight, strideWidth, padTop, padLeft, kind, rectified);
    compare(what, expected, actual, size);
  }
  free(w), free(x), free(padding), free(pointers), free(expected), free(actual), free_channels(c);
}
#endif

#ifdef HAS_DENSE
static void check_dense(int32_t groups, int32_t count, int kind) {
  int32_t blocks = (count + 15) / 16, padded = blocks * 16;
  int8_t *w = bytes((size_t)blocks * groups * 64, kind == 1, -127), *x = bytes((size_t)groups * 4, kind == 1, -128);
  channels c = make_channels(padded, count, kind);
  int32_t *starts = allocate((size_t)padded * 4);
  for (int32_t o = 0; o < padded; o++) {
    for (int32_t i = 0; i < groups * 4; i++) {
      if (o >= count) w[(o / 16 * groups + i / 4) * 64 + o % 16 * 4 + i % 4] = 0;
      c.sums[o] += w[(o / 16 * groups + i / 4) * 64 + o % 16 * 4 + i % 4];
    }
    starts[o] = (int32_t)((uint32_t)c.bias[o] - 128u * (uint32_t)c.sums[o]);
    c.multiplier[o] = o == 0 ? c.multiplier[0] | 1 << 30 : o < count ? c.multiplier[0] : 0;
    c.shift[o] = o == 0 ? (c.shift[0] < 0 ? c.shift[0] : -1 - c.shift[0]) : c.shift[0];
  }
  int8_t *expected = guarded((size_t)count), *actual = guarded((size_t)count);
  const int8_t *row = x;
  qk_matmul_args a = {.rows = &row, .rowCount = 1, .rowGroups = groups, .pixelCount = 1, .weights = w,
                      .quantization = {c.bias, c.sums, c.multiplier, c.shift, 0, 0, 0}, .output = expected + GUARD,
                      .outputStride = count, .channelCount = count};
  set_clamp(&a.quantization, kind, -128, 127);
  qk_matmul_args b = a;
  int32_t multiplier = c.multiplier[0], shift = c.shift[0];
  b.quantization.bias = starts, b.quantization.weightSums = NULL;
  b.quantization.multiplier = &multiplier, b.quantization.shift = &shift;
  b.output = actual + GUARD;
  qk_scalar_matmul(&a);
  PRIMITIVE(SET_NAME, dense)(&b);
  char what[120];
  snprintf(what, sizeof what, "dense groups %d channels %d kind %d", groups, count, kind);
  compare(what, expected, actual, (size_t)count);
  free(w), free(x), free(starts), free(expected), free(actual), free_channels(c);
}
#endif

#ifdef HAS_WINOGRAD3X3
/* G w G' of a convolution's weights [outputs][3][3][count], in the order of the primitive. */
static int16_t *winograd_weights(const int8_t *w, int32_t count, int32_t outputs) {
  static const int32_t G[6][3] = {{6, 0, 0}, {1, 1, 1}, {1, -1, 1}, {1, 2, 4}, {1, -2, 4}, {0, 0, 6}};
  int16_t *u = allocate((size_t)(outputs + 15) / 16 * 16 * count * 36 * 2);
  for (int32_t o = 0; o < outputs; o++)
    for (int32_t c = 0; c < count; c++)
      for (int32_t i = 0; i < 6; i++)
        for (int32_t j = 0; j < 6; j++) {
          int32_t sum = 0;
          for (int32_t t = 0; t < 9; t++) sum += G[i][t / 3] * G[j][t % 3] * w[((size_t)o * 9 + t) * count + c];
          u[(((size_t)(o / 16 * 6 + j) * (count / 2) + c / 2) * 6 + i) * 32 + o % 16 * 2 + c % 2] = (int16_t)sum;
        }
  return u;
}

static void check_winograd3x3(int32_t height, int32_t width, int32_t count, int32_t outputs, int kind) {
  int32_t padded = (outputs + 15) / 16 * 16, padTop = between(0, 2), padLeft = between(0, 2);
  int32_t outputHeight = height + padTop + between(0, 2) - 2, outputWidth = width + padLeft + between(0, 2) - 2;
  if (outputHeight < 1 || outputWidth < 1) return;
  int8_t *w = bytes((size_t)outputs * 9 * count, kind == 1, -127), *x = bytes((size_t)height * width * count, kind == 1, -128);
  int8_t *packed = allocate((size_t)padded * 9 * count);
  channels c = make_channels(padded, outputs, kind);
  for (int32_t o = 0; o < outputs; o++) {
    int32_t magnitude = 0;
    for (int32_t i = 0; i < 9 * count; i++) {
      int8_t weight = w[o * 9 * count + i];
      packed[(((size_t)(o / 16) * 9 * (count / 4)) + i / 4) * 64 + o % 16 * 4 + i % 4] = weight;
      magnitude += weight < 0 ? -weight : weight;
    }
    /* The primitive's domain, up to its ends. */
    if (kind == 1) c.bias[o] = ((1 << 25) - 1 - 128 * magnitude) * (next() % 2 ? 1 : -1);
    if (c.multiplier[o] && c.shift[o] >= 0) c.shift[o] = -1;
  }
  int16_t *u = winograd_weights(w, count, outputs);
  int32_t zero = kind == 1 ? -128 : between(-128, 127), pixels = outputHeight * outputWidth;
  int8_t *padding = allocate((size_t)count);
  memset(padding, zero, (size_t)count);
  const int8_t **pointers = allocate(sizeof(void *) * pixels * 9);
  for (int32_t i = 0; i < pixels * 9; i++) {
    int32_t row = i / 9 / outputWidth - padTop + i % 9 / 3, column = i / 9 % outputWidth - padLeft + i % 3;
    int inside = row >= 0 && row < height && column >= 0 && column < width;
    pointers[i] = inside ? x + ((size_t)row * width + column) * count : padding;
  }
  size_t size = (size_t)pixels * outputs, scratchSize = qk_winograd3x3_scratch_size((size_t)count, (size_t)outputs);
  int8_t *expected = guarded(size), *actual = guarded(size), *scratch = allocate(scratchSize);
  memset(scratch, 0x5A, scratchSize + SLACK);
  qk_channel_quantization q = {c.bias, c.sums, c.multiplier, c.shift, 0, 0, 0};
  set_clamp(&q, kind, -128, 127);
  qk_matmul_args a = {.rows = pointers, .pointerStride = 9, .rowCount = 9, .rowGroups = count / 4, .pixelCount = pixels,
                      .weights = packed, .quantization = q, .output = expected + GUARD, .outputStride = outputs,
                      .channelCount = outputs};
  qk_winograd3x3_args b = {.input = x, .height = height, .width = width, .channelCount = count, .padTop = padTop,
                           .padLeft = padLeft, .outputHeight = outputHeight, .outputWidth = outputWidth,
                           .inputZeroPoint = zero, .weights = u, .quantization = q, .output = actual + GUARD,
                           .outputChannelCount = outputs, .scratch = scratch};
  qk_scalar_matmul(&a);
  PRIMITIVE(SET_NAME, winograd3x3)(&b);
  char what[200];
  snprintf(what, sizeof what, "winograd3x3 %dx%d channels %d to %d padding %d %d kind %d", height, width, count, outputs,
           padTop, padLeft, kind);
  compare(what, expected, actual, size);
  checks++;
  for (size_t i = scratchSize; i < scratchSize + SLACK; i++)
    if (scratch[i] != 0x5A) {
      failures++;
      printf("FAIL %s: scratch written beyond its end\n", what);
      break;
    }
  free(w), free(x), free(packed), free(u), free(padding), free(pointers), free(expected), free(actual), free(scratch);
  free_channels(c);
}
#endif

static void check_elementwise(int32_t count, int kind) {
  int8_t *x = bytes((size_t)count, kind == 1, -128), *y = bytes((size_t)count, kind == 1, -128);
  int8_t *expected = guarded((size_t)count), *actual = guarded((size_t)count);
  char what[160];
  for (int steps = 0; steps < 4; steps++) {
    qk_add_args a = {.a = x, .b = y, .aStep = steps & 1, .bStep = steps >> 1, .count = count, .leftShift = kind == 2 ? 15 : 20,
                     .aZeroPoint = between(-128, 127), .aMultiplier = kind == 2 ? 1 << 30 : between(1 << 30, INT32_MAX),
                     .aShift = between(-8, kind == 1 ? 1 : 0), .bZeroPoint = between(-128, 127),
                     .bMultiplier = between(1 << 30, INT32_MAX) * (next() & 1 ? 1 : -1), .bShift = between(-8, 0),
                     .outputMultiplier = between(1 << 30, INT32_MAX), .outputShift = between(-21, -15),
                     .outputZeroPoint = between(-128, 127), .outputMin = -128, .outputMax = between(0, 127)};
    if (kind == 0) { /* as in real layers: the operand of the larger scale has a factor of one half, now and then both */
      uint32_t half = next() % 3;
      if (half != 1) a.aMultiplier = 1 << 30, a.aShift = 0;
      if (half != 0) a.bMultiplier = 1 << 30, a.bShift = 0;
    }
    if (kind == 2) { /* halves of integers at full resolution: a negated factor would round them the other way */
      a.leftShift = a.aShift = a.bShift = 0;
      a.outputShift = 1;
      a.outputMultiplier = 1 << 30;
      a.bMultiplier = a.bMultiplier < 0 ? -(1 << 30) : 1 << 30;
    }
    qk_add_args b = a;
    a.output = expected + GUARD, b.output = actual + GUARD;
    qk_scalar_add(&a), PRIMITIVE(SET_NAME, add)(&b);
    snprintf(what, sizeof what, "add count %d steps %d kind %d", count, steps, kind);
    compare(what, expected, actual, (size_t)count);
    qk_mul_args m = {.a = x, .b = y, .aStep = steps & 1, .bStep = steps >> 1, .count = count,
                     .aZeroPoint = between(-128, 127), .bZeroPoint = between(-128, 127),
                     .multiplier = kind == 2 ? 1 << 30 : between(1 << 30, INT32_MAX), .shift = between(-12, kind == 1 ? 3 : 0),
                     .outputZeroPoint = between(-128, 127), .outputMin = between(-128, -1), .outputMax = 127};
    qk_mul_args n = m;
    m.output = expected + GUARD, n.output = actual + GUARD;
    qk_scalar_mul(&m), PRIMITIVE(SET_NAME, mul)(&n);
    snprintf(what, sizeof what, "mul count %d steps %d kind %d", count, steps, kind);
    compare(what, expected, actual, (size_t)count);
  }
  int8_t *table = bytes(256, 0, -128);
  qk_lookup_args l = {x, table, expected + GUARD, count}, k = {x, table, actual + GUARD, count};
  qk_scalar_lookup(&l), PRIMITIVE(SET_NAME, lookup)(&k);
  snprintf(what, sizeof what, "lookup count %d", count);
  compare(what, expected, actual, (size_t)count);
  free(x), free(y), free(table), free(expected), free(actual);
}

#ifdef HAS_LSTM_CELL
static uint16_t sigmoid[256];

static int32_t limited(int64_t x, int32_t low, int32_t high) { return (int32_t)(x < low ? low : x > high ? high : x); }
static int32_t rescaled(int32_t x, int32_t multiplier, int32_t shift) {
  int64_t r = ((int64_t)(int32_t)((uint32_t)x << (shift > 0 ? shift : 0)) * multiplier + (1 << 30)) >> 31;
  int32_t e = shift < 0 ? -shift : 0;
  return e ? (int32_t)((r + (1ll << (e - 1)) - (r < 0)) >> e) : (int32_t)r;
}
/* Linear interpolation at |v|, the lower bits between two samples. */
static int32_t interpolated(int32_t v, int bits, int32_t end) {
  int32_t magnitude = abs(v), index = magnitude >> bits;
  return index >= 255 ? end
                      : (sigmoid[index] << bits) + (magnitude & ((1 << bits) - 1)) * (sigmoid[index + 1] - sigmoid[index]);
}
static int32_t logistic(int32_t v) {
  int32_t r = interpolated(v, 9, 0x7FFF << 10);
  return (v >= 0 ? r + (1 << 9) : (1 << 25) - r + (1 << 9) - 1) >> 10;
}
static int32_t hyperbolic(int32_t v) {
  int32_t r = interpolated(v, 8, 0xFFFF << 8);
  return (v >= 0 ? r - (1 << 23) + (1 << 7) : (1 << 23) - r + (1 << 7) - 1) >> 8;
}

static void check_lstm_cell(int32_t size, int kind) {
  for (int i = 0; i < 256; i++) sigmoid[i] = (uint16_t)(65535 - 32767 * 4 / (4 + i)); /* a rising curve */
  int16_t *x = (int16_t *)(void *)bytes((size_t)size * 8, 0, -128), *h = (int16_t *)(void *)bytes((size_t)size * 8, 0, -128);
  int8_t *cells = guarded((size_t)size * 2), *expectedCells = guarded((size_t)size * 2);
  int8_t *expected = guarded((size_t)size), *hidden = guarded((size_t)size), *output = guarded((size_t)size);
  int32_t gate = kind == 1 ? 32767 : between(1, 32766), limit = kind == 1 ? 32767 : between(1, 32766);
  qk_lstm_cell_args a = {.inputProducts = x, .recurrentProducts = h, .hiddenSize = size,
                         .gateMin = kind == 1 ? -32768 : -gate, .gateMax = gate, .cellMin = kind == 1 ? -32768 : -limit,
                         .cellMax = limit, .cellShift = between(-3, 4), .forgetMultiplier = between(1 << 30, INT32_MAX),
                         .forgetShift = between(-16, -13), .candidateMultiplier = between(1 << 30, INT32_MAX),
                         .candidateShift = between(-18, -13), .outputMultiplier = between(1 << 30, INT32_MAX),
                         .outputShift = between(-24, -20), .hiddenZeroPoint = between(-128, 127), .sigmoidTable = sigmoid,
                         .cell = (int16_t *)(void *)(cells + GUARD), .hidden = hidden + GUARD,
                         .output = kind == 2 ? NULL : output + GUARD};
  int16_t *c = (int16_t *)(void *)(expectedCells + GUARD);
  for (int32_t j = 0; j < size; j++) c[j] = (int16_t)next();
  memcpy(a.cell, c, (size_t)size * 2);
  for (int32_t j = 0; j < size; j++) {
    int32_t g[4];
    for (int i = 0; i < 4; i++) g[i] = 3 * limited(x[i * size + j] + h[i * size + j], a.gateMin, a.gateMax);
    int32_t kept = limited(rescaled(logistic(g[2]) * c[j], a.forgetMultiplier, a.forgetShift), -32768, 32767);
    int32_t added = limited(
        rescaled(logistic(g[0]) * hyperbolic(g[3]), a.candidateMultiplier, a.candidateShift), -32768, 32767);
    c[j] = (int16_t)limited(limited(kept + added, -32768, 32767), a.cellMin, a.cellMax);
    int32_t v = a.cellShift >= 0 ? 3 * c[j] * (1 << a.cellShift)
                                 : (3 * c[j] + (1 << (-a.cellShift - 1))) >> -a.cellShift;
    int32_t value = rescaled(hyperbolic(v) * logistic(g[1]), a.outputMultiplier, a.outputShift);
    expected[GUARD + j] = (int8_t)limited(value + a.hiddenZeroPoint, -128, 127);
  }
  PRIMITIVE(SET_NAME, lstm_cell)(&a);
  char what[80];
  snprintf(what, sizeof what, "lstm_cell size %d kind %d", size, kind);
  compare(what, expectedCells, cells, (size_t)size * 2);
  compare(what, expected, hidden, (size_t)size);
  if (a.output) compare(what, expected, output, (size_t)size);
  free(x), free(h), free(cells), free(expectedCells), free(expected), free(hidden), free(output);
}
#endif

/* Every pair of values under factors as in real models, also of equal and of doubled scales. */
static void check_add_pairs(int round) {
  enum { COUNT = 65536 };
  int8_t *x = allocate(COUNT), *y = allocate(COUNT), *expected = guarded(COUNT), *actual = guarded(COUNT);
  for (int i = 0; i < COUNT; i++) x[i] = (int8_t)(i >> 8), y[i] = (int8_t)i;
  int32_t other = round % 4 == 1 ? 1 << 30 : between(1 << 30, INT32_MAX);
  qk_add_args a = {.a = x, .b = y, .aStep = 1, .bStep = 1, .count = COUNT, .leftShift = round % 5 ? 20 : between(10, 20),
                   .aZeroPoint = between(-128, 127), .aMultiplier = 1 << 30, .bZeroPoint = between(-128, 127),
                   .bMultiplier = round % 3 ? other : -other, .bShift = round % 4 == 1 ? 0 : between(-3, -1),
                   .outputMultiplier = round % 4 == 2 ? 1 << 30 : between(1 << 30, INT32_MAX),
                   .outputZeroPoint = between(-128, 127), .outputMin = -128, .outputMax = 127};
  a.outputShift = between(-2, 2) - a.leftShift;
  qk_add_args b = a;
  a.output = expected + GUARD, b.output = actual + GUARD;
  qk_scalar_add(&a);
  if (round % 2) { /* the output takes the place of an operand */
    memcpy(b.output, round % 4 == 1 ? a.a : a.b, COUNT);
    if (round % 4 == 1) b.a = b.output;
    else b.b = b.output;
  }
  PRIMITIVE(SET_NAME, add)(&b);
  char what[160];
  snprintf(what, sizeof what, "add pairs, round %d", round);
  compare(what, expected, actual, COUNT);
  free(x), free(y), free(expected), free(actual);
}

static void check_pool(int32_t rows, int32_t columns, int32_t count, int kind) {
  int32_t stride = count + between(0, 9);
  int8_t *x = bytes((size_t)rows * columns * stride, kind == 1, -128);
  const int8_t **pointers = allocate(sizeof(void *) * rows);
  for (int32_t r = 0; r < rows; r++) pointers[r] = x + (size_t)r * columns * stride;
  int8_t *expected = guarded((size_t)count * 4), *actual = guarded((size_t)count * 4);
  qk_pool_args a = {.rows = pointers, .rowCount = rows, .columnCount = columns, .columnStride = stride,
                    .channelCount = count, .divisor = kind == 2 ? between(1, 300) : rows * columns,
                    .outputMin = between(-128, 0), .outputMax = between(1, 127)};
  qk_pool_args b = a;
  char what[160];
  snprintf(what, sizeof what, "pool %dx%d channels %d kind %d", rows, columns, count, kind);
  a.output = expected + GUARD, b.output = actual + GUARD;
  qk_scalar_max_pool(&a), PRIMITIVE(SET_NAME, max_pool)(&b);
  compare(what, expected, actual, (size_t)count * 4);
  qk_scalar_average_pool(&a), PRIMITIVE(SET_NAME, average_pool)(&b);
  compare(what, expected, actual, (size_t)count * 4);
  a.sums = (int32_t *)(void *)(expected + GUARD), b.sums = (int32_t *)(void *)(actual + GUARD);
  qk_scalar_window_sum(&a), PRIMITIVE(SET_NAME, window_sum)(&b);
  compare(what, expected, actual, (size_t)count * 4);
  free(x), free(pointers), free(expected), free(actual);
}

/* Sums on both sides of every half, under divisors of all sizes. */
static void check_average_rounding(int32_t divisor) {
  enum { ROWS = 64, CHANNELS = 64 };
  int8_t *x = bytes(ROWS * CHANNELS, 0, -128);
  const int8_t *row = x;
  for (int c = 0; c < CHANNELS; c++) {
    int32_t target = between(-40, 40) * divisor + (next() & 1 ? divisor / 2 : -(divisor / 2)) + between(-2, 2);
    if (abs(target) > ROWS * 120) continue;
    for (int r = 0; r < ROWS; r++) x[r * CHANNELS + c] = (int8_t)(target / ROWS + (r < abs(target % ROWS) ? (target < 0 ? -1 : 1) : 0));
  }
  int8_t *expected = guarded(CHANNELS), *actual = guarded(CHANNELS);
  qk_pool_args a = {.rows = &row, .rowCount = 1, .columnCount = ROWS, .columnStride = CHANNELS, .channelCount = CHANNELS,
                    .divisor = divisor, .outputMin = -128, .outputMax = 127, .output = expected + GUARD}, b = a;
  b.output = actual + GUARD;
  qk_scalar_average_pool(&a), PRIMITIVE(SET_NAME, average_pool)(&b);
  char what[80];
  snprintf(what, sizeof what, "average_pool by %d", divisor);
  compare(what, expected, actual, CHANNELS);
  free(x), free(expected), free(actual);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void bench_matmul(const char *name, int32_t rows, int32_t groups, int32_t pixels, int32_t stride, int32_t count) {
  int32_t blocks = (count + 15) / 16;
  int8_t *w = bytes((size_t)blocks * rows * groups * 64, 0, -127);
  int8_t *x = bytes((size_t)rows * ((size_t)pixels * stride + 4 * groups), 0, -128);
  const int8_t **pointers = allocate(sizeof(void *) * rows);
  for (int32_t r = 0; r < rows; r++) pointers[r] = x + (size_t)r * pixels * stride;
  channels c = make_channels(blocks * 16, blocks * 16, 0);
  int8_t *output = guarded((size_t)pixels * count);
  qk_matmul_args a = {.rows = pointers, .rowCount = rows, .rowGroups = groups, .pixelStride = stride, .pixelCount = pixels,
                      .weights = w, .quantization = {c.bias, c.sums, c.multiplier, c.shift, 3, -128, 127},
                      .output = output + GUARD, .outputStride = count, .channelCount = count};
  double macs = (double)rows * groups * 4 * pixels * count, best = 1e18;
  int repeats = (int)(1e8 / macs) + 10;
  for (int t = 0; t < 9; t++) {
    double start = now();
    for (int i = 0; i < repeats; i++) PRIMITIVE(SET_NAME, matmul)(&a);
    double time = (now() - start) / repeats;
    if (time < best) best = time;
  }
  printf("%-28s %10.1f ns %8.1f GMAC/s\n", name, best, macs / best);
  free(w), free(x), free(pointers), free(output), free_channels(c);
}

static void bench_depthwise(const char *name, int32_t taps, int32_t pixels, int32_t count) {
  int32_t blocks = (count + 15) / 16, groups = (taps + 3) / 4;
  int8_t *w = bytes((size_t)blocks * groups * 64, 0, -127), *x = bytes((size_t)(pixels + taps) * count, 0, -128);
  const int8_t **pointers = allocate(sizeof(void *) * pixels * taps);
  for (int32_t i = 0; i < pixels * taps; i++) pointers[i] = x + (size_t)(i / taps + i % taps) * count;
  channels c = make_channels(blocks * 16, blocks * 16, 0);
  int8_t *output = guarded((size_t)pixels * count);
  qk_depthwise_args a = {.taps = pointers, .pointerStride = taps, .tapCount = taps, .pixelCount = pixels, .channelCount = count,
                         .weights = w, .quantization = {c.bias, c.sums, c.multiplier, c.shift, 3, -128, 127},
                         .output = output + GUARD, .outputStride = count};
  double macs = (double)taps * pixels * count, best = 1e18;
  int repeats = (int)(3e7 / macs) + 10;
  for (int t = 0; t < 9; t++) {
    double start = now();
    for (int i = 0; i < repeats; i++) PRIMITIVE(SET_NAME, depthwise)(&a);
    double time = (now() - start) / repeats;
    if (time < best) best = time;
  }
  printf("%-28s %10.1f ns %8.1f GMAC/s\n", name, best, macs / best);
  free(w), free(x), free(pointers), free(output), free_channels(c);
}

static void bench_average(int32_t pixels, int32_t count) {
  int8_t *x = bytes((size_t)pixels * count, 0, -128), *output = guarded((size_t)count);
  const int8_t *row = x;
  qk_pool_args a = {.rows = &row, .rowCount = 1, .columnCount = pixels, .columnStride = count, .channelCount = count,
                    .divisor = pixels, .outputMin = -128, .outputMax = 127, .output = output + GUARD};
  double best = 1e18;
  for (int t = 0; t < 20; t++) {
    double start = now();
    for (int i = 0; i < 1000; i++) PRIMITIVE(SET_NAME, average_pool)(&a);
    double time = (now() - start) / 1000;
    if (time < best) best = time;
  }
  printf("average_pool %4d x %4d %14.1f ns\n", pixels, count, best);
  free(x), free(output);
}

#ifdef HAS_CONVOLUTION
static void bench_convolution(int32_t size, int32_t count, int32_t kernel, int32_t stride, int32_t outputs, int rectified) {
  convolution v = make_convolution(size, count, kernel, kernel, stride, 0, outputs, 0);
  qk_convolution_args *a = &v.args;
  int8_t *output = guarded((size_t)size * size * outputs), *ring = allocate((size_t)(kernel + 1) * (size + kernel) * count);
  if (kernel > 1) a->ring = ring, a->padding = ring + kernel * (size + kernel) * count, a->slotBytes = (size + kernel) * count;
  a->width = size, a->padTop = a->padLeft = stride == 1 ? kernel / 2 : 0;
  a->outputHeight = a->outputWidth = size / stride, a->output = output + GUARD;
  a->quantization.outputZeroPoint = rectified ? -128 : 3, a->quantization.outputMin = -128;
  double best = 1e18;
  for (int t = 0; t < 40; t++) {
    double start = now();
    for (int i = 0; i < 20; i++) PRIMITIVE(SET_NAME, convolution)(a);
    double time = (now() - start) / 20;
    if (time < best) best = time;
  }
  printf("convolution %dx%d %d->%d /%d %s %10.1f ns %8.1f GMAC/s\n", kernel, kernel, count, outputs, stride,
         rectified ? "relu" : "any", best, (double)kernel * kernel * count * outputs * a->outputHeight * a->outputWidth / best);
  free(output), free(ring), free_convolution(v);
}
#endif

#ifdef HAS_DEPTHWISE3X3
static void bench_depthwise3x3(int32_t size, int32_t width, int32_t count, int32_t stride, int32_t low) {
  int32_t blocks = (count + 15) / 16, outputHeight = (size - 1) / stride + 1, outputWidth = (width - 1) / stride + 1;
  int8_t *w = bytes((size_t)blocks * 3 * 64, 0, -127), *x = bytes((size_t)size * width * count, 0, -128);
  channels c = make_channels(blocks * 16, blocks * 16, 0);
  int8_t *output = guarded((size_t)outputHeight * outputWidth * count);
  qk_depthwise3x3_args a = {.input = x, .height = size, .width = width, .channelCount = count, .strideHeight = stride,
                            .strideWidth = stride, .padTop = 1, .padLeft = 1, .outputHeight = outputHeight,
                            .outputWidth = outputWidth, .inputZeroPoint = -128, .weights = w,
                            .quantization = {c.bias, c.sums, c.multiplier, c.shift, -128 + low, -128, 127},
                            .output = output + GUARD};
  double macs = 9.0 * outputHeight * outputWidth * count, best = 1e18;
  int repeats = (int)(3e6 / macs) + 1;
  for (int t = 0; t < 40; t++) {
    double start = now();
    for (int i = 0; i < repeats; i++) PRIMITIVE(SET_NAME, depthwise3x3)(&a);
    double time = (now() - start) / repeats;
    if (time < best) best = time;
  }
  printf("depthwise3x3 %dx%dx%d/%d %s %10.1f ns %8.1f GMAC/s\n", size, width, count, stride, low ? "any" : "relu", best,
         macs / best);
  free(w), free(x), free(output), free_channels(c);
}
#endif

#ifdef HAS_WINOGRAD3X3
static void bench_winograd3x3(int32_t size, int32_t count) {
  int8_t *w = bytes((size_t)count * 9 * count, 0, -127), *x = bytes((size_t)size * size * count, 0, -128);
  int16_t *u = winograd_weights(w, count, count);
  channels c = make_channels(count, count, 0);
  int8_t *output = guarded((size_t)size * size * count);
  qk_winograd3x3_args a = {.input = x, .height = size, .width = size, .channelCount = count, .padTop = 1, .padLeft = 1,
                           .outputHeight = size, .outputWidth = size, .inputZeroPoint = -128, .weights = u,
                           .quantization = {c.bias, c.sums, c.multiplier, c.shift, -128, -128, 127},
                           .output = output + GUARD, .outputChannelCount = count,
                           .scratch = allocate(qk_winograd3x3_scratch_size((size_t)count, (size_t)count))};
  double macs = 9.0 * size * size * count * count, best = 1e18;
  int repeats = (int)(3e6 / macs) + 1;
  for (int t = 0; t < 400; t++) {
    double start = now();
    for (int i = 0; i < repeats; i++) PRIMITIVE(SET_NAME, winograd3x3)(&a);
    double time = (now() - start) / repeats;
    if (time < best) best = time;
  }
  printf("winograd3x3 %dx%dx%d %10.1f ns %8.1f GMAC/s\n", size, size, count, best, macs / best);
  free(w), free(x), free(u), free(output), free(a.scratch), free_channels(c);
}
#endif

static void bench_add(int32_t count) {
  int8_t *x = bytes((size_t)count, 0, -128), *y = bytes((size_t)count, 0, -128), *output = guarded((size_t)count);
  qk_add_args a = {.a = x, .b = y, .aStep = 1, .bStep = 1, .count = count, .leftShift = 20, .aZeroPoint = 3,
                   .aMultiplier = 1 << 30, .bZeroPoint = -5, .bMultiplier = 1503238553, .bShift = -1,
                   .outputMultiplier = 1288490188, .outputShift = -18, .outputZeroPoint = -7, .outputMin = -128,
                   .outputMax = 127, .output = output + GUARD};
  double best = 1e18;
  for (int t = 0; t < 9; t++) {
    double start = now();
    for (int i = 0; i < 200; i++) PRIMITIVE(SET_NAME, add)(&a);
    double time = (now() - start) / 200;
    if (time < best) best = time;
  }
  printf("%-28s %10.1f ns %8.2f elements/ns\n", "add", best, count / best);
  free(x), free(y), free(output);
}

int main(int argc, char **argv) {
  int full = argc > 1 && !strcmp(argv[1], "--full");
  for (int kind = 0; kind < 3; kind++) {
    for (int i = 0; i < SIZES; i++) {
      for (int j = 0; j < SIZES; j += full ? 1 : 2) {
        check_matmul(between(1, 4), between(1, 9), sizes[i] < 40 ? sizes[i] : 13, sizes[j], kind, j & 1, i & 1);
        check_matmul(1, sizes[i], 1, sizes[j], kind, i & 1, 0);
        /* A transposed convolution has output pixels that no input reaches: biases alone. */
        check_matmul(0, between(1, 9), i & 1 ? 1 : sizes[i], sizes[j], kind, (i >> 1) & 1, 0);
        /* Four blocks of which the last is not full. */
        check_matmul(between(1, 3), sizes[i], 1, 64 * between(1, 3) - between(1, 15), kind, i & 1, 0);
        check_depthwise(between(1, 26), sizes[i] < 40 ? sizes[i] : 11, sizes[j], kind);
        check_pool(between(1, 8), between(1, 8), sizes[i], kind);
      }
      check_depthwise(9, 12, sizes[i], kind);
#ifdef HAS_DEPTHWISE3X3
      for (int32_t count = 1; count <= 200; count += count < 9 ? 1 : count < 72 ? between(1, 7) : between(1, 50))
        check_depthwise3x3(between(1, 9), sizes[i] < 40 ? sizes[i] : 5, count, between(1, 3), between(1, 3), kind);
#endif
#ifdef HAS_DENSE
      for (int32_t count = 1; count <= 300; count += between(1, 40)) check_dense(sizes[i], count, kind);
#endif
#ifdef HAS_WINOGRAD3X3
      for (int32_t count = 16; count <= 112; count += 16 * between(1, 2))
        check_winograd3x3(between(1, 13), sizes[i] < 40 ? sizes[i] : 12, count, sizes[i], kind);
#endif
#ifdef HAS_CONVOLUTION
      for (int j = 0; j < SIZES; j++)
        check_convolution(sizes[i] < 40 ? sizes[i] : 6, between(1, 5) * (j % 2 ? 4 : 1), between(1, 5), between(1, 5), between(1, 3),
                          j % 3 ? 1 : 0, sizes[j], kind);
#endif
      check_elementwise(sizes[i], kind);
#ifdef HAS_LSTM_CELL
      for (int round = 0; round < 20; round++) check_lstm_cell(sizes[i], kind);
#endif
    }
  }
#ifdef HAS_DEPTHWISE3X3
  for (int32_t stride = 1; stride <= 3; stride++) check_depthwise3x3(70, 130, 132, stride, stride, 0); /* cut into bands */
#endif
  for (int32_t divisor = 1; divisor <= 300; divisor++) check_average_rounding(divisor);
  for (int32_t divisor = 500; divisor < 1 << 29; divisor = divisor / 7 * 11) check_average_rounding(divisor);
  for (int round = 0; round < (full ? 2000 : 60); round++) check_add_pairs(round);
  printf("%s: %d checks, %d failed\n", NAME(SET_NAME), checks, failures);
  if (argc > 1 && !strcmp(argv[1], "--bench")) {
    bench_matmul("3x3 3->16, row of 32", 3, 3, 32, 3, 16);
    bench_matmul("3x3 16->16, row of 32", 3, 12, 32, 16, 16);
    bench_matmul("3x3 32->32, row of 16", 3, 24, 16, 32, 32);
    bench_matmul("3x3 64->64, row of 8", 3, 48, 8, 64, 64);
    bench_matmul("10x4 1->64, row of 5", 10, 1, 5, 2, 64);
    bench_matmul("1x1 8->16, 2304 pixels", 1, 2, 2304, 8, 16);
    bench_matmul("1x1 16->32, 576 pixels", 1, 4, 576, 16, 32);
    bench_matmul("1x1 64->64, 125 pixels", 1, 16, 125, 64, 64);
    bench_matmul("1x1 256->256, 9 pixels", 1, 64, 9, 256, 256);
    bench_matmul("dense 640->128", 1, 160, 1, 640, 128);
    bench_matmul("dense 128->640", 1, 32, 1, 128, 640);
    bench_matmul("dense 128->8", 1, 32, 1, 128, 8);
    bench_matmul("dense 8->128", 1, 2, 1, 8, 128);
#ifdef HAS_WINOGRAD3X3
    bench_winograd3x3(32, 16);
    bench_winograd3x3(16, 32);
    bench_winograd3x3(8, 64);
    bench_winograd3x3(56, 64);
#endif
#ifdef HAS_CONVOLUTION
    for (int rectified = 0; rectified < 2; rectified++) {
      bench_convolution(32, 3, 3, 1, 16, rectified);
      bench_convolution(32, 16, 3, 1, 16, rectified);
      bench_convolution(32, 16, 3, 2, 32, rectified);
      bench_convolution(16, 32, 3, 2, 64, rectified);
      bench_convolution(32, 16, 1, 2, 32, rectified);
      bench_convolution(16, 32, 1, 2, 64, rectified);
    }
#endif
    bench_add(16384);
    bench_average(125, 64);
    bench_average(9, 256);
#ifdef HAS_DEPTHWISE3X3
    for (int low = 0; low < 2; low++) {
      bench_depthwise3x3(25, 5, 64, 1, low);
      bench_depthwise3x3(48, 48, 8, 1, low);
      bench_depthwise3x3(48, 48, 16, 2, low);
      bench_depthwise3x3(24, 24, 32, 1, low);
      bench_depthwise3x3(12, 12, 64, 1, low);
      bench_depthwise3x3(12, 12, 64, 2, low);
      bench_depthwise3x3(6, 6, 128, 1, low);
      bench_depthwise3x3(3, 3, 256, 1, low);
      bench_depthwise3x3(12, 12, 96, 1, low);
      bench_depthwise3x3(48, 48, 24, 1, low);
      bench_depthwise3x3(48, 48, 3, 1, low);
      bench_depthwise3x3(16, 16, 8, 2, low);
      bench_depthwise3x3(4, 4, 3, 1, low);
      bench_depthwise3x3(112, 112, 256, 1, low);
    }
#endif
    bench_depthwise("depthwise 3x3 64, 125 pixels", 9, 125, 64);
    bench_depthwise("depthwise 3x3 8, 2304 pixels", 9, 2304, 8);
    bench_depthwise("depthwise 3x3 256, 9 pixels", 9, 9, 256);
  }
  return failures ? 1 : 0;
}
