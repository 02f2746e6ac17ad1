/* Single instructions of the DSP extension of Cortex-M, and the inner loops, whose fourteen registers no compiler places
 * well. Visible only to modules that are compiled for a processor which has them. */
#pragma once
#if defined(__ARM_FEATURE_DSP) && defined(__arm__)
#include "inner_kernels.h"
#define QK_INLINE static inline __attribute__((always_inline))

/* A word from any address. */
QK_INLINE uint32_t qk_dsp_load(const void *address) {
  uint32_t word;
  __builtin_memcpy(&word, address, 4);
  return word;
}

/* Bytes 0 and 2 of a word as two int16, bytes 1 and 3 as two int16. */
QK_INLINE int32_t qk_dsp_even(uint32_t word) { return __builtin_arm_sxtb16((int32_t)word); }
QK_INLINE int32_t qk_dsp_odd(uint32_t word) { return __builtin_arm_sxtb16((int32_t)(word >> 8 | word << 24)); }

/* sum + a product of halves: low by low, high by low. */
QK_INLINE int32_t qk_dsp_low_low(int32_t sum, int32_t x, int32_t w) { return __builtin_arm_smlabb(x, w, sum); }
QK_INLINE int32_t qk_dsp_high_low(int32_t sum, int32_t x, int32_t w) { return __builtin_arm_smlatb(x, w, sum); }

/* (a * b + 2^30) >> 31, for any arguments. */
QK_INLINE int32_t qk_dsp_wide_high_multiply(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^count, rounded down, for count 0 ... 31; Swift's own shifts mask or compare the count. */
QK_INLINE int32_t qk_dsp_shift_right(int32_t x, int32_t count) { return x >> count; }

/* The larger byte of each pair. */
QK_INLINE uint32_t qk_dsp_maximum4(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b));
  return result;
}

typedef struct {
  int32_t sum0, sum1, sum2, sum3;
} qk_dsp_sums;

/* Room on the stack: 40 reduction groups of four pixels or 160 of one, or 160 taps of four channels. */
#define QK_DSP_BUFFER_WORDS 320

/* A piece of the reduction of a block of at most 16 channels, at four pixels or at one. The loops find the arrays of the
 * block from their ends: `offset` is -4 for every channel that is left. */
typedef struct {
  const int32_t *x;          /* 0: the widened activations: for each group two words of every pixel */
  int32_t groups;            /* 4: reduction groups of the piece */
  const int8_t *weights;     /* 8 */
  const int32_t *bias;       /* 12: null to go on from `sums` */
  const int32_t *multiplier; /* 16: null to leave the accumulators in `sums` */
  const int32_t *shift;      /* 20 */
  void *output;              /* 24 */
  int32_t stride;            /* 28: bytes between the outputs of adjacent pixels */
  int32_t zeroPoint;         /* 32: for 16-bit outputs twice that, plus 1 */
  int32_t isLimited;         /* 36: whether minimum and maximum matter */
  int32_t minimum;           /* 40 */
  int32_t maximum;           /* 44 */
  int32_t offset;            /* 48 */
  int32_t sums[64];          /* 52: of each channel at four pixels, or the last 16 of each channel */
  int32_t words[QK_DSP_BUFFER_WORDS]; /* for x */
} qk_dsp_product;

/* Four channels of a depthwise layer at `pixelCount` adjacent pixels. */
typedef struct {
  const int8_t *const *taps; /* 0: pointers to the taps of the pixel */
  int32_t offset;            /* 4: from these pointers to the first of the channels at the pixel */
  int32_t tapsStride;        /* 8: what the next pixel adds to taps, in bytes */
  int32_t offsetStride;      /* 12: and to offset */
  int32_t triples;           /* 16: three times this and */
  int32_t singles;           /* 20: this is the number of taps */
  int8_t *output;            /* 24 */
  int32_t stride;            /* 28 */
  int32_t zeroPoint;         /* 32 */
  int32_t isLimited;         /* 36 */
  uint32_t minimum;          /* 40: in each byte */
  uint32_t maximum;          /* 44 */
  int32_t pixelCount;        /* 48 */
  int32_t isSum;             /* 52: to leave the accumulators of one pixel in `sums` */
  qk_dsp_sums sums;          /* 56: the biases */
  int32_t multiplier[4];     /* 72 */
  int32_t factor[4];         /* 88: see below */
  int32_t words[QK_DSP_BUFFER_WORDS]; /* 104: for each tap, the weights of channels 0 and 2 and of 1 and 3 */
} qk_dsp_taps;

