/* Single x86 instructions for the sets' Vec.swift, inlined at no cost.
 * Each block is visible only to modules that are compiled with the instruction set's flags. */
#pragma once
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>
#define QK_INLINE static inline __attribute__((always_inline))

/* CPUID leaf `leaf`, subleaf `subleaf`: eax, ebx, ecx, edx. */
typedef struct { uint32_t eax, ebx, ecx, edx; } qk_cpuid_registers;
QK_INLINE qk_cpuid_registers qk_cpuid(uint32_t leaf, uint32_t subleaf) {
  qk_cpuid_registers r;
  __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
  return r;
}
/* The register states that the operating system saves (XCR0); only where CPUID reports OSXSAVE. */
QK_INLINE uint64_t qk_xgetbv0(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

#if defined(__AVX2__)
QK_INLINE __m256i qk256_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
QK_INLINE void qk256_store(void *p, __m256i v) { _mm256_storeu_si256((__m256i *)p, v); }
QK_INLINE __m128i qk128_set1_8(int8_t x) { return _mm_set1_epi8(x); }
QK_INLINE __m128i qk128_clamp8(__m128i a, __m128i lo, __m128i hi) { return _mm_min_epi8(_mm_max_epi8(a, lo), hi); }
QK_INLINE __m128i qk128_max8(__m128i a, __m128i b) { return _mm_max_epi8(a, b); }
QK_INLINE __m128i qk128_load(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
QK_INLINE void qk128_store(void *p, __m128i v) { _mm_storeu_si128((__m128i *)p, v); }
/* 16 words of 16 bits. */
QK_INLINE __m256i qk256_set1_16(int16_t x) { return _mm256_set1_epi16(x); }
QK_INLINE __m256i qk256_widen8to16(const void *p) { return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)); }
QK_INLINE __m256i qk256_add16(__m256i a, __m256i b) { return _mm256_add_epi16(a, b); }
QK_INLINE __m256i qk256_sub16(__m256i a, __m256i b) { return _mm256_sub_epi16(a, b); }
QK_INLINE __m256i qk256_shift_left16_by2(__m256i a) { return _mm256_slli_epi16(a, 2); }
#endif

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512VBMI__)
QK_INLINE __m512i qk512_zero(void) { return _mm512_setzero_si512(); }
QK_INLINE __m512i qk512_load(const void *p) { return _mm512_loadu_si512(p); }
QK_INLINE void qk512_store(void *p, __m512i v) { _mm512_storeu_si512(p, v); }
QK_INLINE __m512i qk512_set1(int32_t x) { return _mm512_set1_epi32(x); }
/* 4 bytes to all lanes; opaque, because the compiler would otherwise move a following xor before the broadcast, which
 * then needs a shuffle instead of being part of the load. */
