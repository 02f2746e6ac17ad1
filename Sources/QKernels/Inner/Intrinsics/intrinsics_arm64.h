/* Single arm64 instructions and short sequences of them for the NEON sets, inlined at no cost. */
#pragma once
#if defined(__aarch64__)
#include <arm_neon.h>
#include <stdint.h>
#define QK_INLINE static inline __attribute__((always_inline))

QK_INLINE int8x16_t qkn_load8(const void *p) { return vld1q_s8((const int8_t *)p); }
/* 64 bytes into four registers by one instruction. */
typedef struct {
  int8x16_t a, b, c, d;
} qkn_bytes64;
QK_INLINE qkn_bytes64 qkn_load64(const void *p) {
  int8x16x4_t v = vld1q_s8_x4((const int8_t *)p);
  return (qkn_bytes64){v.val[0], v.val[1], v.val[2], v.val[3]};
}
/* Bytes in four registers, byte i in register i % 4. */
QK_INLINE qkn_bytes64 qkn_load64_by_4(const void *p) {
  int8x16x4_t v = vld4q_s8((const int8_t *)p);
  return (qkn_bytes64){v.val[0], v.val[1], v.val[2], v.val[3]};
}
/* Bytes 0, 4 ... 60. */
QK_INLINE int8x16_t qkn_load_every4th(const void *p) {
  const int8_t *b = (const int8_t *)p;
  return vuzp1q_s8(vuzp1q_s8(vld1q_s8(b), vld1q_s8(b + 16)), vuzp1q_s8(vld1q_s8(b + 32), vld1q_s8(b + 48)));
}
/* 4 bytes to all lanes of 32 bits. */
QK_INLINE int8x16_t qkn_broadcast4(const void *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return vreinterpretq_s8_s32(vdupq_n_s32(x));
}
/* A short row of 4, 8 or 12 bytes, its last byte in the last lane; the lanes before the row are no part of it. */
QK_INLINE int8x16_t qkn_load_last4(const void *p) { return qkn_broadcast4(p); }
QK_INLINE int8x16_t qkn_load_last8(const void *p) {
  int64_t x;
  __builtin_memcpy(&x, p, 8);
  return vreinterpretq_s8_s64(vdupq_n_s64(x));
}
QK_INLINE int8x16_t qkn_load_last12(const void *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return vreinterpretq_s8_s32(vsetq_lane_s32(x, vreinterpretq_s32_s8(qkn_load_last8((const int8_t *)p + 4)), 1));
}
/* A short row of 4 bytes in the first lane. */
QK_INLINE int8x16_t qkn_load_first4(const void *p) {
  int32_t x;
  __builtin_memcpy(&x, p, 4);
  return vreinterpretq_s8_s32((int32x4_t){x, 0, 0, 0});
}
/* p + 64 as a value of its own: the load at p then steps p on, where the compiler would otherwise compute every address
 * from the first. */
QK_INLINE const int8_t *qkn_next64(const int8_t *p) {
  p += 64;
  __asm__("" : "+r"(p));
  return p;
}
/* The value as it is, as one that the compiler does not know: an offset that is added to several addresses stays one
 * register. */
QK_INLINE long qkn_single(long x) {
  __asm__("" : "+r"(x));
  return x;
}
/* The address as it is, as a value that the compiler does not know: what is loaded from it is loaded anew. Where vectors
 * begin with the same values, a load of two registers replaces two copies. */
QK_INLINE const void *qkn_opaque(const void *p) {
  __asm__ volatile("" : "+r"(p));
  return p;
}
/* The address as it is, as one that the compiler does not know before the values: it loads nothing from there earlier, for
 * which it would be short of registers. */