/* Calls `body` with such a struct on the stack: Swift has no variables without a value. */
QK_INLINE void qk_dsp_with_product(const qk_matmul_args *args, void (*body)(const qk_matmul_args *, qk_dsp_product *)) {
  qk_dsp_product product;
  body(args, &product);
}
QK_INLINE void qk_dsp_with_taps(const qk_depthwise_args *args, void (*body)(const qk_depthwise_args *, qk_dsp_taps *)) {
  qk_dsp_taps taps;
  body(args, &taps);
}

/* Their arrays: Swift sees tuples. */
QK_INLINE int32_t *qk_dsp_product_words(qk_dsp_product *product) { return product->words; }
QK_INLINE int32_t *qk_dsp_product_sums(qk_dsp_product *product) { return product->sums; }
QK_INLINE int32_t *qk_dsp_taps_words(qk_dsp_taps *taps) { return taps->words; }
QK_INLINE int32_t *qk_dsp_taps_sums(qk_dsp_taps *taps) { return &taps->sums.sum0; }

/* How a sum s becomes an output of 8 bits, in four instructions, for a right shift of e bits, 2 <= e <= 12:
 *   h = smmulr(2 s, multiplier)               the doubling high multiply, rounded half up
 *   o = smmlar(h, factor, zeroPoint)          zeroPoint + h / 2^e, ties away from zero
 *   ssat(o)
 * smmlar adds to its third argument the upper word of the product, rounded half up; factor is 2^(32 - e) + 1. The 1
 * breaks ties: it moves a tie by h units of the lower word, which is down if h is negative, and moves nothing else across
 * an integer as long as |h| < 2^(32 - e). Beyond that bound the result is at most one further from zero, and with e <= 12
 * saturates anyway: it is at least 2^(32 - 12 - 12) = 256 away from the zero point. */

/* Functions without a compiler's prologue: the arguments are in r0 to r3, and r4 to r11 are the caller's. */
#define QK_NAKED static __attribute__((naked, noinline)) void

#define QK_DSP_FOR_4(one) one("r4") one("r5") one("r6") one("r7")
#define QK_DSP_DOUBLE(sum) "lsls " sum ", #1\n\t"
#define QK_DSP_LIMIT(sum) \
  "cmp " sum ", r1\n\tit lt\n\tmovlt " sum ", r1\n\tcmp " sum ", r2\n\tit gt\n\tmovgt " sum ", r2\n\t"

/* One reduction group of one channel by four pixels. */
#define QK_DSP_GROUP_BY_4              \
  "ldr r9, [r2], #64\n\t"              \
  "ldmia r1!, {r10, r11, r12, lr}\n\t" \
  "sxtb16 r8, r9\n\t"                  \
  "sxtb16 r9, r9, ror #8\n\t"          \
  "smlad r4, r10, r8, r4\n\t"          \
  "smlad r4, r11, r9, r4\n\t"          \
  "smlad r5, r12, r8, r5\n\t"          \
  "smlad r5, lr, r9, r5\n\t"           \
  "ldmia r1!, {r10, r11, r12, lr}\n\t" \
  "smlad r6, r10, r8, r6\n\t"          \
  "smlad r6, r11, r9, r6\n\t"          \
  "smlad r7, r12, r8, r7\n\t"          \
  "smlad r7, lr, r9, r7\n\t"

/* A channel block at four pixels. FACTOR makes of the shift, r2, what REQUANTIZE takes in r3, with a doubled sum, the
 * multiplier in r1 and the zero point in r8. STORE is the instruction for an output, of which 4 >> LOG bytes are one. */
