/* Half-precision products (ARMv8.2, asimdhp). */
#include "narrow_kernels.h"
#include "simd.h"

#define HALF __attribute__((target("arch=armv8.2-a+fp16")))
enum { CHAIN = 64 }; /* terms summed in float16: their error grows with the number */

#define ROW(i)                                                                                       \
  for (int j = 0; j < vectors; j++)                                                                  \
    sum[i][j] = vfmaq_laneq_f16(sum[i][j], column[j], row, i);

HALF static inline __attribute__((always_inline)) void tile_of(const int vectors, int k, const float16_t *a,
                                                               const float16_t *b, float *tile) {
  for (int k0 = 0; k0 < k; k0 += CHAIN) {
    float16x8_t sum[NARROW_MR][3];
#pragma GCC unroll 8
    for (int i = 0; i < NARROW_MR; i++)
#pragma GCC unroll 3
      for (int j = 0; j < vectors; j++)
        sum[i][j] = vdupq_n_f16(0);
    for (int p = k0; p < k && p < k0 + CHAIN; p++) {
      float16x8_t row = vld1q_f16(a), column[3];
#pragma GCC unroll 3
      for (int j = 0; j < vectors; j++)
        column[j] = vld1q_f16(b + 8 * j);
      ROW(0) ROW(1) ROW(2) ROW(3) ROW(4) ROW(5) ROW(6) ROW(7)
      a += NARROW_MR;
      b += 8 * vectors;
    }
#pragma GCC unroll 8
    for (int i = 0; i < NARROW_MR; i++)
#pragma GCC unroll 3
      for (int j = 0; j < vectors; j++) {
        float *out = tile + (i * vectors + j) * 8;
        float32x4_t low = vcvt_f32_f16(vget_low_f16(sum[i][j])), high = vcvt_high_f32_f16(sum[i][j]);
        vst1q_f32(out, k0 ? vaddq_f32(vld1q_f32(out), low) : low);
        vst1q_f32(out + 4, k0 ? vaddq_f32(vld1q_f32(out + 4), high) : high);
      }
  }
}

HALF void half_tile(int vectors, int k, const __fp16 *a, const __fp16 *b, float *tile) {
  const float16_t *left = (const float16_t *)a, *right = (const float16_t *)b;
  if (vectors == 3)
    tile_of(3, k, left, right, tile);
  else if (vectors == 2)
    tile_of(2, k, left, right, tile);
  else
    tile_of(1, k, left, right, tile);
}

void half_pack(const float *b, size_t step, int k, int width, void *out) {
  float16_t *packed = out;
  for (int p = 0; p < k; p++, b += step, packed += width)
    for (int j = 0; j < width; j += 8)
      vst1q_f16(packed + j, vcvt_high_f16_f32(vcvt_f16_f32(vld1q_f32(b + j)), vld1q_f32(b + j + 4)));
}