QK_INLINE const void *qkn_after(const void *p, int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d, int32x4_t e, int32x4_t f,
                                int32x4_t g, int32x4_t h) {
  __asm__("" : "+r"(p) : "w"(a), "w"(b), "w"(c), "w"(d), "w"(e), "w"(f), "w"(g), "w"(h));
  return p;
}
QK_INLINE void qkn_store8(void *p, int8x16_t v) { vst1q_s8((int8_t *)p, v); }
/* The first count bytes, 0...15. */
QK_INLINE void qkn_store8_first(void *p, int8x16_t v, long count) {
  int8_t *to = (int8_t *)p;
  if (count & 8) {
    vst1_s8(to, vget_low_s8(v));
    to += 8;
    v = vextq_s8(v, v, 8);
  }
  if (count & 4) {
    vst1q_lane_s32((int32_t *)(void *)to, vreinterpretq_s32_s8(v), 0);
    to += 4;
    v = vextq_s8(v, v, 4);
  }
  if (count & 2) {
    vst1q_lane_s16((int16_t *)(void *)to, vreinterpretq_s16_s8(v), 0);
    to += 2;
    v = vextq_s8(v, v, 2);
  }
  if (count & 1) vst1q_lane_s8(to, v, 0);
}
QK_INLINE int8x16_t qkn_bytes16(int16x8_t v) { return vreinterpretq_s8_s16(v); }
QK_INLINE int32x4_t qkn_load32(const void *p) { return vld1q_s32((const int32_t *)p); }
QK_INLINE void qkn_store32(void *p, int32x4_t v) { vst1q_s32((int32_t *)p, v); }
QK_INLINE void qkn_store16(void *p, int16x8_t v) { vst1q_s16((int16_t *)p, v); }
QK_INLINE int32x4_t qkn_set1(int32_t x) { return vdupq_n_s32(x); }
QK_INLINE int8x16_t qkn_set1_8(int8_t x) { return vdupq_n_s8(x); }
/* x in all lanes; the compiler does not see that they are equal, which leads it to more instructions for upper halves. */
QK_INLINE int8x16_t qkn_constant8(int8_t x) {
  int8x16_t v = vdupq_n_s8(x);
  __asm__("" : "+w"(v));
  return v;
}
QK_INLINE int16x8_t qkn_set1_16(int16_t x) { return vdupq_n_s16(x); }
QK_INLINE int32x4_t qkn_add(int32x4_t a, int32x4_t b) { return vaddq_s32(a, b); }
QK_INLINE int32x4_t qkn_sub(int32x4_t a, int32x4_t b) { return vsubq_s32(a, b); }
QK_INLINE int32x4_t qkn_mul(int32x4_t a, int32x4_t b) { return vmulq_s32(a, b); }
QK_INLINE int32x4_t qkn_max(int32x4_t a, int32x4_t b) { return vmaxq_s32(a, b); }
QK_INLINE int32x4_t qkn_min(int32x4_t a, int32x4_t b) { return vminq_s32(a, b); }
/* By a positive amount left, by a negative one right. */
QK_INLINE int32x4_t qkn_shift(int32x4_t a, int32x4_t n) { return vshlq_s32(a, n); }
/* (2 * a * m + 2^31) >> 32 = (a * m + 2^30) >> 31. */
QK_INLINE int32x4_t qkn_high_multiply(int32x4_t a, int32x4_t m) { return vqrdmulhq_s32(a, m); }
/* The rounding divide by 2^-n, n in -31...0: the rounding shift takes ties up, the correction away from zero. No high
 * product reaches INT32_MIN, so the correction cannot overflow. */