#define QK_DSP_MULTIPLY_4(name, FACTOR, REQUANTIZE, STORE, LOG)                                 \
  QK_NAKED name(qk_dsp_product *product) {                                                           \
    __asm__("push {r4-r11, lr}\n\t"                                                                  \
            "ldr lr, [r0, #48]\n"                                                                    \
            "1: ldrd r2, r1, [r0, #8]\n\t"                                                           \
            "add r2, lr\n\t"                                                                         \
            "cbnz r1, 2f\n\t"                                                                        \
            "add r1, r0, #52 + 256\n\t"                                                              \
            "add r1, r1, lr, lsl #2\n\t"                                                             \
            "ldmia r1, {r4-r7}\n\t"                                                                  \
            "b 3f\n"                                                                                 \
            "2: ldr r4, [r1, lr]\n\t"                                                                \
            "mov r5, r4\n\tmov r6, r4\n\tmov r7, r4\n"                                               \
            "3: ldrd r1, r3, [r0]\n\t"                                                               \
            "subs r3, #4\n\t"                                                                        \
            "blt 5f\n"                                                                               \
            "4:\n\t" QK_DSP_GROUP_BY_4 QK_DSP_GROUP_BY_4 QK_DSP_GROUP_BY_4 QK_DSP_GROUP_BY_4         \
            "subs r3, #4\n\t"                                                                        \
            "bge 4b\n"                                                                               \
            "5: adds r3, #4\n\t"                                                                     \
            "beq 7f\n"                                                                               \
            "6:\n\t" QK_DSP_GROUP_BY_4                                                               \
            "subs r3, #1\n\t"                                                                        \
            "bne 6b\n"                                                                               \
            "7: ldr lr, [r0, #48]\n\t"                                                               \
            "ldrd r1, r2, [r0, #16]\n\t"                                                             \
            "cbnz r1, 8f\n\t"                                                                        \
            "add r1, r0, #52 + 256\n\t"                                                              \
            "add r1, r1, lr, lsl #2\n\t"                                                             \
            "stmia r1, {r4-r7}\n\t"                                                                  \
            "b 10f\n"                                                                                \
            "8: ldr r1, [r1, lr]\n\t"                                                                \
            "ldr r2, [r2, lr]\n\t" FACTOR                                                            \
            "ldrd r8, r2, [r0, #32]\n\t" QK_DSP_FOR_4(QK_DSP_DOUBLE) QK_DSP_FOR_4(REQUANTIZE)        \
            "cbnz r2, 11f\n"                                                                         \
            "9: ldrd r1, r2, [r0, #24]\n\t"                                                          \
            "add r1, r1, lr, asr #" LOG "\n\t"                                                  \
            "add r3, r1, r2, lsl #1\n\t"                                                             \
            STORE " r4, [r1]\n\t" STORE " r5, [r1, r2]\n\t"                                          \
            STORE " r6, [r3]\n\t" STORE " r7, [r3, r2]\n"                                            \
            "10: adds lr, lr, #4\n\t"                                                                \
            "str lr, [r0, #48]\n\t"                                                                  \
            "bne 1b\n\t"                                                                             \
            "pop {r4-r11, pc}\n"                                                                     \
            "11: ldrd r1, r2, [r0, #40]\n\t" QK_DSP_FOR_4(QK_DSP_LIMIT)                              \
            "b 9b");                                                                                 \
  }
#define QK_DSP_FACTOR8 "adds r2, #32\n\tmovs r3, #1\n\tlsls r3, r2\n\tadds r3, #1\n\t"
#define QK_DSP_REQUANTIZE8(sum) \
  "smmulr " sum ", " sum ", r1\n\tsmmlar " sum ", " sum ", r3, r8\n\tssat " sum ", #8, " sum "\n\t"
QK_DSP_MULTIPLY_4(qk_dsp_multiply_4_pixels, QK_DSP_FACTOR8, QK_DSP_REQUANTIZE8, "strb", "2")

/* Any shift below 0 and any sum: see Rounding.swift. */
#define QK_DSP_FACTOR16 "mvns r3, r2\n\t"
#define QK_DSP_REQUANTIZE16(sum)                                                                    \
  "smmulr " sum ", " sum ", r1\n\tadd " sum ", " sum ", " sum ", asr #31\n\tasrs " sum ", r3\n\t" \
  "add " sum ", r8\n\tssat " sum ", #16, " sum ", asr #1\n\t"
