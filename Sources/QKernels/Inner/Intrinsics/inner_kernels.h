/* The border between the ops and the instruction sets.
 *
 * A primitive is a C function over one argument struct. Every set of Sources/QKernels/Inner exports the whole list under
 * its own name (qk_scalar_matmul, qk_avx2_matmul, ...); ActiveInner.swift picks one table. Ops never mention a set.
 * All sets give the same bytes as the scalar one, which is the specification.
 *
 * Vocabulary: real = scale * (q - zeroPoint); multiplier is Q0.31 (0 or >= 2^30); shift > 0 is left; rounding is the
 * double rounding of Rounding.swift. A channel block is 16 output channels. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Copies between memories that do not overlap. Swift's own copies allow for overlap, and small C libraries move what may
 * overlap byte by byte. */
static inline void qk_copy(void *destination, const void *source, size_t count) {
  __builtin_memcpy(destination, source, count);
}

/* Has the kilobyte at p loaded ahead of its use, on processors whose loads run ahead. It may lie anywhere. */
static inline void qk_prefetch(const void *p) {
#if defined(__x86_64__) || defined(__aarch64__)
  for (int line = 0; line < 16; line++) __builtin_prefetch((const char *)p + 64 * line);
#else
  (void)p;
#endif
}

/* Requantization of the output channels; every array is padded to whole channel blocks (multiplier 0 in the padding). */
typedef struct {
  const int32_t *bias;       /* bias with the input zero point folded in: b - inputZeroPoint * sum(w) */
  const int32_t *weightSums; /* sum of the weights of each channel, for sets whose dot product takes unsigned input */
  const int32_t *multiplier;
  const int32_t *shift;
  int32_t outputZeroPoint;
  int32_t outputMin;
  int32_t outputMax;
} qk_channel_quantization;

/* matmul: pixelCount output pixels x channelCount output channels of a convolution, or rows of a dense layer.
 *   x(p, r) = rows[p * pointerStride + r] + p * pixelStride
 *   acc[p][o] = bias[o] + sum over r, k of x(p, r)[k] * weights[o / 16][r][k / 4][o % 16][k % 4]
 *   output[p * outputStride + o] = clamp(outputZeroPoint + requantize(acc[p][o]))
 * Pixels at equal distances share one list of rows (pointerStride 0); pixels with lists of their own, for example where
 * padding comes in, have pointerStride rowCount and pixelStride 0.
 * A row is 4 * rowGroups bytes; where the kernel row is shorter the weights are zero, and up to 3 bytes after it are read.
 * A set whose dot product takes unsigned input may ask for rows that were flipped while they were copied anyway. */
typedef struct {
  const int8_t *const *rows; /* rowCount pointers, or pixelCount lists of them */
  int32_t pointerStride;     /* pointers between the lists of adjacent output pixels: 0 or rowCount */
  int32_t rowCount;          /* 0 for pixels that no input reaches: their outputs are of the biases alone */
  int32_t rowGroups;         /* at least 1 */
  int32_t pixelStride; /* bytes between the receptive fields of adjacent output pixels */
  int32_t pixelCount;
  int32_t flipped;       /* matmul only, and only of sets that ask for it: 1 if the rows hold input ^ 0x80, else 0 */
  const int8_t *weights; /* [ceil(channelCount / 16)][rowCount][rowGroups][16][4] */
  qk_channel_quantization quantization;
  void *output;         /* int8_t; int16_t for matmul16 */
  int32_t outputStride; /* elements between output pixels */
  int32_t channelCount;
} qk_matmul_args;

/* matmul16: matmul with int16 outputs: output points to int16_t, outputStride counts elements, and the clamp is
 * within -32768...32767. */

/* dense: matmul of one pixel, of one row, whose channels share a scale that shifts right, so that less is read beside the
 * weights. quantization.bias holds the start values of the sums of unsigned input, bias - 128 * weightSums; weightSums is not
 * used; multiplier and shift point to one value each. An optional primitive. */

/* depthwise: pixelCount output pixels of channelCount channels; every channel has its own tapCount weights.
 *   x(p, t) = taps[p * pointerStride + t] + p * pixelStride
 *   acc[p][c] = bias[c] + sum over t of x(p, t)[c] * weights[c / 16][t / 4][c % 16][t % 4] */