QK_INLINE int32x4_t qkn_divide(int32x4_t a, int32x4_t n) {
  return vrshlq_s32(vsraq_n_s32(a, vandq_s32(a, n), 31), n);
}
/* The same where no n is 0. */
QK_INLINE int32x4_t qkn_divide_negative(int32x4_t a, int32x4_t n) { return vrshlq_s32(vsraq_n_s32(a, a, 31), n); }
/* The same with ties up. */
QK_INLINE int32x4_t qkn_rounding_shift(int32x4_t a, int32x4_t n) { return vrshlq_s32(a, n); }
/* Less 128, saturated to 8 bits. */
QK_INLINE int8x16_t qkn_saturate_above_minus128(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d) {
  uint16x8_t low = vqmovun_high_s32(vqmovun_s32(a), b), high = vqmovun_high_s32(vqmovun_s32(c), d);
  return vreinterpretq_s8_u8(veorq_u8(vqmovn_high_u16(vqmovn_u16(low), high), vdupq_n_u8(128)));
}
/* a, or -1 where b is 0. */
QK_INLINE int32x4_t qkn_negative_where_zero(int32x4_t a, int32x4_t b) {
  return vorrq_s32(a, vreinterpretq_s32_u32(vceqzq_s32(b)));
}
/* The largest lane. */
QK_INLINE int32_t qkn_largest(int32x4_t a) { return vmaxvq_s32(a); }
QK_INLINE int8x16_t qkn_max8(int8x16_t a, int8x16_t b) { return vmaxq_s8(a, b); }
QK_INLINE int8x16_t qkn_min8(int8x16_t a, int8x16_t b) { return vminq_s8(a, b); }
QK_INLINE int16x8_t qkn_saturate16(int32x4_t a, int32x4_t b) { return vqmovn_high_s32(vqmovn_s32(a), b); }
QK_INLINE int8x16_t qkn_saturate8(int16x8_t a, int16x8_t b) { return vqmovn_high_s16(vqmovn_s16(a), b); }
QK_INLINE int16x8_t qkn_saturating_add16(int16x8_t a, int16x8_t b) { return vqaddq_s16(a, b); }
QK_INLINE int32x4_t qkn_widen0(int8x16_t a) { return vmovl_s16(vget_low_s16(vmovl_s8(vget_low_s8(a)))); }
QK_INLINE int32x4_t qkn_widen1(int8x16_t a) { return vmovl_high_s16(vmovl_s8(vget_low_s8(a))); }
QK_INLINE int32x4_t qkn_widen2(int8x16_t a) { return vmovl_s16(vget_low_s16(vmovl_high_s8(a))); }
QK_INLINE int32x4_t qkn_widen3(int8x16_t a) { return vmovl_high_s16(vmovl_high_s8(a)); }
/* Differences of bytes in 16 bits. */
QK_INLINE int16x8_t qkn_sub_low8(int8x16_t a, int8x16_t b) { return vsubl_s8(vget_low_s8(a), vget_low_s8(b)); }
QK_INLINE int16x8_t qkn_sub_high8(int8x16_t a, int8x16_t b) { return vsubl_high_s8(a, b); }
QK_INLINE int16x8_t qkn_shift5_16(int16x8_t a) { return vshlq_n_s16(a, 5); }
/* To 32 bits, times 2^15. */
QK_INLINE int32x4_t qkn_widen_low16_shift15(int16x8_t a) { return vshll_n_s16(vget_low_s16(a), 15); }
QK_INLINE int32x4_t qkn_widen_high16_shift15(int16x8_t a) { return vshll_high_n_s16(a, 15); }
QK_INLINE int32x4_t qkn_mul_low16(int16x8_t a, int16x8_t b) { return vmull_s16(vget_low_s16(a), vget_low_s16(b)); }
QK_INLINE int32x4_t qkn_mul_high16(int16x8_t a, int16x8_t b) { return vmull_high_s16(a, b); }
/* s + a * b, s + a. */
QK_INLINE int32x4_t qkn_mla_low16(int32x4_t s, int16x8_t a, int16x8_t b) {
  return vmlal_s16(s, vget_low_s16(a), vget_low_s16(b));
}
QK_INLINE int32x4_t qkn_mla_high16(int32x4_t s, int16x8_t a, int16x8_t b) { return vmlal_high_s16(s, a, b); }
QK_INLINE int32x4_t qkn_add_low16(int32x4_t s, int16x8_t a) { return vaddw_s16(s, vget_low_s16(a)); }
QK_INLINE int32x4_t qkn_add_high16(int32x4_t s, int16x8_t a) { return vaddw_high_s16(s, a); }
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
QK_INLINE int16x8_t qkn_load16(const void *p) { return vld1q_s16((const int16_t *)p); }
/* Words 0, 2 ... 14 and 1, 3 ... 15. */
typedef struct {
  int16x8_t even, odd;
} qkn_words16;
QK_INLINE qkn_words16 qkn_load16_by_2(const void *p) {
  int16x8x2_t v = vld2q_s16((const int16_t *)p);
  return (qkn_words16){v.val[0], v.val[1]};
}
/* x in all lanes; the compiler, which does not know x, leaves products with it products. */
QK_INLINE int16x8_t qkn_constant16(int16_t x) {
  int16x8_t v = vdupq_n_s16(x);
  __asm__("" : "+w"(v));
  return v;
}
QK_INLINE int32x4_t qkn_constant32(int32_t x) {
  int32x4_t v = vdupq_n_s32(x);
  __asm__("" : "+w"(v));
  return v;
}
/* s - a * b. */
QK_INLINE int32x4_t qkn_mls(int32x4_t s, int32x4_t a, int32x4_t b) { return vmlsq_s32(s, a, b); }
QK_INLINE int16x8_t qkn_add16(int16x8_t a, int16x8_t b) { return vaddq_s16(a, b); }
QK_INLINE int16x8_t qkn_sub16(int16x8_t a, int16x8_t b) { return vsubq_s16(a, b); }
/* s + a * b, s - a * b. */
QK_INLINE int16x8_t qkn_mla16(int16x8_t s, int16x8_t a, int16x8_t b) { return vmlaq_s16(s, a, b); }
QK_INLINE int16x8_t qkn_mls16(int16x8_t s, int16x8_t a, int16x8_t b) { return vmlsq_s16(s, a, b); }
/* s + a. */
QK_INLINE int16x8_t qkn_add_low8(int16x8_t s, int8x16_t a) { return vaddw_s8(s, vget_low_s8(a)); }
QK_INLINE int16x8_t qkn_add_high8(int16x8_t s, int8x16_t a) { return vaddw_high_s8(s, a); }
QK_INLINE int32x4_t qkn_shift_right6(int32x4_t a) { return vshrq_n_s32(a, 6); }
/* A case per lane, of which a constant lane leaves one. */
#define QKN_LANES(operation) \
  switch (lane) {            \
    case 0: operation(0);    \
    case 1: operation(1);    \
    case 2: operation(2);    \
    case 3: operation(3);    \
    case 4: operation(4);    \
    case 5: operation(5);    \
    case 6: operation(6);    \
    default: operation(7);   \
  }
/* s + a * lane of b. */
QK_INLINE int32x4_t qkn_mla_low16_lane(int32x4_t s, int16x8_t a, int16x8_t b, long lane) {
#define QKN_OPERATION(n) return vmlal_laneq_s16(s, vget_low_s16(a), b, n)
  QKN_LANES(QKN_OPERATION)
#undef QKN_OPERATION
}
QK_INLINE int32x4_t qkn_mla_high16_lane(int32x4_t s, int16x8_t a, int16x8_t b, long lane) {
#define QKN_OPERATION(n) return vmlal_high_laneq_s16(s, a, b, n)
  QKN_LANES(QKN_OPERATION)
#undef QKN_OPERATION
}
#undef QKN_LANES
/* a * lane of b. */
QK_INLINE int32x4_t qkn_mul_lane0(int32x4_t a, int32x4_t b) { return vmulq_laneq_s32(a, b, 0); }
QK_INLINE int32x4_t qkn_mul_lane1(int32x4_t a, int32x4_t b) { return vmulq_laneq_s32(a, b, 1); }
QK_INLINE int32x4_t qkn_mul_lane2(int32x4_t a, int32x4_t b) { return vmulq_laneq_s32(a, b, 2); }
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