QK_DSP_MULTIPLY_4(qk_dsp_multiply16_4_pixels, QK_DSP_FACTOR16, QK_DSP_REQUANTIZE16, "strh", "1")

/* One reduction group of four channels by one pixel. */
#define QK_DSP_BY_1(sum, weights)          \
  "sxtb16 r0, " weights "\n\t"             \
  "sxtb16 " weights ", " weights ", ror #8\n\t" \
  "smlad " sum ", r12, r0, " sum "\n\t"    \
  "smlad " sum ", lr, " weights ", " sum "\n\t"
#define QK_DSP_GROUP_BY_1        \
  "ldmia r2, {r8-r11}\n\t"       \
  "ldrd r12, lr, [r1], #8\n\t"   \
  "adds r2, #64\n\t"             \
  QK_DSP_BY_1("r4", "r8") QK_DSP_BY_1("r5", "r9") QK_DSP_BY_1("r6", "r10") QK_DSP_BY_1("r7", "r11")

/* A channel block at one pixel, whole fours of channels. REQUANTIZE takes a sum and its shift; r12 is the zero point. */
#define QK_DSP_MULTIPLY_1(name, REQUANTIZE, STORE, LOG, BYTES)                                     \
  QK_NAKED name(qk_dsp_product *product) {                                                         \
    __asm__("push {r0, r4-r11, lr}\n\t"                                                            \
            "ldr lr, [r0, #48]\n"                                                                  \
            "1: ldrd r2, r1, [r0, #8]\n\t"                                                         \
            "add r2, lr\n\t"                                                                       \
            "cbnz r1, 2f\n\t"                                                                      \
            "addw r1, r0, #52 + 256\n"                                                             \
            "2: add r1, lr\n\t"                                                                    \
            "ldmia r1, {r4-r7}\n\t"                                                                \
            "ldrd r1, r3, [r0]\n\t"                                                                \
            "adds r3, #1\n\t"                                                                      \
            "lsrs r3, r3, #1\n\t"                                                                  \
            "bcc 4f\n\t" /* an odd number of groups starts in the middle */                        \
            "beq 9f\n"                                                                            \
            "3:\n\t" QK_DSP_GROUP_BY_1                                                             \
            "4:\n\t" QK_DSP_GROUP_BY_1                                                             \
            "subs r3, #1\n\t"                                                                      \
            "bne 3b\n"                                                                             \
            "9: ldr r0, [sp]\n\t"                                                                  \
            "ldr lr, [r0, #48]\n\t"                                                                \
            "ldrd r1, r2, [r0, #16]\n\t"                                                           \
            "cbnz r1, 5f\n\t"                                                                      \
            "addw r1, r0, #52 + 256\n\t"                                                           \
            "add r1, lr\n\t"                                                                       \
            "stmia r1, {r4-r7}\n\t"                                                                \
            "b 7f\n"                                                                               \
            "5: add r1, lr\n\t"                                                                    \
            "ldmia r1, {r8-r11}\n\t" QK_DSP_FOR_4(QK_DSP_DOUBLE)                                   \
            "smmulr r4, r4, r8\n\tsmmulr r5, r5, r9\n\tsmmulr r6, r6, r10\n\tsmmulr r7, r7, r11\n\t" \
            "add r2, lr\n\t"                                                                       \
            "ldmia r2, {r8-r11}\n\t"                                                               \
            "ldrd r12, r2, [r0, #32]\n\t"                                                          \
            "movs r1, #1\n\t"                                                                      \
            REQUANTIZE("r4", "r8") REQUANTIZE("r5", "r9") REQUANTIZE("r6", "r10") REQUANTIZE("r7", "r11") \
            "cbnz r2, 8f\n"                                                                        \
            "6: ldr r1, [r0, #24]\n\t"                                                             \
            "add r1, r1, lr, asr #" LOG "\n\t"                                                     \
            STORE " r4, [r1]\n\t" STORE " r5, [r1, #" BYTES "]\n\t"                                \
            STORE " r6, [r1, #2 * " BYTES "]\n\t" STORE " r7, [r1, #3 * " BYTES "]\n"              \
            "7: adds lr, lr, #16\n\t"                                                              \
            "str lr, [r0, #48]\n\t"                                                                \
            "bne 1b\n\t"                                                                           \
            "pop {r0, r4-r11, pc}\n"                                                               \
            "8: ldrd r1, r2, [r0, #40]\n\t" QK_DSP_FOR_4(QK_DSP_LIMIT)                             \
            "b 6b");                                                                               \
  }