typedef struct {
  const int8_t *const *taps; /* tapCount pointers to channel 0, or pixelCount lists of them */
  int32_t pointerStride;     /* 0 or tapCount */
  int32_t tapCount;
  int32_t pixelStride;
  int32_t pixelCount;
  int32_t channelCount;
  const int8_t *weights; /* [ceil(channelCount / 16)][ceil(tapCount / 4)][16][4], zero in the padding */
  qk_channel_quantization quantization;
  int8_t *output;
  int32_t outputStride;
} qk_depthwise_args;

/* depthwise3x3: a whole image under a window of 3 x 3 with dilation 1, without copies of padded rows. The values are those
 * of depthwise with nine taps, where a tap outside the input has the value inputZeroPoint. An optional primitive: a set
 * without it is given depthwise.
 *   tap(y, x, t) = input[y * strideHeight - padTop + t / 3][x * strideWidth - padLeft + t % 3] */
typedef struct {
  const int8_t *input; /* [height][width][channelCount] */
  int32_t height, width;
  int32_t channelCount;
  int32_t strideHeight, strideWidth, padTop, padLeft;
  int32_t outputHeight, outputWidth;
  int32_t inputZeroPoint;
  const int8_t *weights; /* as for depthwise: [ceil(channelCount / 16)][3][16][4] */
  qk_channel_quantization quantization;
  int8_t *output; /* [outputHeight][outputWidth][channelCount] */
} qk_depthwise3x3_args;

/* winograd3x3: a whole image under a window of 3 x 3 with strides and dilation of 1. The values are those of matmul for the
 * same convolution, computed by Winograd's minimal filtering F(4x4, 3x3): a tile of 4 x 4 outputs takes 36 products per
 * pair of channels instead of 144. It is exact: all is integer, and what wraps at 32 bits comes back, because
 * |acc| < 2^25 for every channel. Every scale shifts right (shift < 0) or has multiplier 0. An optional primitive.
 *   weights: G w G' for each input and output channel, int16; G = [6 0 0; 1 1 1; 1 -1 1; 1 2 4; 1 -2 4; 0 0 6]; element
 *            (i, j) of output channel o and input channel c at [o / 16][j][c / 2][i][o % 16][c % 2]
 *   scratch: qk_winograd3x3_scratch_size bytes, aligned to 64 bytes */
typedef struct {
  const int8_t *input; /* [height][width][channelCount] */
  int32_t height, width;
  int32_t channelCount; /* a multiple of 16 */
  int32_t padTop, padLeft;
  int32_t outputHeight, outputWidth;
  int32_t inputZeroPoint;
  const int16_t *weights;
  qk_channel_quantization quantization;
  int8_t *output; /* [outputHeight][outputWidth][outputChannelCount] */
  int32_t outputChannelCount;
  void *scratch;
} qk_winograd3x3_args;

/* Two groups of sums, the constants of the channel blocks, transformed columns, four transformed tiles, a pixel of padding. */
static inline size_t qk_winograd3x3_scratch_size(size_t channelCount, size_t outputChannelCount) {
  return 2 * 6144 + (outputChannelCount + 15) / 16 * 512 + 3456 + channelCount * (288 + 1) + 256;
}
/* convolution: the matmul calls of a whole image, where they are one per output row. A kernel row is one run of bytes in the
 * input: kernelWidth * channelCount, without dilation. An optional primitive.
 *   output[y][x][o] = the output of matmul for the rows k = 0 ... kernelHeight - 1 with
 *   x(y, x, k) = input row y * strideHeight - padTop + k * dilationHeight from column x * strideWidth - padLeft on
 *   Input rows and columns outside the image have the value inputZeroPoint. */
typedef struct {
  const int8_t *input; /* [height][width][channelCount] */
  int32_t height, width;
  int32_t channelCount;
  int32_t kernelHeight, kernelWidth, strideHeight, strideWidth, dilationHeight, padTop, padLeft;
  int32_t outputHeight, outputWidth;
  int32_t inputZeroPoint;
  const int8_t *weights; /* as for matmul */
  qk_channel_quantization quantization;
  int8_t *output; /* [outputHeight][outputWidth][outputChannelCount] */
  int32_t outputChannelCount;
  const int8_t **rows; /* room for kernelHeight pointers */
  int8_t *ring;        /* room for slotCount copies of rows, or null if no window leaves the input on the left or right */
  int8_t *padding;     /* room for a row of slotBytes, or null if no window leaves the input above or below */
  int32_t slotCount;   /* (kernelHeight - 1) * dilationHeight + 1, or height if that is less */
  int32_t slotBytes;   /* at least ((outputWidth - 1) * strideWidth + kernelWidth) * channelCount; 3 more may be read */
} qk_convolution_args;

