/* Single instructions of the DSP extension of Cortex-M, and the two inner loops whose registers a compiler cannot place.
 * Visible only to modules that are compiled for a processor which has them. */
#pragma once
#if defined(__ARM_FEATURE_DSP) && defined(__arm__)
#include <stdint.h>
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

/* sum + the products of low halves and of high halves. */
QK_INLINE int32_t qk_dsp_dot(int32_t sum, int32_t x, int32_t w) { return __builtin_arm_smlad(x, w, sum); }

/* sum + a product of halves: low by low, high by low, low by high, high by high. */
QK_INLINE int32_t qk_dsp_low_low(int32_t sum, int32_t x, int32_t w) { return __builtin_arm_smlabb(x, w, sum); }
QK_INLINE int32_t qk_dsp_high_low(int32_t sum, int32_t x, int32_t w) { return __builtin_arm_smlatb(x, w, sum); }
QK_INLINE int32_t qk_dsp_low_high(int32_t sum, int32_t x, int32_t w) { return __builtin_arm_smlabt(x, w, sum); }
QK_INLINE int32_t qk_dsp_high_high(int32_t sum, int32_t x, int32_t w) { return __builtin_arm_smlatt(x, w, sum); }

/* (a * b + 2^30) >> 31, for any arguments. */
QK_INLINE int32_t qk_dsp_wide_high_multiply(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* (a * b + 2^31) >> 32. */
QK_INLINE int32_t qk_dsp_high_multiply(int32_t a, int32_t b) {
  int32_t result;
  __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

/* x / 2^count, rounded down, for count 0 ... 31; Swift's own shifts mask or compare the count. */
QK_INLINE int32_t qk_dsp_shift_right(int32_t x, int32_t count) { return x >> count; }

/* x * 2^count, for count 0 ... 31. */
QK_INLINE int32_t qk_dsp_shift_left(int32_t x, int32_t count) { return (int32_t)((uint32_t)x << count); }

/* The larger byte of each pair. */
QK_INLINE uint32_t qk_dsp_maximum4(uint32_t a, uint32_t b) {
  uint32_t result;
  __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b));
  return result;
}