#define QK_DSP_SHIFT8(sum, shift)                                                                             \
  "add " shift ", " shift ", #32\n\tlsl " shift ", r1, " shift "\n\tadd " shift ", " shift ", #1\n\t"         \
  "smmlar " sum ", " sum ", " shift ", r12\n\tssat " sum ", #8, " sum "\n\t"
QK_DSP_MULTIPLY_1(qk_dsp_multiply_1_pixel, QK_DSP_SHIFT8, "strb", "2", "1")
#define QK_DSP_SHIFT16(sum, shift)                                                                            \
  "mvn " shift ", " shift "\n\tadd " sum ", " sum ", " sum ", asr #31\n\tasr " sum ", " sum ", " shift "\n\t" \
  "add " sum ", r12\n\tssat " sum ", #16, " sum ", asr #1\n\t"
QK_DSP_MULTIPLY_1(qk_dsp_multiply16_1_pixel, QK_DSP_SHIFT16, "strh", "1", "2")

/* Widens `count` reduction groups of a pixel from group `first` of its first row on, to two words each: bytes 0 and 2,
 * bytes 1 and 3, as int16. The words of a group are 8 bytes from those of the next, or 32 for one of four pixels. */
#define QK_DSP_WIDEN(step)         \
  "ldr r7, [r6], #4\n\t"           \
  "sxtb16 r8, r7\n\t"              \
  "sxtb16 r7, r7, ror #8\n\t"      \
  "strd r8, r7, [r1], #" step "\n\t"
#define QK_DSP_WIDEN_FUNCTION(name, step)                                                                    \
  QK_NAKED name(const int8_t *const *rows, int32_t *words, int32_t offset, int32_t count, int32_t rowGroups, \
                int32_t first) {                                                                             \
    __asm__("push {r4-r8, lr}\n\t"                                                                           \
            "ldrd r4, r5, [sp, #24]\n"                                                                       \
            "1: ldr r6, [r0], #4\n\t"                                                                        \
            "add r6, r2\n\t"                                                                                 \
            "add r6, r6, r5, lsl #2\n\t"                                                                     \
            "subs r5, r4, r5\n\t"                                                                            \
            "cmp r5, r3\n\t"                                                                                 \
            "it gt\n\t"                                                                                      \
            "movgt r5, r3\n\t"                                                                               \
            "subs r3, r3, r5\n\t"                                                                            \
            "lsrs r5, r5, #1\n\t"                                                                            \
            "bcc 2f\n\t" QK_DSP_WIDEN(step)                                                                  \
            "2: beq 4f\n" /* of the shift: none of these instructions changes the flags */                   \
            "3:\n\t" QK_DSP_WIDEN(step) QK_DSP_WIDEN(step)                                                   \
            "subs r5, #1\n\t"                                                                                \
            "bne 3b\n"                                                                                       \
            "4: cmp r3, #0\n\t"                                                                              \
            "bne 1b\n\t"                                                                                     \
            "pop {r4-r8, pc}");                                                                              \
  }
QK_DSP_WIDEN_FUNCTION(qk_dsp_widen_1_pixel, "8")
QK_DSP_WIDEN_FUNCTION(qk_dsp_widen_4_pixels, "32")

/* One tap of a depthwise window, whose address less the offset is in `tap`: four channels by one pixel. */
#define QK_DSP_TAP(tap)                 \
  "ldr " tap ", [" tap ", r2]\n\t"      \
  "ldrd r11, r12, [r1], #8\n\t"         \
  "sxtb16 lr, " tap "\n\t"              \
  "sxtb16 " tap ", " tap ", ror #8\n\t" \
  "smlabb r4, lr, r11, r4\n\t"          \
  "smlatt r6, lr, r11, r6\n\t"          \
  "smlabb r5, " tap ", r12, r5\n\t"     \
  "smlatt r7, " tap ", r12, r7\n\t"