/* add: count elements of a + b, each input rescaled to a common scale first; a step of 0 repeats one element.
 * A subtraction has a negative bMultiplier: b is requantized with its magnitude, then subtracted (a negative factor would
 * round exact halves the other way). */
typedef struct {
  const int8_t *a;
  const int8_t *b;
  int32_t aStep; /* 0 or 1 */
  int32_t bStep;
  int32_t count;
  int32_t leftShift;
  int32_t aZeroPoint, aMultiplier, aShift;
  int32_t bZeroPoint, bMultiplier, bShift;
  int32_t outputMultiplier, outputShift, outputZeroPoint, outputMin, outputMax;
  int8_t *output;
} qk_add_args;

/* mul: count elements of (a - aZeroPoint) * (b - bZeroPoint), requantized once. */
typedef struct {
  const int8_t *a;
  const int8_t *b;
  int32_t aStep;
  int32_t bStep;
  int32_t count;
  int32_t aZeroPoint, bZeroPoint;
  int32_t multiplier, shift, outputZeroPoint, outputMin, outputMax;
  int8_t *output;
} qk_mul_args;

/* lstm_cell: one time step of an LSTM's cells behind the products, with tanh as both activations and without peepholes.
 *   argument(g) = clamp(inputProducts[g * hiddenSize + j] + recurrentProducts[g * hiddenSize + j], gateMin, gateMax)
 *   next = clamp(clamp16(requantize(logistic(argument(2)) * cell[j]; forget))
 *                + clamp16(requantize(logistic(argument(0)) * tanh(argument(3)); candidate)), cellMin, cellMax)
 *   hidden[j] = clamp8(hiddenZeroPoint + requantize(tanh(next) * logistic(argument(1)); output)); output[j] the same
 * The functions interpolate in sigmoidTable: interpolatedLogistic, interpolatedTanh, sigmoidTableInput of the Swift source.
 * An optional primitive: a set without it computes cell by cell. */
typedef struct {
  const int16_t *inputProducts, *recurrentProducts; /* [4][hiddenSize] */
  int32_t hiddenSize;
  int32_t gateMin, gateMax, cellMin, cellMax;
  int32_t cellShift; /* of the table input of tanh(next): 3 * next * 2^cellShift; negative rounds */
  int32_t forgetMultiplier, forgetShift, candidateMultiplier, candidateShift, outputMultiplier, outputShift;
  int32_t hiddenZeroPoint;
  const uint16_t *sigmoidTable; /* 256 entries */
  int16_t *cell;
  int8_t *hidden;
  int8_t *output; /* may be null */
} qk_lstm_cell_args;

/* lookup: output[i] = table[input[i] + 128]; output may be input. */
typedef struct {
  const int8_t *input;
  const int8_t *table; /* 256 entries */
  int8_t *output;
  int32_t count;
} qk_lookup_args;

/* pool: one output pixel of channelCount channels over a window of rowCount x columnCount input pixels. */
typedef struct {
  const int8_t *const *rows; /* rowCount pointers to channel 0 of the leftmost pixel of the window */
  int32_t rowCount;
  int32_t columnCount;
  int32_t columnStride; /* bytes between adjacent pixels of the window */
  int32_t channelCount;
  int32_t divisor; /* average_pool only: the count to divide by, rounding half away from zero */
  int32_t outputMin, outputMax;
  int8_t *output; /* max_pool, average_pool */
  int32_t *sums;  /* window_sum: channelCount exact sums */
} qk_pool_args;

/* One set's primitives. */
typedef struct {
  void (*matmul)(const qk_matmul_args *);
  void (*matmul16)(const qk_matmul_args *);
  void (*depthwise)(const qk_depthwise_args *);
  void (*add)(const qk_add_args *);
  void (*mul)(const qk_mul_args *);
  void (*lookup)(const qk_lookup_args *);
  void (*max_pool)(const qk_pool_args *);
  void (*average_pool)(const qk_pool_args *);
  void (*window_sum)(const qk_pool_args *);
  /* Null where the set has none. */
  void (*depthwise3x3)(const qk_depthwise3x3_args *);
  void (*lstm_cell)(const qk_lstm_cell_args *);
  void (*winograd3x3)(const qk_winograd3x3_args *);
  void (*dense)(const qk_matmul_args *);
  void (*convolution)(const qk_convolution_args *);
  /* Whether matmul gains from rows that are flipped where they are copied (qk_matmul_args.flipped). */
  int32_t asks_for_flipped_rows;
} qk_inner_table;

