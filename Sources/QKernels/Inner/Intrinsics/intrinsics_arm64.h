/* Single arm64 instructions for the sets' Vec.swift, inlined at no cost. */
#pragma once
#if defined(__aarch64__)
#include <arm_neon.h>
#include <stdint.h>
#define QK_INLINE static inline __attribute__((always_inline))

QK_INLINE int8x16_t qkn_load8(const void *p) { return vld1q_s8((const int8_t *)p); }
QK_INLINE void qkn_store8(void *p, int8x16_t v) { vst1q_s8((int8_t *)p, v); }
QK_INLINE int32x4_t qkn_load32(const void *p) { return vld1q_s32((const int32_t *)p); }
QK_INLINE void qkn_store32(void *p, int32x4_t v) { vst1q_s32((int32_t *)p, v); }
QK_INLINE void qkn_store16(void *p, int16x8_t v) { vst1q_s16((int16_t *)p, v); }
QK_INLINE int32x4_t qkn_set1(int32_t x) { return vdupq_n_s32(x); }
QK_INLINE int8x16_t qkn_set1_8(int8_t x) { return vdupq_n_s8(x); }
QK_INLINE int16x8_t qkn_set1_16(int16_t x) { return vdupq_n_s16(x); }
/* 4 bytes to all lanes of 32 bits. */
QK_INLINE int8x16_t qkn_broadcast4(const void *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(x));
}
QK_INLINE int32x4_t qkn_add(int32x4_t a, int32x4_t b) { return vaddq_s32(a, b); }
QK_INLINE int32x4_t qkn_sub(int32x4_t a, int32x4_t b) { return vsubq_s32(a, b); }
QK_INLINE int32x4_t qkn_mul(int32x4_t a, int32x4_t b) { return vmulq_s32(a, b); }
QK_INLINE int32x4_t qkn_max(int32x4_t a, int32x4_t b) { return vmaxq_s32(a, b); }
QK_INLINE int32x4_t qkn_min(int32x4_t a, int32x4_t b) { return vminq_s32(a, b); }
/* By a positive amount left, by a negative one right. */
QK_INLINE int32x4_t qkn_shift(int32x4_t a, int32x4_t n) { return vshlq_s32(a, n); }
/* (2 * a * m + 2^31) >> 32 = (a * m + 2^30) >> 31. */
QK_INLINE int32x4_t qkn_high_multiply(int32x4_t a, int32x4_t m) { return vqrdmulhq_s32(a, m); }
/* The rounding divide by 2^-n, n in -31...0: the rounding shift takes ties up, the correction away from zero. */
QK_INLINE int32x4_t qkn_divide(int32x4_t a, int32x4_t n) {
  return vrshlq_s32(vqaddq_s32(a, vshrq_n_s32(vandq_s32(a, n), 31)), n);
}
QK_INLINE int8x16_t qkn_max8(int8x16_t a, int8x16_t b) { return vmaxq_s8(a, b); }
QK_INLINE int8x16_t qkn_min8(int8x16_t a, int8x16_t b) { return vminq_s8(a, b); }
QK_INLINE int16x8_t qkn_saturate16(int32x4_t a, int32x4_t b) { return vqmovn_high_s32(vqmovn_s32(a), b); }
QK_INLINE int8x16_t qkn_saturate8(int16x8_t a, int16x8_t b) { return vqmovn_high_s16(vqmovn_s16(a), b); }
QK_INLINE int16x8_t qkn_saturating_add16(int16x8_t a, int16x8_t b) { return vqaddq_s16(a, b); }
QK_INLINE int32x4_t qkn_widen0(int8x16_t a) { return vmovl_s16(vget_low_s16(vmovl_s8(vget_low_s8(a)))); }
QK_INLINE int32x4_t qkn_widen1(int8x16_t a) { return vmovl_high_s16(vmovl_s8(vget_low_s8(a))); }
QK_INLINE int32x4_t qkn_widen2(int8x16_t a) { return vmovl_s16(vget_low_s16(vmovl_high_s8(a))); }
QK_INLINE int32x4_t qkn_widen3(int8x16_t a) { return vmovl_high_s16(vmovl_high_s8(a)); }
QK_INLINE int8x16_t qkn_zip_low8(int8x16_t a, int8x16_t b) { return vzip1q_s8(a, b); }
QK_INLINE int8x16_t qkn_zip_high8(int8x16_t a, int8x16_t b) { return vzip2q_s8(a, b); }
QK_INLINE int8x16_t qkn_zip_low16(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s16(vzip1q_s16(vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b)));
}
QK_INLINE int8x16_t qkn_zip_high16(int8x16_t a, int8x16_t b) {
  return vreinterpretq_s8_s16(vzip2q_s16(vreinterpretq_s16_s8(a), vreinterpretq_s16_s8(b)));
}
/* Lane of 4 bytes to all lanes. */
QK_INLINE int8x16_t qkn_lane0(int8x16_t a) { return vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(a), 0)); }
QK_INLINE int8x16_t qkn_lane1(int8x16_t a) { return vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(a), 1)); }
QK_INLINE int8x16_t qkn_lane2(int8x16_t a) { return vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(a), 2)); }
QK_INLINE int8x16_t qkn_lane3(int8x16_t a) { return vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(a), 3)); }
/* Products of bytes in 16 bits, then sums of adjacent ones added to 32 bits. */
QK_INLINE int16x8_t qkn_mul_low8(int8x16_t a, int8x16_t b) { return vmull_s8(vget_low_s8(a), vget_low_s8(b)); }
QK_INLINE int16x8_t qkn_mul_high8(int8x16_t a, int8x16_t b) { return vmull_high_s8(a, b); }
QK_INLINE int16x8_t qkn_mla_low8(int16x8_t s, int8x16_t a, int8x16_t b) { return vmlal_s8(s, vget_low_s8(a), vget_low_s8(b)); }
QK_INLINE int16x8_t qkn_mla_high8(int16x8_t s, int8x16_t a, int8x16_t b) { return vmlal_high_s8(s, a, b); }
QK_INLINE int32x4_t qkn_add_pairs(int32x4_t s, int16x8_t a) { return vpadalq_s16(s, a); }
QK_INLINE int32x4_t qkn_pair_sums(int32x4_t a, int32x4_t b) { return vpaddq_s32(a, b); }
/* Interleaved with z: a0 z a1 z, and a2 z a3 z. */
QK_INLINE int32x4_t qkn_spread_low(int32x4_t a, int32x4_t z) { return vzip1q_s32(a, z); }
QK_INLINE int32x4_t qkn_spread_high(int32x4_t a, int32x4_t z) { return vzip2q_s32(a, z); }
#if defined(__ARM_FEATURE_DOTPROD)
QK_INLINE int32x4_t qkn_dot(int32x4_t s, int8x16_t a, int8x16_t b) { return vdotq_s32(s, a, b); }
QK_INLINE int32x4_t qkn_dot_lane0(int32x4_t s, int8x16_t a, int8x16_t b) { return vdotq_laneq_s32(s, a, b, 0); }
QK_INLINE int32x4_t qkn_dot_lane1(int32x4_t s, int8x16_t a, int8x16_t b) { return vdotq_laneq_s32(s, a, b, 1); }
QK_INLINE int32x4_t qkn_dot_lane2(int32x4_t s, int8x16_t a, int8x16_t b) { return vdotq_laneq_s32(s, a, b, 2); }
QK_INLINE int32x4_t qkn_dot_lane3(int32x4_t s, int8x16_t a, int8x16_t b) { return vdotq_laneq_s32(s, a, b, 3); }
#endif
/* The C library's, declared here because nothing else of it is needed. */
unsigned long getauxval(unsigned long type);
#if defined(__ARM_FEATURE_DOTPROD)
enum { qk_has_dot_product = 1 };
#else
enum { qk_has_dot_product = 0 };
#endif
#undef QK_INLINE
#endif