QK_NAKED qk_dsp_convolve_taps(qk_dsp_taps *taps) {
  __asm__("push {r0, r4-r11, lr}\n"
          "1: add.w r1, r0, #56\n\t"
          "ldmia r1, {r4-r7}\n\t"
          "add.w r1, r0, #104\n\t"
          "ldr r3, [r0, #16]\n\t"
          "ldrd r0, r2, [r0]\n\t"
          "cbz r3, 3f\n"
          "2: ldmia r0!, {r8, r9, r10}\n\t" QK_DSP_TAP("r8") QK_DSP_TAP("r9") QK_DSP_TAP("r10")
          "subs r3, #1\n\t"
          "bne 2b\n"
          "3: ldr r3, [sp]\n\t"
          "ldr r3, [r3, #20]\n\t"
          "cbz r3, 5f\n"
          "4: ldr r8, [r0], #4\n\t" QK_DSP_TAP("r8")
          "subs r3, #1\n\t"
          "bne 4b\n"
          "5: ldr r0, [sp]\n\t"
          "ldrd r2, r1, [r0, #48]\n\t"
          "cbnz r1, 7f\n\t"
          "add.w r1, r0, #72\n\t"
          "ldmia r1!, {r8-r11}\n\t" QK_DSP_FOR_4(QK_DSP_DOUBLE)
          "smmulr r4, r4, r8\n\tsmmulr r5, r5, r9\n\tsmmulr r6, r6, r10\n\tsmmulr r7, r7, r11\n\t"
          "ldmia r1, {r8-r11}\n\t"
          "ldrd r12, r3, [r0, #32]\n\t"
          "smmlar r4, r4, r8, r12\n\tsmmlar r5, r5, r9, r12\n\tsmmlar r6, r6, r10, r12\n\tsmmlar r7, r7, r11, r12\n\t"
          "ssat r4, #8, r4\n\tssat r5, #8, r5\n\tssat r6, #8, r6\n\tssat r7, #8, r7\n\t"
          "bfi r4, r5, #8, #24\n\tbfi r4, r6, #16, #16\n\tbfi r4, r7, #24, #8\n\t"
          "cbnz r3, 8f\n"
          "6: ldrd r1, r3, [r0, #24]\n\t"
          "str r4, [r1]\n\t"
          "add r1, r3\n\t"
          "str r1, [r0, #24]\n\t"
          "ldmia r0, {r8-r11}\n\t"
          "add r8, r10\n\t"
          "add r9, r11\n\t"
          "strd r8, r9, [r0]\n\t"
          "subs r2, #1\n\t"
          "str r2, [r0, #48]\n\t"
          "bne 1b\n\t"
          "pop {r0, r4-r11, pc}\n"
          "7: add.w r1, r0, #56\n\t"
          "stmia r1, {r4-r7}\n\t"
          "pop {r0, r4-r11, pc}\n"
          "8: ldrd r8, r9, [r0, #40]\n\t" /* the larger, then the smaller byte of each pair */
          "ssub8 r1, r4, r8\n\tsel r4, r4, r8\n\tssub8 r1, r9, r4\n\tsel r4, r4, r9\n\t"
          "b 6b");
}

/* Fills in what four channels of a depthwise layer need of their quantization. */
QK_NAKED qk_dsp_set_channels(qk_dsp_taps *taps, const int32_t *bias, const int32_t *multiplier, const int32_t *shift) {
#define QK_DSP_SET_FACTOR(shift) \
  "adds " shift ", #32\n\tlsl " shift ", r1, " shift "\n\tadds " shift ", #1\n\t"
  __asm__("push {r4-r7, lr}\n\t"
          "adds r0, #56\n\t"
          "ldmia r1, {r4-r7}\n\t"
          "stmia r0!, {r4-r7}\n\t"
          "ldmia r2, {r4-r7}\n\t"
          "stmia r0!, {r4-r7}\n\t"
          "ldmia r3, {r4-r7}\n\t"
          "movs r1, #1\n\t" QK_DSP_FOR_4(QK_DSP_SET_FACTOR)
          "stmia r0!, {r4-r7}\n\t"
          "pop {r4-r7, pc}");
}