QK_INLINE __m512i qk512_broadcast4(const void *p) {
  __m512i v;
  __asm__("vpbroadcastd %1, %0" : "=v"(v) : "m"(*(const int32_t *)p));
  return v;
}
/* 4 bytes to all lanes, xor flip; opaque for the same reason. */
QK_INLINE __m512i qk512_flipped4(const void *p, __m512i flip) {
  __m512i v;
  __asm__("vpxord %1%{1to16%}, %2, %0" : "=v"(v) : "m"(*(const int32_t *)p), "v"(flip));
  return v;
}
/* All bits inverted: -1 - a. */
QK_INLINE __m512i qk512_complement(__m512i a) { return _mm512_ternarylogic_epi32(a, a, a, 0x55); }
/* Not 0 in lanes whose shift is not to the right and whose multiplier is not 0. */
QK_INLINE __m512i qk512_not_right(__m512i shift, __m512i multiplier) {
  return _mm512_maskz_mov_epi32(_mm512_cmpge_epi32_mask(shift, _mm512_setzero_si512()), multiplier);
}
QK_INLINE __m512i qk512_xor(__m512i a, __m512i b) { return _mm512_xor_si512(a, b); }
QK_INLINE __m512i qk512_add(__m512i a, __m512i b) { return _mm512_add_epi32(a, b); }
QK_INLINE __m512i qk512_sub(__m512i a, __m512i b) { return _mm512_sub_epi32(a, b); }
QK_INLINE __m512i qk512_shift_left(__m512i a, int32_t n) { return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n)); }
QK_INLINE __m512i qk512_mul(__m512i a, __m512i b) { return _mm512_mullo_epi32(a, b); }
QK_INLINE __m512i qk512_shift_right(__m512i a, int32_t n) { return _mm512_sra_epi32(a, _mm_cvtsi32_si128(n)); }
QK_INLINE void qk512_store_first32(void *p, __m512i v, int32_t n) { _mm512_mask_storeu_epi32(p, (__mmask16)((1u << n) - 1), v); }
/* Bytes of a 256-entry table, entry x + 128 for each signed byte x of index. */
QK_INLINE __m512i qk512_lookup(__m512i index, __m512i t0, __m512i t1, __m512i t2, __m512i t3) {
  const __m512i i = _mm512_xor_si512(index, _mm512_set1_epi8((char)0x80));
  const __m512i low = _mm512_permutex2var_epi8(t0, i, t1), high = _mm512_permutex2var_epi8(t2, i, t3);
  return _mm512_mask_blend_epi8(_mm512_movepi8_mask(i), low, high);
}
QK_INLINE __m512i qk512_load_first8(const void *p, int32_t n) { return _mm512_maskz_loadu_epi8((__mmask64)((1ull << n) - 1), p); }
QK_INLINE void qk512_store_first8(void *p, __m512i v, int32_t n) { _mm512_mask_storeu_epi8(p, (__mmask64)((1ull << n) - 1), v); }
QK_INLINE __m512i qk512_shift_right_by1(__m512i a) { return _mm512_srai_epi32(a, 1); }
QK_INLINE __m512i qk512_set1_16(int16_t x) { return _mm512_set1_epi16(x); }
QK_INLINE __m512i qk512_set1_8(int8_t x) { return _mm512_set1_epi8(x); }
QK_INLINE __m512i qk512_packs32(__m512i a, __m512i b) { return _mm512_packs_epi32(a, b); }
QK_INLINE __m512i qk512_packs16(__m512i a, __m512i b) { return _mm512_packs_epi16(a, b); }
QK_INLINE __m512i qk512_adds16(__m512i a, __m512i b) { return _mm512_adds_epi16(a, b); }
QK_INLINE __m512i qk512_clamp8(__m512i a, __m512i lo, __m512i hi) { return _mm512_min_epi8(_mm512_max_epi8(a, lo), hi); }
/* The 4 x 4 matrix of words of 32 bits that the quarters form, transposed. */
QK_INLINE __m512i qk512_transpose4x4(__m512i a) {
  return _mm512_permutexvar_epi32(_mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0), a);
}
QK_INLINE void qk512_store_quarter0(void *p, __m512i v) { _mm_storeu_si128((__m128i *)p, _mm512_castsi512_si128(v)); }
QK_INLINE void qk512_store_quarter1(void *p, __m512i v) { _mm_storeu_si128((__m128i *)p, _mm512_extracti32x4_epi32(v, 1)); }
QK_INLINE void qk512_store_quarter2(void *p, __m512i v) { _mm_storeu_si128((__m128i *)p, _mm512_extracti32x4_epi32(v, 2)); }
QK_INLINE void qk512_store_quarter3(void *p, __m512i v) { _mm_storeu_si128((__m128i *)p, _mm512_extracti32x4_epi32(v, 3)); }
/* The even lanes of a and b, without sign, multiplied to 64 bits. */
QK_INLINE __m512i qk512_multiply_unsigned(__m512i a, __m512i b) { return _mm512_mul_epu32(a, b); }
/* The even or the odd lanes of a as the upper half of words of 64 bits over the lower half of b. */
QK_INLINE __m512i qk512_even_up(__m512i a, __m512i b) { return _mm512_mask_blend_epi32(0x5555, _mm512_slli_epi64(a, 32), b); }
QK_INLINE __m512i qk512_odd_up(__m512i a, __m512i b) { return _mm512_mask_blend_epi32(0x5555, a, b); }
/* The upper halves of the words of 64 bits of a to the even lanes, of b to the odd ones. */
QK_INLINE __m512i qk512_join_upper(__m512i a, __m512i b) {
  return _mm512_mask_shuffle_epi32(b, 0x5555, a, (_MM_PERM_ENUM)0xF5);
}
/* The even words of 64 bits, in the lower half. */
QK_INLINE __m512i qk512_even64(__m512i a) { return _mm512_permutexvar_epi64(_mm512_set_epi64(6, 4, 2, 0, 6, 4, 2, 0), a); }
QK_INLINE __m512i qk512_shift_right16_by1(__m512i a) { return _mm512_srai_epi16(a, 1); }
/* The same instruction, but the compiler keeps it where it stands among its like. */
QK_INLINE __m512i qk512_dpbusd_here(__m512i acc, __m512i u, __m512i s) {
  __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
  return acc;
}
/* Has the compiler compute the value where this stands. */
QK_INLINE __m512i qk512_here(__m512i v) {
  __asm__ volatile("" : "+v"(v));
  return v;
}
/* Any value: memory that is filled with it is not touched. */
QK_INLINE __m512i qk512_any(void) {
  __m512i v;
  return v;
}
QK_INLINE __m128i qk512_quarter0(__m512i v) { return _mm512_castsi512_si128(v); }
QK_INLINE __m128i qk512_quarter1(__m512i v) { return _mm512_extracti32x4_epi32(v, 1); }
QK_INLINE __m128i qk512_quarter2(__m512i v) { return _mm512_extracti32x4_epi32(v, 2); }
QK_INLINE __m128i qk512_quarter3(__m512i v) { return _mm512_extracti32x4_epi32(v, 3); }
QK_INLINE void qk512_store_half0(void *p, __m512i v) { _mm256_storeu_si256((__m256i *)p, _mm512_castsi512_si256(v)); }
QK_INLINE void qk512_store_half1(void *p, __m512i v) { _mm256_storeu_si256((__m256i *)p, _mm512_extracti64x4_epi64(v, 1)); }
QK_INLINE __m512i qk512_unpack_low8(__m512i a, __m512i b) { return _mm512_unpacklo_epi8(a, b); }
QK_INLINE __m512i qk512_unpack_high8(__m512i a, __m512i b) { return _mm512_unpackhi_epi8(a, b); }
QK_INLINE __m512i qk512_unpack_low16(__m512i a, __m512i b) { return _mm512_unpacklo_epi16(a, b); }
QK_INLINE __m512i qk512_unpack_high16(__m512i a, __m512i b) { return _mm512_unpackhi_epi16(a, b); }
QK_INLINE __m512i qk512_repeat128(__m128i a) { return _mm512_broadcast_i32x4(a); }
QK_INLINE __m512i qk512_dpbusd(__m512i acc, __m512i u, __m512i s) { return _mm512_dpbusd_epi32(acc, u, s); }
QK_INLINE __m512i qk512_odd(__m512i a) { return _mm512_srli_epi64(a, 32); }
/* The odd lanes moved down, by a shuffle, of which more can run at a time than of shifts; the odd lanes stay. */
QK_INLINE __m512i qk512_odd_shuffled(__m512i a) { return _mm512_shuffle_epi32(a, _MM_PERM_DDBB); }
/* (a * m + 2^30) >> 31 of each lane, modd = the odd lanes of m moved down. */
QK_INLINE __m512i qk512_high_multiply(__m512i a, __m512i m, __m512i modd) {
  const __m512i nudge = _mm512_set1_epi64(1ll << 30);
  __m512i even = _mm512_add_epi64(_mm512_mul_epi32(a, m), nudge);
  __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(a, 32), modd), nudge);
  return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31), _mm512_slli_epi64(odd, 1));
}
QK_INLINE __m512i qk512_shift_left_each(__m512i a, __m512i n) { return _mm512_sllv_epi32(a, n); }
QK_INLINE __m512i qk512_shift_right_each(__m512i a, __m512i n) { return _mm512_srav_epi32(a, n); }
QK_INLINE __m512i qk512_sign(__m512i a) { return _mm512_srai_epi32(a, 31); }
QK_INLINE __m512i qk512_and(__m512i a, __m512i b) { return _mm512_and_si512(a, b); }
QK_INLINE __m512i qk512_max(__m512i a, __m512i b) { return _mm512_max_epi32(a, b); }
QK_INLINE __m512i qk512_min(__m512i a, __m512i b) { return _mm512_min_epi32(a, b); }
QK_INLINE int qk512_all_zero(__m512i a) { return _mm512_test_epi32_mask(a, a) == 0; }
QK_INLINE int qk512_any_negative(__m512i a) { return _mm512_movepi32_mask(a) != 0; }
QK_INLINE int qk512_all_positive(__m512i a) { return _mm512_cmpgt_epi32_mask(a, _mm512_setzero_si512()) == 0xFFFF; }
QK_INLINE __m128i qk512_saturate8(__m512i a) { return _mm512_cvtsepi32_epi8(a); }
QK_INLINE __m256i qk512_saturate16(__m512i a) { return _mm512_cvtsepi32_epi16(a); }
/* The first n words, n in 0...16. */
QK_INLINE void qk256_store_first16(void *p, __m256i v, int32_t n) { _mm256_mask_storeu_epi16(p, (__mmask16)((1u << n) - 1), v); }
QK_INLINE __m512i qk512_widen8(__m128i a) { return _mm512_cvtepi8_epi32(a); }
/* The first n bytes, n in 0...16. */
QK_INLINE void qk128_store_first(void *p, __m128i v, int32_t n) { _mm_mask_storeu_epi8(p, (__mmask16)((1u << n) - 1), v); }
QK_INLINE __m128i qk128_load_first(const void *p, int32_t n) { return _mm_maskz_loadu_epi8((__mmask16)((1u << n) - 1), p); }
/* The permutation that brings byte i of four joined rows of 16 bytes to 4 * i ... 4 * i + 3. */
QK_INLINE __m512i qk512_interleave_index(void) {
  const __m512i rows = _mm512_set1_epi32(0x30201000);
  const __m512i columns = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  return _mm512_add_epi8(rows, _mm512_mullo_epi32(columns, _mm512_set1_epi32(0x01010101)));
}
QK_INLINE __m512i qk512_join4(__m128i a, __m128i b, __m128i c, __m128i d) {
  __m512i v = _mm512_castsi128_si512(a);
  v = _mm512_inserti32x4(v, b, 1);
  v = _mm512_inserti32x4(v, c, 2);
  return _mm512_inserti32x4(v, d, 3);
}
QK_INLINE __m512i qk512_permute8(__m512i index, __m512i v) { return _mm512_permutexvar_epi8(index, v); }
QK_INLINE __m512i qk512_permute8x2(__m512i a, __m512i index, __m512i b) { return _mm512_permutex2var_epi8(a, index, b); }
/* offset may leave the object: bytes whose bit of mask is 0 come from fill, and their memory is not touched. */
QK_INLINE __m512i qk512_load_masked(__m512i fill, uint64_t mask, const void *p, int64_t offset) {
  return _mm512_mask_loadu_epi8(fill, (__mmask64)mask, (const void *)((uintptr_t)p + (uintptr_t)offset));
}
QK_INLINE void qk512_store_masked(void *p, uint64_t mask, __m512i v) { _mm512_mask_storeu_epi8(p, (__mmask64)mask, v); }
/* The signed product of the even words, 64 bits each. */
QK_INLINE __m512i qk512_mul_even(__m512i a, __m512i b) { return _mm512_mul_epi32(a, b); }
QK_INLINE __m512i qk512_set1_64(int64_t x) { return _mm512_set1_epi64(x); }
QK_INLINE __m512i qk512_add64(__m512i a, __m512i b) { return _mm512_add_epi64(a, b); }
QK_INLINE __m512i qk512_shift_left_each64(__m512i a, __m512i n) { return _mm512_sllv_epi64(a, n); }
QK_INLINE __m512i qk512_shift_right_each64(__m512i a, __m512i n) { return _mm512_srav_epi64(a, n); }
/* The even words of a and the odd words of b. */
QK_INLINE __m512i qk512_even_odd(__m512i a, __m512i b) { return _mm512_mask_blend_epi32(0xAAAA, a, b); }
/* Words of 16 bits, saturated to unsigned bytes. */
QK_INLINE __m512i qk512_packus16(__m512i a, __m512i b) { return _mm512_packus_epi16(a, b); }
QK_INLINE __m512i qk512_min_u8(__m512i a, __m512i b) { return _mm512_min_epu8(a, b); }
QK_INLINE __m512i qk512_add8(__m512i a, __m512i b) { return _mm512_add_epi8(a, b); }
QK_INLINE __m512i qk512_shift_right_logical(__m512i a, int32_t n) { return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n)); }
/* Words at p + index. */
QK_INLINE __m512i qk512_gather(const void *p, __m512i index) { return _mm512_i32gather_epi32(index, p, 4); }
/* first + 16 * (i / 4) + i % 4 in word i. */
QK_INLINE __m512i qk512_interleaved_lanes(int32_t first) {
  const __m512i lanes = _mm512_set_epi32(51, 50, 49, 48, 35, 34, 33, 32, 19, 18, 17, 16, 3, 2, 1, 0);
  return _mm512_add_epi32(lanes, _mm512_set1_epi32(first));
}
/* Words of 16 bits at p + index and the next ones, in the lower and upper halves. */
QK_INLINE __m512i qk512_gather_pairs16(const void *p, __m512i index) { return _mm512_i32gather_epi32(index, p, 2); }
/* The first n words of 16 bits, widened; n in 0...16. */
QK_INLINE __m512i qk512_widen16_first(const void *p, int32_t n) {
  return _mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p));
}
/* x where a > limit, else y. */
QK_INLINE __m512i qk512_where_above(__m512i a, int32_t limit, __m512i x, __m512i y) {
  return _mm512_mask_blend_epi32(_mm512_cmpgt_epi32_mask(a, _mm512_set1_epi32(limit)), y, x);
}
QK_INLINE __m512i qk512_abs(__m512i a) { return _mm512_abs_epi32(a); }
QK_INLINE __m512i qk512_max8(__m512i a, __m512i b) { return _mm512_max_epi8(a, b); }
/* a * m >> n of each unsigned lane, for results below 2^32; m fills 64-bit lanes. */
QK_INLINE __m512i qk512_high_quotient(__m512i a, __m512i m, int32_t n) {
  const __m128i count = _mm_cvtsi32_si128(n);
  const __m512i even = _mm512_srl_epi64(_mm512_mul_epu32(a, m), count);
  const __m512i odd = _mm512_srl_epi64(_mm512_mul_epu32(_mm512_srli_epi64(a, 32), m), count);
  return _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
}
/* Whether a lane of a, b, c or d has none of the bits of mask. */
QK_INLINE int qk512_any_clear(__m512i a, __m512i b, __m512i c, __m512i d, __m512i mask) {
  const __mmask16 ab = _mm512_mask_test_epi32_mask(_mm512_test_epi32_mask(a, mask), b, mask);
  return _mm512_mask_test_epi32_mask(_mm512_mask_test_epi32_mask(ab, c, mask), d, mask) != 0xFFFF;
}
/* acc + the sums of pairs of products of signed words of 16 bits; opaque, because the compiler would split it. */
QK_INLINE __m512i qk512_dpwssd(__m512i acc, __m512i a, __m512i b) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
  return acc;
}
/* The lanes of a, b, c and d that have none of the bits of mask, a in the lowest bits. */
QK_INLINE uint64_t qk512_clear_lanes(__m512i a, __m512i b, __m512i c, __m512i d, __m512i mask) {
  const uint64_t low = _mm512_testn_epi32_mask(a, mask) | (uint32_t)_mm512_testn_epi32_mask(b, mask) << 16;
  return low | (uint64_t)_mm512_testn_epi32_mask(c, mask) << 32 | (uint64_t)_mm512_testn_epi32_mask(d, mask) << 48;
}
/* Bytes of a and b to the odd places, 0 to the even ones; opaque, because the compiler would mask in a step of its own. */
QK_INLINE __m512i qk512_pick_odd8(__m512i a, __m512i index, __m512i b) {
  __asm__("vpermt2b %2, %1, %0%{%3%}%{z%}" : "+v"(a) : "v"(index), "v"(b), "Yk"((__mmask64)0xAAAAAAAAAAAAAAAA));
  return a;
}
/* The index that picks pairs of elements i of a and b: of each quarter's 16 the elements first, first + 2, + 4 and + 6. */
QK_INLINE __m512i qk512_pair_index(int32_t first) {
  const __m512i lanes = _mm512_set_epi32(54, 52, 50, 48, 38, 36, 34, 32, 22, 20, 18, 16, 6, 4, 2, 0);
  const __m512i i = _mm512_add_epi32(lanes, _mm512_set1_epi32(first));
  return _mm512_or_si512(_mm512_slli_epi32(i, 8), _mm512_slli_epi32(_mm512_or_si512(i, _mm512_set1_epi32(64)), 24));
}
/* The upper halves of the lanes of a and b, side by side. */
QK_INLINE __m512i qk512_join_upper16(__m512i a, __m512i b) {
  return _mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(a, 16), b);
}
QK_INLINE __m512i qk512_shift_right16(__m512i a, int32_t n) { return _mm512_sra_epi16(a, _mm_cvtsi32_si128(n)); }
QK_INLINE __m512i qk512_or(__m512i a, __m512i b) { return _mm512_or_si512(a, b); }
/* acc + the dot products of the pair of int16 at p with each pair of w; the compiler keeps it where it stands. */
QK_INLINE __m512i qk512_dpwssd_pair_here(__m512i acc, const void *p, __m512i w) {
  __asm__ volatile("vpdpwssd %1%{1to16%}, %2, %0" : "+v"(acc) : "m"(*(const int32_t *)p), "v"(w));
  return acc;
}
QK_INLINE __m512i qk512_shift_left_by2(__m512i a) { return _mm512_slli_epi32(a, 2); }
/* c subtracted from the lanes of a that are negative. */
QK_INLINE __m512i qk512_sub_where_negative(__m512i a, __m512i c) {
  return _mm512_mask_sub_epi32(a, _mm512_movepi32_mask(a), a, c);
}
#endif
#if defined(__AVX2__) && !defined(__AVX512F__)
QK_INLINE __m256i qk256_set1(int32_t x) { return _mm256_set1_epi32(x); }
QK_INLINE __m256i qk256_add(__m256i a, __m256i b) { return _mm256_add_epi32(a, b); }
QK_INLINE __m256i qk256_sub(__m256i a, __m256i b) { return _mm256_sub_epi32(a, b); }
QK_INLINE __m256i qk256_mul(__m256i a, __m256i b) { return _mm256_mullo_epi32(a, b); }
QK_INLINE __m256i qk256_xor(__m256i a, __m256i b) { return _mm256_xor_si256(a, b); }
QK_INLINE __m256i qk256_and(__m256i a, __m256i b) { return _mm256_and_si256(a, b); }
QK_INLINE __m256i qk256_max(__m256i a, __m256i b) { return _mm256_max_epi32(a, b); }
QK_INLINE __m256i qk256_min(__m256i a, __m256i b) { return _mm256_min_epi32(a, b); }
QK_INLINE __m256i qk256_shift_left(__m256i a, int32_t n) { return _mm256_sll_epi32(a, _mm_cvtsi32_si128(n)); }
QK_INLINE __m256i qk256_shift_right(__m256i a, int32_t n) { return _mm256_sra_epi32(a, _mm_cvtsi32_si128(n)); }
QK_INLINE __m256i qk256_shift_left_each(__m256i a, __m256i n) { return _mm256_sllv_epi32(a, n); }
QK_INLINE __m256i qk256_shift_right_each(__m256i a, __m256i n) { return _mm256_srav_epi32(a, n); }
/* -1 in negative lanes, 0 in the others. */
QK_INLINE __m256i qk256_sign(__m256i a) { return _mm256_srai_epi32(a, 31); }
/* 1 in negative lanes, 0 in the others. */
QK_INLINE __m256i qk256_negative(__m256i a) { return _mm256_srli_epi32(a, 31); }
QK_INLINE __m256i qk256_odd(__m256i a) { return _mm256_srli_epi64(a, 32); }
/* (a * m + 2^30) >> 31 of each lane, modd = the odd lanes of m moved down. */
QK_INLINE __m256i qk256_high_multiply(__m256i a, __m256i m, __m256i modd) {
  const __m256i nudge = _mm256_set1_epi64x(1ll << 30);
  __m256i even = _mm256_add_epi64(_mm256_mul_epi32(a, m), nudge);
  __m256i odd = _mm256_add_epi64(_mm256_mul_epi32(_mm256_srli_epi64(a, 32), modd), nudge);
  return _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
}
/* 4 words to the even lanes, 0 in the odd ones. */
QK_INLINE __m256i qk256_spread32(const void *p) { return _mm256_cvtepu32_epi64(_mm_loadu_si128((const __m128i *)p)); }
QK_INLINE __m256i qk256_widen8to16v(__m128i a) { return _mm256_cvtepi8_epi16(a); }
QK_INLINE __m256i qk256_widen8(__m128i a) { return _mm256_cvtepi8_epi32(a); }
QK_INLINE __m256i qk256_widen8_high(__m128i a) { return _mm256_cvtepi8_epi32(_mm_srli_si128(a, 8)); }
/* 4 bytes, widened to 16 bits, to all quarters. */
QK_INLINE __m256i qk256_broadcast4to16(const void *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return _mm256_broadcastq_epi64(_mm_cvtepi8_epi16(_mm_cvtsi32_si128(x)));
}
QK_INLINE __m256i qk256_broadcast4(const void *p) {
  __m256i v;
  __asm__("vpbroadcastd %1, %0" : "=x"(v) : "m"(*(const int32_t *)p));
  return v;
}
QK_INLINE __m256i qk256_madd(__m256i a, __m256i b) { return _mm256_madd_epi16(a, b); }
/* The sums of adjacent lanes of a, then of b. */
QK_INLINE __m256i qk256_pair_sums(__m256i a, __m256i b) { return _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xD8); }
QK_INLINE __m256i qk256_join(__m128i a, __m128i b) { return _mm256_set_m128i(b, a); }
QK_INLINE __m128i qk128_unpack_low8(__m128i a, __m128i b) { return _mm_unpacklo_epi8(a, b); }
QK_INLINE __m128i qk128_unpack_high8(__m128i a, __m128i b) { return _mm_unpackhi_epi8(a, b); }
QK_INLINE __m128i qk128_unpack_low16(__m128i a, __m128i b) { return _mm_unpacklo_epi16(a, b); }
QK_INLINE __m128i qk128_unpack_high16(__m128i a, __m128i b) { return _mm_unpackhi_epi16(a, b); }
/* 16 words, saturated to 16 bits, in order. */
QK_INLINE __m256i qk256_saturate16(__m256i a, __m256i b) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8); }
QK_INLINE __m128i qk256_saturate8(__m256i a, __m256i b) {
  __m256i words = qk256_saturate16(a, b);
  return _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}
