/* Small vector helpers used by several kernels. */
#ifndef SIMD_H
#define SIMD_H

#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "bench.h"

#define INLINE static inline __attribute__((always_inline))

INLINE int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

/* Every activation a kernel can fuse is a clamp; none is a clamp to the whole line. */
struct clamp {
  float32x4_t low, high;
};

INLINE struct clamp make_clamp(enum activation act) {
  return (struct clamp){vdupq_n_f32(act == ACT_NONE ? -INFINITY : 0.0f),
                        vdupq_n_f32(act == ACT_RELU6 ? 6.0f : INFINITY)};
}

INLINE float32x4_t clamp4(float32x4_t x, struct clamp c) {
  return vminq_f32(vmaxq_f32(x, c.low), c.high);
}

/* Stores the first `count` lanes (all four when there are more). */
INLINE void store_lanes(float *out, float32x4_t x, int count) {
  if (count >= 4) {
    vst1q_f32(out, x);
    return;
  }
  float lanes[4];
  vst1q_f32(lanes, x);
  for (int i = 0; i < count; i++)
    out[i] = lanes[i];
}

/* Loads `count` lanes (at most 4), the others set to `fill`; never reads past the end. */
INLINE float32x4_t load_lanes(const float *in, int count, float fill) {
  if (count >= 4)
    return vld1q_f32(in);
  float lanes[4] = {fill, fill, fill, fill};
  for (int i = 0; i < count; i++)
    lanes[i] = in[i];
  return vld1q_f32(lanes);
}

/* Four elements `stride` apart. */
INLINE float32x4_t load_strided(const float *in, int stride) {
  if (stride == 1)
    return vld1q_f32(in);
  if (stride == 2)
    return vld2q_f32(in).val[0];
  float lanes[4] = {in[0], in[stride], in[2 * stride], in[3 * stride]};
  return vld1q_f32(lanes);
}

/* A plane with its border, wide enough that whole vectors may be read at every output position. */
struct padded {
  int height, width;
};

INLINE struct padded padded_extent(const struct operator *op, const struct tensor *y) {
  int reach_h = op->dilation * (op->kh - 1) + 1, reach_w = op->dilation_w * (op->kw - 1) + 1;
  return (struct padded){(y->h - 1) * op->stride + reach_h,
                         round_up((round_up(y->w, 8) - 1) * op->stride_w + reach_w + 8, 4)};
}

/* Copies a plane inside the border; rows and columns that no output reads are left out. */
INLINE void copy_inside(float *out, struct padded p, const float *in, int h, int w, int ph, int pw) {
  int rows = h < p.height - ph ? h : p.height - ph;
  int columns = w < p.width - pw ? w : p.width - pw;
  for (int y = 0; y < rows; y++)
    memcpy(out + (size_t)(y + ph) * p.width + pw, in + (size_t)y * w, (size_t)columns * sizeof *in);
}

/* exp(x), relative error about 2e-7: x = n ln 2 + r, the polynomial of Cephes' expf in r. */
INLINE float32x4_t exp4(float32x4_t x) {
  x = vminq_f32(vmaxq_f32(x, vdupq_n_f32(-87.3f)), vdupq_n_f32(88.3f));
  float32x4_t n = vrndnq_f32(vmulq_n_f32(x, 1.44269504088896341f));
  float32x4_t r = vfmsq_n_f32(x, n, 0.693359375f);
  r = vfmsq_n_f32(r, n, -2.12194440e-4f);
  float32x4_t p = vdupq_n_f32(1.9875691500e-4f);
  p = vfmaq_f32(vdupq_n_f32(1.3981999507e-3f), p, r);
  p = vfmaq_f32(vdupq_n_f32(8.3334519073e-3f), p, r);
  p = vfmaq_f32(vdupq_n_f32(4.1665795894e-2f), p, r);
  p = vfmaq_f32(vdupq_n_f32(1.6666665459e-1f), p, r);
  p = vfmaq_f32(vdupq_n_f32(5.0000001201e-1f), p, r);
  p = vaddq_f32(vfmaq_f32(r, p, vmulq_f32(r, r)), vdupq_n_f32(1.0f));
  int32x4_t exponent = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
  return vmulq_f32(p, vreinterpretq_f32_s32(exponent));
}

/* erf(x), absolute error about 1.5e-7: Abramowitz and Stegun (1964), 7.1.26. */
INLINE float32x4_t erf4(float32x4_t x) {
  float32x4_t one = vdupq_n_f32(1.0f), size = vabsq_f32(x);
  float32x4_t t = vdivq_f32(one, vfmaq_n_f32(one, size, 0.3275911f));
  float32x4_t p = vfmaq_n_f32(vdupq_n_f32(-1.453152027f), t, 1.061405429f);
  p = vfmaq_f32(vdupq_n_f32(1.421413741f), p, t);
  p = vfmaq_f32(vdupq_n_f32(-0.284496736f), p, t);
  p = vfmaq_f32(vdupq_n_f32(0.254829592f), p, t);
  p = vmulq_f32(p, t);
  float32x4_t y = vfmsq_f32(one, p, exp4(vnegq_f32(vmulq_f32(x, x))));
  return vbslq_f32(vdupq_n_u32(0x80000000u), x, y); /* with the sign of x */
}

#endif
