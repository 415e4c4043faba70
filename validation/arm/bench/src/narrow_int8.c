/* Products of int8: by dot products of four (ARMv8.2, asimddp), or by what every processor has. */
#include "narrow_kernels.h"
#include "simd.h"

#define DOT __attribute__((target("arch=armv8.2-a+dotprod")))
#define PLAIN

/* sum[i] += four products each; of row `lane` of four */
#define BY_DOT(sum, b, a, lane) vdotq_laneq_s32(sum, b, a, lane)
#define BY_HAND(sum, b, a, lane)                                                          \
  four_products(sum, b, vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(a), lane)))

INLINE int32x4_t four_products(int32x4_t sum, int8x16_t b, int8x16_t a) {
  int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(b), vget_low_s8(a)));
  return vaddq_s32(sum, vpaddq_s32(low, vpaddlq_s16(vmull_high_s8(b, a))));
}

#define ROW(PRODUCT, i, a, lane)           \
  for (int j = 0; j < vectors; j++)        \
    sum[i][j] = PRODUCT(sum[i][j], column[j], a, lane);

#define TILE(name, TARGET, PRODUCT)                                                                       \
  TARGET static inline __attribute__((always_inline)) void name##_of(                                     \
      const int vectors, int k, const int8_t *a, const int8_t *b, float *tile) {                          \
    int32x4_t sum[NARROW_MR][3];                                                                          \
    _Pragma("GCC unroll 8") for (int i = 0; i < NARROW_MR; i++)                                           \
        _Pragma("GCC unroll 3") for (int j = 0; j < vectors; j++) sum[i][j] = vdupq_n_s32(0);             \
    for (int p = 0; p < k; p += 4, a += 4 * NARROW_MR, b += 16 * vectors) {                               \
      int8x16_t low = vld1q_s8(a), high = vld1q_s8(a + 16), column[3];                                    \
      _Pragma("GCC unroll 3") for (int j = 0; j < vectors; j++) column[j] = vld1q_s8(b + 16 * j);         \
      ROW(PRODUCT, 0, low, 0) ROW(PRODUCT, 1, low, 1) ROW(PRODUCT, 2, low, 2) ROW(PRODUCT, 3, low, 3)     \
      ROW(PRODUCT, 4, high, 0) ROW(PRODUCT, 5, high, 1) ROW(PRODUCT, 6, high, 2) ROW(PRODUCT, 7, high, 3) \
    }                                                                                                     \
    _Pragma("GCC unroll 8") for (int i = 0; i < NARROW_MR; i++)                                           \
        _Pragma("GCC unroll 3") for (int j = 0; j < vectors; j++)                                         \
            vst1q_f32(tile + (i * vectors + j) * 4, vcvtq_f32_s32(sum[i][j]));                            \
  }                                                                                                       \
  TARGET void name(int vectors, int k, const int8_t *a, const int8_t *b, float *tile) {                   \
    if (vectors == 3)                                                                                     \
      name##_of(3, k, a, b, tile);                                                                        \
    else if (vectors == 2)                                                                                \
      name##_of(2, k, a, b, tile);                                                                        \
    else                                                                                                  \
      name##_of(1, k, a, b, tile);                                                                        \
  }

TILE(int8_tile_dot, DOT, BY_DOT)
TILE(int8_tile_plain, PLAIN, BY_HAND)

/* Four values as bytes, in the low half. */
INLINE int32x4_t steps4(const float *x, float inverse) {
  float32x4_t limit = vdupq_n_f32(127.0f), step = vrndnq_f32(vmulq_n_f32(vld1q_f32(x), inverse));
  return vcvtq_s32_f32(vmaxq_f32(vminq_f32(step, limit), vnegq_f32(limit)));
}

void int8_pack(const float *b, size_t step, int k, int width, float inverse, void *out) {
  int8_t *packed = out;
  for (int p = 0; p < k; p += 4, packed += 4 * width)
    for (int j = 0; j < width; j += 4) {
      int32x4_t all = vdupq_n_s32(0);
      for (int i = 3; i >= 0; i--) { /* a byte of each of four rows to a column */
        int32x4_t row = p + i < k ? steps4(b + (size_t)(p + i) * step + j, inverse) : vdupq_n_s32(0);
        all = vorrq_s32(vshlq_n_s32(all, 8), vandq_s32(row, vdupq_n_s32(255)));
      }
      vst1q_s8(packed + 4 * j, vreinterpretq_s8_s32(all));
    }
}