/* Whether a vector is one register, not two. */
QK_INLINE int qk256_is_one_register(void) { return 1; }
QK_INLINE __m256i qk256_set1_8(int8_t x) { return _mm256_set1_epi8(x); }
QK_INLINE __m256i qk256_shift_left_by2(__m256i a) { return _mm256_slli_epi32(a, 2); }
/* The signed product of the even words, 64 bits each. */
QK_INLINE __m256i qk256_mul_even(__m256i a, __m256i b) { return _mm256_mul_epi32(a, b); }
/* The upper halves of the words of 64 bits of a to the even lanes, of b to the odd ones. */
QK_INLINE __m256i qk256_join_upper(__m256i a, __m256i b) { return _mm256_blend_epi32(_mm256_srli_epi64(a, 32), b, 0xAA); }
/* a with its sign changed in lanes where b is negative, 0 where b is 0. */
QK_INLINE __m256i qk256_with_sign(__m256i a, __m256i b) { return _mm256_sign_epi32(a, b); }
/* Saturated to 16 and 8 bits; each half on its own, the lanes of a first. */
QK_INLINE __m256i qk256_packs32(__m256i a, __m256i b) { return _mm256_packs_epi32(a, b); }
QK_INLINE __m256i qk256_packs16(__m256i a, __m256i b) { return _mm256_packs_epi16(a, b); }
QK_INLINE __m256i qk256_adds16(__m256i a, __m256i b) { return _mm256_adds_epi16(a, b); }
QK_INLINE __m256i qk256_shift_right16_by1(__m256i a) { return _mm256_srai_epi16(a, 1); }
QK_INLINE __m256i qk256_clamp8(__m256i a, __m256i lo, __m256i hi) { return _mm256_min_epi8(_mm256_max_epi8(a, lo), hi); }
/* The 2 x 4 matrix of words of 32 bits that the halves form, transposed. */
QK_INLINE __m256i qk256_transpose2x4(__m256i a) {
  return _mm256_permutevar8x32_epi32(a, _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0));
}
QK_INLINE __m128i qk256_lower(__m256i a) { return _mm256_castsi256_si128(a); }
QK_INLINE __m128i qk256_upper(__m256i a) { return _mm256_extracti128_si256(a, 1); }
/* The first n elements; n in 0...16, 0...8 for words of 32 bits. */
QK_INLINE void qk128_store_first(void *p, __m128i v, int32_t n) {
  int8_t b[16];
  _mm_storeu_si128((__m128i *)b, v);
  for (int32_t i = 0; i < n; i++) ((int8_t *)p)[i] = b[i];
}
QK_INLINE void qk256_store_first16(void *p, __m256i v, int32_t n) {
  int16_t b[16];
  _mm256_storeu_si256((__m256i *)b, v);
  for (int32_t i = 0; i < n; i++) ((int16_t *)p)[i] = b[i];
}
QK_INLINE void qk256_store_first32(void *p, __m256i v, int32_t n) {
  int32_t b[8];
  _mm256_storeu_si256((__m256i *)b, v);
  for (int32_t i = 0; i < n; i++) ((int32_t *)p)[i] = b[i];
}
#endif
#if defined(__AVXVNNI__) && !defined(__AVX512F__)
QK_INLINE __m256i qk256_dpbusd(__m256i acc, __m256i u, __m256i s) {
#if defined(QK_EVEX_DOT)
  /* The same instruction in the encoding of AVX-512 VNNI, so that the set is tested on processors with only that. */
  __asm__("%{evex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(u), "x"(s));
  return acc;
#else
  return _mm256_dpbusd_avx_epi32(acc, u, s);
#endif
}
/* acc + the products of the pairs of 16 bits, added up. */
QK_INLINE __m256i qk256_add_pair_products(__m256i acc, __m256i a, __m256i b) {
#if defined(QK_EVEX_DOT)
  __asm__("%{evex%} vpdpwssd %2, %1, %0" : "+x"(acc) : "x"(a), "x"(b));
  return acc;
#else
  return _mm256_dpwssd_avx_epi32(acc, a, b);
#endif
}
#elif defined(__AVX2__) && !defined(__AVX512F__)
/* acc + the products of the pairs of 16 bits, added up. */
QK_INLINE __m256i qk256_add_pair_products(__m256i acc, __m256i a, __m256i b) {
  return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
}
#endif
#undef QK_INLINE
#endif