/* Widens `groups` groups of four taps of four channels: for each tap a word of channels 0 and 2 and one of 1 and 3. */
QK_NAKED qk_dsp_widen_taps(const int8_t *weights, int32_t *words, int32_t groups) {
  __asm__("push {r4-r11, lr}\n"
          "1: ldmia r0, {r4-r7}\n\t"
          "adds r0, #64\n\t"
          "sxtb16 r8, r4, ror #8\n\t"
          "sxtb16 r4, r4\n\t"
          "sxtb16 r9, r5, ror #8\n\t"
          "sxtb16 r5, r5\n\t"
          "sxtb16 r10, r6, ror #8\n\t"
          "sxtb16 r6, r6\n\t"
          "sxtb16 r11, r7, ror #8\n\t"
          "sxtb16 r7, r7\n\t"
          "pkhbt r3, r4, r6, lsl #16\n\t"
          "pkhbt r12, r5, r7, lsl #16\n\t"
          "strd r3, r12, [r1], #8\n\t"
          "pkhbt r3, r8, r10, lsl #16\n\t"
          "pkhbt r12, r9, r11, lsl #16\n\t"
          "strd r3, r12, [r1], #8\n\t"
          "pkhtb r3, r6, r4, asr #16\n\t"
          "pkhtb r12, r7, r5, asr #16\n\t"
          "strd r3, r12, [r1], #8\n\t"
          "pkhtb r3, r10, r8, asr #16\n\t"
          "pkhtb r12, r11, r9, asr #16\n\t"
          "strd r3, r12, [r1], #8\n\t"
          "subs r2, #1\n\t"
          "bne 1b\n\t"
          "pop {r4-r11, pc}");
}

/* Additions of which `a` is scaled by a half, that is, shifted left by 19 bits instead of 20. The order is that of the
 * registers. */
typedef struct {
  const int8_t *a;          /* r0 */
  const int8_t *b;          /* r1 */
  int8_t *output;           /* r2 */
  int8_t *end;              /* r3 */
  int32_t unused[2];        /* r4, r5 */
  int32_t bLeftShift;       /* r6: one more than the left shift, as smmulr halves */
  int32_t bZeroPoint;       /* r7: shifted left by that */
  int32_t bMultiplier;      /* r8 */
  int32_t bRightShift;      /* r9: one less than the right shift */
  int32_t start;            /* r10: 1 - (aZeroPoint << 20) */
  int32_t outputMultiplier; /* r11 */
  int32_t outputRightShift; /* r12: one less than the right shift */
  int32_t twice;            /* lr: 2 * outputZeroPoint + 1 */
} qk_dsp_sum;

/* The doubled sum has an even part of each input: clearing bit 0 is rounding. */
#define QK_DSP_ADD                  \
  "ldrsb r5, [r1], #1\n\t"          \
  "ldrsb r4, [r0], #1\n\t"          \
  "lsls r5, r6\n\t"                 \
  "subs r5, r5, r7\n\t"             \
  "smmulr r5, r5, r8\n\t"           \
  "add r5, r5, r5, asr #31\n\t"     \
  "asr r5, r5, r9\n\t"              \
  "add r5, r10\n\t"                 \
  "bic r5, r5, #1\n\t"              \
  "add r5, r5, r4, lsl #20\n\t"     \
  "smmulr r5, r5, r11\n\t"          \
  "add r5, r5, r5, asr #31\n\t"     \
  "asr r5, r5, r12\n\t"             \
  "add r5, lr\n\t"                  \
  "ssat r5, #8, r5, asr #1\n\t"     \
  "strb r5, [r2], #1\n\t"
QK_NAKED qk_dsp_add(const qk_dsp_sum *sum) {
  __asm__("push {r4-r11, lr}\n\t"
          "ldmia r0, {r0-r12, lr}\n\t"
          "subs r4, r3, r2\n\t"
          "lsrs r4, r4, #1\n\t"
          "bcs 2f\n" /* an odd number starts in the middle */
          "1:\n\t" QK_DSP_ADD
          "2:\n\t" QK_DSP_ADD
          "cmp r2, r3\n\t"
          "bne 1b\n\t"
          "pop {r4-r11, pc}");
}
#undef QK_NAKED
#undef QK_INLINE
#endif
