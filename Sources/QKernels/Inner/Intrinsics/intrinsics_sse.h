/* The operations of the sets with 256-bit registers on a processor without them: pairs of SSE4.1 registers, inlined.
 * Visible only to modules that are compiled for SSE4.1 and nothing newer. */
#pragma once
#if defined(__SSE4_1__) && !defined(__AVX__)
#include <immintrin.h>
#include <stdint.h>
#define QK_INLINE static inline __attribute__((always_inline))
/* The warning that passing 256-bit vectors depends on the processor: all of this is inlined. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

/* The compiler keeps a 256-bit vector in two registers; these take it apart and join it. */
#define QK_LOW(a) __builtin_shufflevector(a, a, 0, 1)
#define QK_HIGH(a) __builtin_shufflevector(a, a, 2, 3)
#define QK_JOIN(low, high) __builtin_shufflevector(low, high, 0, 1, 2, 3)
#define QK_EACH_HALF(f, a) QK_JOIN(f(QK_LOW(a)), f(QK_HIGH(a)))
#define QK_EACH_HALF_2(f, a, b) QK_JOIN(f(QK_LOW(a), QK_LOW(b)), f(QK_HIGH(a), QK_HIGH(b)))

QK_INLINE __m128i qk128_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
QK_INLINE void qk128_store(void *p, __m128i v) { _mm_storeu_si128((__m128i *)p, v); }
QK_INLINE __m128i qk128_set1_8(int8_t x) { return _mm_set1_epi8(x); }
QK_INLINE __m128i qk128_clamp8(__m128i a, __m128i lo, __m128i hi) { return _mm_min_epi8(_mm_max_epi8(a, lo), hi); }
QK_INLINE __m128i qk128_max8(__m128i a, __m128i b) { return _mm_max_epi8(a, b); }
QK_INLINE __m128i qk128_unpack_low8(__m128i a, __m128i b) { return _mm_unpacklo_epi8(a, b); }
QK_INLINE __m128i qk128_unpack_high8(__m128i a, __m128i b) { return _mm_unpackhi_epi8(a, b); }
QK_INLINE __m128i qk128_unpack_low16(__m128i a, __m128i b) { return _mm_unpacklo_epi16(a, b); }
QK_INLINE __m128i qk128_unpack_high16(__m128i a, __m128i b) { return _mm_unpackhi_epi16(a, b); }

QK_INLINE __m256i qk256_load(const void *p) { return QK_JOIN(qk128_load(p), qk128_load((const char *)p + 16)); }
QK_INLINE void qk256_store(void *p, __m256i v) {
  qk128_store(p, QK_LOW(v));
  qk128_store((char *)p + 16, QK_HIGH(v));
}
QK_INLINE __m256i qk256_set1(int32_t x) {
  const __m128i v = _mm_set1_epi32(x);
  return QK_JOIN(v, v);
}
QK_INLINE __m256i qk256_add(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_add_epi32, a, b); }
QK_INLINE __m256i qk256_sub(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_sub_epi32, a, b); }
QK_INLINE __m256i qk256_mul(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_mullo_epi32, a, b); }
QK_INLINE __m256i qk256_and(__m256i a, __m256i b) { return a & b; }
QK_INLINE __m256i qk256_max(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_max_epi32, a, b); }
QK_INLINE __m256i qk256_min(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_min_epi32, a, b); }
QK_INLINE __m256i qk256_shift_left(__m256i a, int32_t n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  return QK_JOIN(_mm_sll_epi32(QK_LOW(a), count), _mm_sll_epi32(QK_HIGH(a), count));
}
QK_INLINE __m256i qk256_shift_right(__m256i a, int32_t n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  return QK_JOIN(_mm_sra_epi32(QK_LOW(a), count), _mm_sra_epi32(QK_HIGH(a), count));
}
/* A shift by one count per lane: all four counts on all lanes, then one lane of each. */
#define QK_SHIFT_EACH(name, shift)                                                                        \
  QK_INLINE __m128i name(__m128i a, __m128i n) {                                                          \
    const __m128i lane0 = shift(a, _mm_cvtepu32_epi64(n)), lane1 = shift(a, _mm_srli_epi64(n, 32));       \
    const __m128i lane2 = shift(a, _mm_srli_epi64(_mm_unpackhi_epi32(n, n), 32));                         \
    const __m128i lane3 = shift(a, _mm_srli_si128(n, 12));                                                \
    return _mm_blend_epi16(_mm_blend_epi16(lane0, lane1, 0x0C), _mm_blend_epi16(lane2, lane3, 0xC0), 0xF0); \
  }