/* Four values, each halved (rounded down) and limited to -128...127, as the bytes of a word. */
QK_INLINE uint32_t qk_dsp_pack_halves(int32_t a, int32_t b, int32_t c, int32_t d) {
  __asm__("ssat %0, #8, %0, asr #1\n\tssat %1, #8, %1, asr #1\n\tssat %2, #8, %2, asr #1\n\tssat %3, #8, %3, asr #1\n\t"
          "bfi %0, %1, #8, #24\n\tbfi %0, %2, #16, #16\n\tbfi %0, %3, #24, #8"
          : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
  return (uint32_t)a;
}

/* The bytes of a word limited to the bytes of two others. Volatile, so that a compiler leaves it behind its branch. */
QK_INLINE uint32_t qk_dsp_clamp4(uint32_t bytes, uint32_t minimum, uint32_t maximum) {
  uint32_t difference;
  __asm__ volatile("ssub8 %1, %0, %2\n\tsel %0, %0, %2\n\tssub8 %1, %3, %0\n\tsel %0, %0, %3"
                   : "+r"(bytes), "=&r"(difference)
                   : "r"(minimum), "r"(maximum));
  return bytes;
}

QK_INLINE void qk_dsp_store(void *address, uint32_t word) { __builtin_memcpy(address, &word, 4); }

/* x limited to -128...127. */
QK_INLINE int32_t qk_dsp_saturate8(int32_t x) { return __builtin_arm_ssat(x, 8); }

/* x limited to -32768...32767. */
QK_INLINE int32_t qk_dsp_saturate16(int32_t x) { return __builtin_arm_ssat(x, 16); }

typedef struct {
  int32_t sum0, sum1, sum2, sum3;
} qk_dsp_sums;

/* Each of four values limited to minimum ... maximum. Volatile, so that a compiler leaves it behind its branch. */
QK_INLINE qk_dsp_sums qk_dsp_clamp_each(qk_dsp_sums values, int32_t minimum, int32_t maximum) {
#define QK_DSP_CLAMP(value)                                                             \
  __asm__ volatile("cmp %0, %1\n\tit lt\n\tmovlt %0, %1\n\tcmp %0, %2\n\tit gt\n\tmovgt %0, %2" \
                   : "+r"(value)                                                        \
                   : "r"(minimum), "r"(maximum)                                         \
                   : "cc");
  QK_DSP_CLAMP(values.sum0)
  QK_DSP_CLAMP(values.sum1)
  QK_DSP_CLAMP(values.sum2)
  QK_DSP_CLAMP(values.sum3)
  return values;
}

/* Room on the stack: 40 reduction groups of four pixels or 160 of one, or 160 taps of four channels. Whatever it held stays
 * in it: the empty instruction "writes" it. */
#define QK_DSP_BUFFER_WORDS 320
typedef struct {
  int32_t words[QK_DSP_BUFFER_WORDS];
} qk_dsp_buffer;
QK_INLINE qk_dsp_buffer qk_dsp_any_buffer(void) {
  qk_dsp_buffer buffer;
  __asm__("" : "=m"(buffer));
  return buffer;
}


/* The accumulators of a channel block at four pixels. */
typedef struct {
  qk_dsp_sums channels[16];
} qk_dsp_partial;
QK_INLINE qk_dsp_partial qk_dsp_any_partial(void) {
  qk_dsp_partial partial;
  __asm__("" : "=m"(partial));
  return partial;
}

/* The multiply-accumulates of `groups` reduction groups, one channel by four pixels. `x` holds, for each group, two words
 * of every pixel: bytes 0 and 2, bytes 1 and 3, as int16. `weights` advances by a channel block per group. */
#define QK_DSP_GROUP_BY_4             \
  "ldr %[w], [%[weights]], #64\n\t"   \
  "ldmia %[x]!, {r4, r5, r6, r8}\n\t" \
  "sxtb16 %[v], %[w]\n\t"             \
  "sxtb16 %[w], %[w], ror #8\n\t"     \
  "smlad %[a], r4, %[v], %[a]\n\t"    \
  "smlad %[a], r5, %[w], %[a]\n\t"    \
  "smlad %[b], r6, %[v], %[b]\n\t"    \
  "smlad %[b], r8, %[w], %[b]\n\t"    \
  "ldmia %[x]!, {r4, r5, r6, r8}\n\t" \
  "smlad %[c], r4, %[v], %[c]\n\t"    \
  "smlad %[c], r5, %[w], %[c]\n\t"    \
  "smlad %[d], r6, %[v], %[d]\n\t"    \
  "smlad %[d], r8, %[w], %[d]\n\t"
QK_INLINE qk_dsp_sums qk_dsp_dot_4_pixels(qk_dsp_sums sums, const int32_t *x, const int8_t *weights, int32_t groups) {
  uint32_t v, w;
  __asm__("lsrs %[n], %[n], #1\n\t"
          "bcc 1f\n\t" QK_DSP_GROUP_BY_4
          "1: beq 3f\n" /* of the shift: none of these instructions changes the flags */
          "2:\n\t" QK_DSP_GROUP_BY_4 QK_DSP_GROUP_BY_4
          "subs %[n], %[n], #1\n\t"
          "bne 2b\n"
          "3:"
          : [a] "+r"(sums.sum0), [b] "+r"(sums.sum1), [c] "+r"(sums.sum2), [d] "+r"(sums.sum3), [x] "+r"(x),
            [weights] "+r"(weights), [n] "+r"(groups), [v] "=&r"(v), [w] "=&r"(w)
          :
          : "r4", "r5", "r6", "r8", "cc", "memory");
  return sums;
}

/* The same, four adjacent channels by one pixel. */
#define QK_DSP_GROUP_BY_1                \
  "ldmia %[weights], {r4, r5, r6, r8}\n\t" \
  "ldrd %[p], %[q], [%[x]], #8\n\t"      \
  "add %[weights], %[weights], #64\n\t"  \
  "sxtb16 %[v], r4\n\t"                  \
  "sxtb16 r4, r4, ror #8\n\t"            \
  "smlad %[a], %[p], %[v], %[a]\n\t"     \
  "smlad %[a], %[q], r4, %[a]\n\t"       \
  "sxtb16 %[v], r5\n\t"                  \
  "sxtb16 r5, r5, ror #8\n\t"            \
  "smlad %[b], %[p], %[v], %[b]\n\t"     \
  "smlad %[b], %[q], r5, %[b]\n\t"       \
  "sxtb16 %[v], r6\n\t"                  \
  "sxtb16 r6, r6, ror #8\n\t"            \
  "smlad %[c], %[p], %[v], %[c]\n\t"     \
  "smlad %[c], %[q], r6, %[c]\n\t"       \
  "sxtb16 %[v], r8\n\t"                  \
  "sxtb16 r8, r8, ror #8\n\t"            \
  "smlad %[d], %[p], %[v], %[d]\n\t"     \
  "smlad %[d], %[q], r8, %[d]\n\t"
QK_INLINE qk_dsp_sums qk_dsp_dot_4_channels(qk_dsp_sums sums, const int32_t *x, const int8_t *weights, int32_t groups) {
  uint32_t v, p, q;
  __asm__("lsrs %[n], %[n], #1\n\t"
          "bcc 1f\n\t" QK_DSP_GROUP_BY_1
          "1: beq 3f\n" /* of the shift: none of these instructions changes the flags */
          "2:\n\t" QK_DSP_GROUP_BY_1 QK_DSP_GROUP_BY_1
          "subs %[n], %[n], #1\n\t"
          "bne 2b\n"
          "3:"
          : [a] "+r"(sums.sum0), [b] "+r"(sums.sum1), [c] "+r"(sums.sum2), [d] "+r"(sums.sum3), [x] "+r"(x),
            [weights] "+r"(weights), [n] "+r"(groups), [v] "=&r"(v), [p] "=&r"(p), [q] "=&r"(q)
          :
          : "r4", "r5", "r6", "r8", "cc", "memory");
  return sums;
}

/* The multiply-accumulates of 3 * triples + singles taps of a depthwise window, four channels by one pixel. Tap t is at
 * taps[t] + offset; `weights` holds two words per tap: channels 0 and 2, channels 1 and 3, as int16. */
#define QK_DSP_TAP                      \
  "ldr %[p], [%[taps]], #4\n\t"         \
  "ldrd %[v], %[w], [%[weights]], #8\n\t" \
  "ldr %[p], [%[p], %[offset]]\n\t"     \
  "sxtb16 %[q], %[p]\n\t"               \
  "sxtb16 %[p], %[p], ror #8\n\t"       \
  "smlabb %[a], %[q], %[v], %[a]\n\t"   \
  "smlatt %[c], %[q], %[v], %[c]\n\t"   \
  "smlabb %[b], %[p], %[w], %[b]\n\t"   \
  "smlatt %[d], %[p], %[w], %[d]\n\t"
QK_INLINE qk_dsp_sums qk_dsp_dot_taps(qk_dsp_sums sums, const int8_t *const *taps, intptr_t offset,
                                      const int32_t *weights, int32_t triples, int32_t singles) {
  uint32_t p, q, v, w;
  __asm__("cbz %[n], 2f\n"
          "1:\n\t" QK_DSP_TAP QK_DSP_TAP QK_DSP_TAP
          "subs %[n], %[n], #1\n\t"
          "bne 1b\n"
          "2: cbz %[m], 4f\n"
          "3:\n\t" QK_DSP_TAP
          "subs %[m], %[m], #1\n\t"
          "bne 3b\n"
          "4:"
          : [a] "+r"(sums.sum0), [b] "+r"(sums.sum1), [c] "+r"(sums.sum2), [d] "+r"(sums.sum3), [taps] "+r"(taps),
            [weights] "+r"(weights), [n] "+l"(triples), [m] "+l"(singles), [p] "=&r"(p), [q] "=&r"(q), [v] "=&r"(v),
            [w] "=&r"(w)
          : [offset] "r"(offset)
          : "cc", "memory");
  return sums;
}
#undef QK_INLINE
#endif
