/* Products of int8: by dot products of four (ARMv8.2, asimddp), or by what every processor has. */
#include "narrow_kernels.h"
#include "simd.h"

/* sum += four products of bytes in each lane */
INLINE int32x4_t four_products(int32x4_t sum, int8x16_t b, int8x16_t a) {
  int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(b), vget_low_s8(a)));
  return vaddq_s32(sum, vpaddq_s32(low, vpaddlq_s16(vmull_high_s8(b, a))));
}

#define TILE int8_tile_dot
#define TILE_OF dot_tile_of
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#define PRODUCT(sum, b, a, lane) vdotq_laneq_s32(sum, b, a, lane)
#include "narrow_int8_tile.h"

#define TILE int8_tile_plain
#define TILE_OF plain_tile_of
#define TARGET
#define PRODUCT(sum, b, a, lane)                                                          \
  four_products(sum, b, vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(a), lane)))
#include "narrow_int8_tile.h"

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