QK_SHIFT_EACH(qk128_shift_left_each, _mm_sll_epi32)
QK_SHIFT_EACH(qk128_shift_right_each, _mm_sra_epi32)
#undef QK_SHIFT_EACH
QK_INLINE __m256i qk256_shift_left_each(__m256i a, __m256i n) { return QK_EACH_HALF_2(qk128_shift_left_each, a, n); }
QK_INLINE __m256i qk256_shift_right_each(__m256i a, __m256i n) { return QK_EACH_HALF_2(qk128_shift_right_each, a, n); }
/* -1 in negative lanes, 0 in the others. */
QK_INLINE __m128i qk128_sign(__m128i a) { return _mm_srai_epi32(a, 31); }
QK_INLINE __m256i qk256_sign(__m256i a) { return QK_EACH_HALF(qk128_sign, a); }
/* 1 in negative lanes, 0 in the others. */
QK_INLINE __m128i qk128_negative(__m128i a) { return _mm_srli_epi32(a, 31); }
QK_INLINE __m256i qk256_negative(__m256i a) { return QK_EACH_HALF(qk128_negative, a); }
QK_INLINE __m128i qk128_odd(__m128i a) { return _mm_srli_epi64(a, 32); }
QK_INLINE __m256i qk256_odd(__m256i a) { return QK_EACH_HALF(qk128_odd, a); }
/* (a * m + 2^30) >> 31 of each lane, modd = the odd lanes of m moved down. */
QK_INLINE __m128i qk128_high_multiply(__m128i a, __m128i m, __m128i modd) {
  const __m128i nudge = _mm_set1_epi64x(1ll << 30);
  const __m128i even = _mm_add_epi64(_mm_mul_epi32(a, m), nudge);
  const __m128i odd = _mm_add_epi64(_mm_mul_epi32(qk128_odd(a), modd), nudge);
  return _mm_blend_epi16(_mm_srli_epi64(even, 31), _mm_slli_epi64(odd, 1), 0xCC);
}
QK_INLINE __m256i qk256_high_multiply(__m256i a, __m256i m, __m256i modd) {
  return QK_JOIN(qk128_high_multiply(QK_LOW(a), QK_LOW(m), QK_LOW(modd)),
                 qk128_high_multiply(QK_HIGH(a), QK_HIGH(m), QK_HIGH(modd)));
}
/* 4 words to the even lanes, 0 in the odd ones. */
QK_INLINE __m256i qk256_spread32(const void *p) {
  const __m128i v = qk128_load(p), zero = _mm_setzero_si128();
  return QK_JOIN(_mm_unpacklo_epi32(v, zero), _mm_unpackhi_epi32(v, zero));
}
QK_INLINE __m256i qk256_widen8to16v(__m128i a) {
  return QK_JOIN(_mm_cvtepi8_epi16(a), _mm_cvtepi8_epi16(_mm_srli_si128(a, 8)));
}
QK_INLINE __m256i qk256_widen8to16(const void *p) {
  return QK_JOIN(_mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)p)),
                 _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)((const char *)p + 8))));
}
QK_INLINE __m256i qk256_widen8(__m128i a) {
  return QK_JOIN(_mm_cvtepi8_epi32(a), _mm_cvtepi8_epi32(_mm_srli_si128(a, 4)));
}
QK_INLINE __m256i qk256_widen8_high(__m128i a) { return qk256_widen8(_mm_srli_si128(a, 8)); }
/* 4 bytes, widened to 16 bits, to all quarters. */
QK_INLINE __m256i qk256_broadcast4to16(const void *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  const __m128i words = _mm_cvtepi8_epi16(_mm_cvtsi32_si128(x)), v = _mm_unpacklo_epi64(words, words);
  return QK_JOIN(v, v);
}
QK_INLINE __m256i qk256_madd(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_madd_epi16, a, b); }
/* The sums of adjacent lanes of a, then of b. */
QK_INLINE __m256i qk256_pair_sums(__m256i a, __m256i b) {
  return QK_JOIN(_mm_hadd_epi32(QK_LOW(a), QK_HIGH(a)), _mm_hadd_epi32(QK_LOW(b), QK_HIGH(b)));
}
/* 16 words, saturated to 16 bits, in order. */
QK_INLINE __m256i qk256_saturate16(__m256i a, __m256i b) {
  return QK_JOIN(_mm_packs_epi32(QK_LOW(a), QK_HIGH(a)), _mm_packs_epi32(QK_LOW(b), QK_HIGH(b)));
}
QK_INLINE __m128i qk256_saturate8(__m256i a, __m256i b) {
  const __m256i words = qk256_saturate16(a, b);
  return _mm_packs_epi16(QK_LOW(words), QK_HIGH(words));
}
/* Whether a vector is one register, not two. */
QK_INLINE int qk256_is_one_register(void) { return 0; }
/* 16 words of 16 bits. */
QK_INLINE __m256i qk256_set1_16(int16_t x) {
  const __m128i v = _mm_set1_epi16(x);
  return QK_JOIN(v, v);
}
QK_INLINE __m256i qk256_set1_8(int8_t x) {
  const __m128i v = _mm_set1_epi8(x);
  return QK_JOIN(v, v);
}
QK_INLINE __m256i qk256_add16(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_add_epi16, a, b); }
QK_INLINE __m256i qk256_sub16(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_sub_epi16, a, b); }
QK_INLINE __m128i qk128_shift_left16_by2(__m128i a) { return _mm_slli_epi16(a, 2); }
QK_INLINE __m256i qk256_shift_left16_by2(__m256i a) { return QK_EACH_HALF(qk128_shift_left16_by2, a); }
QK_INLINE __m128i qk128_shift_left_by2(__m128i a) { return _mm_slli_epi32(a, 2); }
QK_INLINE __m256i qk256_shift_left_by2(__m256i a) { return QK_EACH_HALF(qk128_shift_left_by2, a); }
/* 4 bytes to all lanes. */
QK_INLINE __m256i qk256_broadcast4(const void *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return qk256_set1(x);
}
/* acc + the products of the pairs of 16 bits, added up. */
QK_INLINE __m256i qk256_add_pair_products(__m256i acc, __m256i a, __m256i b) {
  return qk256_add(acc, QK_EACH_HALF_2(_mm_madd_epi16, a, b));
}
/* The signed product of the even words, 64 bits each. */
QK_INLINE __m256i qk256_mul_even(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_mul_epi32, a, b); }
/* The upper halves of the words of 64 bits of a to the even lanes, of b to the odd ones. */
QK_INLINE __m128i qk128_join_upper(__m128i a, __m128i b) { return _mm_blend_epi16(_mm_srli_epi64(a, 32), b, 0xCC); }
QK_INLINE __m256i qk256_join_upper(__m256i a, __m256i b) { return QK_EACH_HALF_2(qk128_join_upper, a, b); }
/* a with its sign changed in lanes where b is negative, 0 where b is 0. */
QK_INLINE __m256i qk256_with_sign(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_sign_epi32, a, b); }
/* Saturated to 16 and 8 bits; each half on its own, the lanes of a first. */
QK_INLINE __m256i qk256_packs32(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_packs_epi32, a, b); }
QK_INLINE __m256i qk256_packs16(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_packs_epi16, a, b); }
QK_INLINE __m256i qk256_adds16(__m256i a, __m256i b) { return QK_EACH_HALF_2(_mm_adds_epi16, a, b); }
QK_INLINE __m128i qk128_shift_right16_by1(__m128i a) { return _mm_srai_epi16(a, 1); }
QK_INLINE __m256i qk256_shift_right16_by1(__m256i a) { return QK_EACH_HALF(qk128_shift_right16_by1, a); }
QK_INLINE __m256i qk256_clamp8(__m256i a, __m256i lo, __m256i hi) {
  return QK_JOIN(qk128_clamp8(QK_LOW(a), QK_LOW(lo), QK_LOW(hi)), qk128_clamp8(QK_HIGH(a), QK_HIGH(lo), QK_HIGH(hi)));
}
/* The 2 x 4 matrix of words of 32 bits that the halves form, transposed. */
QK_INLINE __m256i qk256_transpose2x4(__m256i a) {
  return QK_JOIN(_mm_unpacklo_epi32(QK_LOW(a), QK_HIGH(a)), _mm_unpackhi_epi32(QK_LOW(a), QK_HIGH(a)));
}
QK_INLINE __m128i qk256_lower(__m256i a) { return QK_LOW(a); }
QK_INLINE __m128i qk256_upper(__m256i a) { return QK_HIGH(a); }
/* The first n elements; n in 0...16, 0...8 for words of 32 bits. */
QK_INLINE void qk128_store_first(void *p, __m128i v, int32_t n) {
  int8_t b[16];
  qk128_store(b, v);
  for (int32_t i = 0; i < n; i++) ((int8_t *)p)[i] = b[i];
}
QK_INLINE void qk256_store_first16(void *p, __m256i v, int32_t n) {
  int16_t b[16];
  qk256_store(b, v);
  for (int32_t i = 0; i < n; i++) ((int16_t *)p)[i] = b[i];
}
QK_INLINE void qk256_store_first32(void *p, __m256i v, int32_t n) {
  int32_t b[8];
  qk256_store(b, v);
  for (int32_t i = 0; i < n; i++) ((int32_t *)p)[i] = b[i];
}
#undef QK_LOW
#undef QK_HIGH
#undef QK_JOIN
#undef QK_EACH_HALF
#undef QK_EACH_HALF_2
#pragma clang diagnostic pop
#undef QK_INLINE
#endif