/* A set's primitives and the table of those that every set has. */
#define QK_DECLARE_INNER_SET(set)                            \
  void qk_##set##_matmul(const qk_matmul_args *args);        \
  void qk_##set##_matmul16(const qk_matmul_args *args);      \
  void qk_##set##_depthwise(const qk_depthwise_args *args);  \
  void qk_##set##_add(const qk_add_args *args);              \
  void qk_##set##_mul(const qk_mul_args *args);              \
  void qk_##set##_lookup(const qk_lookup_args *args);        \
  void qk_##set##_max_pool(const qk_pool_args *args);        \
  void qk_##set##_average_pool(const qk_pool_args *args);    \
  void qk_##set##_window_sum(const qk_pool_args *args);      \
  static inline qk_inner_table qk_##set##_table(void) {      \
    qk_inner_table table = {qk_##set##_matmul,    qk_##set##_matmul16, qk_##set##_depthwise,    \
                            qk_##set##_add,       qk_##set##_mul,      qk_##set##_lookup,       \
                            qk_##set##_max_pool,  qk_##set##_average_pool, qk_##set##_window_sum, \
                            0, 0, 0, 0, 0, 0};               \
    return table;                                            \
  }

QK_DECLARE_INNER_SET(scalar)
#if defined(__x86_64__)
QK_DECLARE_INNER_SET(avx512vnni)
void qk_avx512vnni_depthwise3x3(const qk_depthwise3x3_args *args);
void qk_avx512vnni_lstm_cell(const qk_lstm_cell_args *args);
void qk_avx512vnni_winograd3x3(const qk_winograd3x3_args *args);
void qk_avx512vnni_dense(const qk_matmul_args *args);
void qk_avx512vnni_convolution(const qk_convolution_args *args);
QK_DECLARE_INNER_SET(avxvnni)
void qk_avxvnni_winograd3x3(const qk_winograd3x3_args *args);
QK_DECLARE_INNER_SET(avx2)
void qk_avx2_winograd3x3(const qk_winograd3x3_args *args);
QK_DECLARE_INNER_SET(sse)
void qk_sse_winograd3x3(const qk_winograd3x3_args *args);
#elif defined(__aarch64__)
QK_DECLARE_INNER_SET(neondot)
void qk_neondot_depthwise3x3(const qk_depthwise3x3_args *args);
QK_DECLARE_INNER_SET(neon)
void qk_neon_winograd3x3(const qk_winograd3x3_args *args);
#elif defined(__arm__) && defined(__ARM_FEATURE_DSP)
QK_DECLARE_INNER_SET(cortexmdsp)
#endif

#if defined(QK_STATIC_SET)
/* Bare metal: the one set of the build is called directly, so that the linker drops the primitives that no kernel of the
 * program uses. */
#define QK_JOIN_NAMES(set, primitive) qk_##set##_##primitive
#define QK_STATIC_NAME(set, primitive) QK_JOIN_NAMES(set, primitive)
#define QK_STATIC_PRIMITIVE(primitive, arguments)                    \
  void QK_STATIC_NAME(QK_STATIC_SET, primitive)(const arguments *);  \
  static inline void qk_static_##primitive(const arguments *args) {  \
    QK_STATIC_NAME(QK_STATIC_SET, primitive)(args);                  \
  }
QK_STATIC_PRIMITIVE(matmul, qk_matmul_args)
QK_STATIC_PRIMITIVE(matmul16, qk_matmul_args)
QK_STATIC_PRIMITIVE(depthwise, qk_depthwise_args)
QK_STATIC_PRIMITIVE(add, qk_add_args)
QK_STATIC_PRIMITIVE(mul, qk_mul_args)
QK_STATIC_PRIMITIVE(lookup, qk_lookup_args)
QK_STATIC_PRIMITIVE(max_pool, qk_pool_args)
QK_STATIC_PRIMITIVE(average_pool, qk_pool_args)
QK_STATIC_PRIMITIVE(window_sum, qk_pool_args)
#define QK_TEXT_OF(name) #name
#define QK_TEXT(name) QK_TEXT_OF(name)
static inline const char *qk_static_set_name(void) { return QK_TEXT(QK_STATIC_SET); }
#endif
