/* Direct 3x3 convolution: 4 output channels x 8 output columns at a time. */
#include "kernels.h"
#include "simd.h"

enum { CHANNELS = 4, TAPS = 9 };

void prepare_conv3x3(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  op->kh = op->kw = 3;
  expect_window(net, op, y->c);
  if (op->stride > 2)
    fail(EXIT_BAD_SPEC, op->line, "conv3x3 has strides 1 and 2, not %d; use conv", op->stride);
  float *plain = make_weights((size_t)y->c * x->c * TAPS, x->c * TAPS, op->seed);
  size_t row = (size_t)x->c * TAPS;
  op->weights = allocate_floats((size_t)round_up(y->c, CHANNELS) * row);
  for (int o = 0; o < y->c; o++) /* [cout/4][cin][tap][4] */
    for (size_t t = 0; t < row; t++)
      op->weights[(o / CHANNELS * row + t) * CHANNELS + o % CHANNELS] = plain[o * row + t];
  release_floats(plain);
  op->shift = make_bias(op, y->c);
  struct padded p = padded_extent(op, y);
  op->scratch = (size_t)x->c * p.height * p.width;
}

struct row {
  const float *x; /* padded input, at the first row of the window */
  struct padded p;
  int cin, width, channels;
  const float *weights, *bias;
  struct clamp clamp;
  float *y;
  size_t plane; /* of the output */
};

INLINE void taps(float32x4_t sum[CHANNELS][2], const float *w, float32x4_t x0, float32x4_t x1) {
  float32x4_t w4 = vld1q_f32(w);
  sum[0][0] = vfmaq_laneq_f32(sum[0][0], x0, w4, 0);
  sum[1][0] = vfmaq_laneq_f32(sum[1][0], x0, w4, 1);
  sum[2][0] = vfmaq_laneq_f32(sum[2][0], x0, w4, 2);
  sum[3][0] = vfmaq_laneq_f32(sum[3][0], x0, w4, 3);
  sum[0][1] = vfmaq_laneq_f32(sum[0][1], x1, w4, 0);
  sum[1][1] = vfmaq_laneq_f32(sum[1][1], x1, w4, 1);
  sum[2][1] = vfmaq_laneq_f32(sum[2][1], x1, w4, 2);
  sum[3][1] = vfmaq_laneq_f32(sum[3][1], x1, w4, 3);
}

/* One row of four output channels. */
INLINE void row_kernel(const int stride, const struct row *r) {
  for (int x0 = 0; x0 < r->width; x0 += 8) {
    float32x4_t sum[CHANNELS][2];
#pragma GCC unroll 4
    for (int o = 0; o < CHANNELS; o++)
      sum[o][0] = sum[o][1] = vdupq_n_f32(r->bias[o]);
    const float *w = r->weights, *plane = r->x + x0 * stride;
    for (int c = 0; c < r->cin; c++, plane += (size_t)r->p.height * r->p.width)
#pragma GCC unroll 3
      for (int ky = 0; ky < 3; ky++, w += 3 * CHANNELS) {
        const float *x = plane + (size_t)ky * r->p.width;
        if (stride == 1) {
          taps(sum, w, vld1q_f32(x), vld1q_f32(x + 4));
          taps(sum, w + 4, vld1q_f32(x + 1), vld1q_f32(x + 5));
          taps(sum, w + 8, vld1q_f32(x + 2), vld1q_f32(x + 6));
        } else { /* even and odd columns come apart in one load */
          float32x4x2_t a = vld2q_f32(x), b = vld2q_f32(x + 8);
          taps(sum, w, a.val[0], b.val[0]);
          taps(sum, w + 4, a.val[1], b.val[1]);
          taps(sum, w + 8, vld2q_f32(x + 2).val[0], vld2q_f32(x + 10).val[0]);
        }
      }
    for (int o = 0; o < r->channels; o++) {
      float *y = r->y + o * r->plane + x0;
      store_lanes(y, clamp4(sum[o][0], r->clamp), r->width - x0);
      if (r->width - x0 > 4)
        store_lanes(y + 4, clamp4(sum[o][1], r->clamp), r->width - x0 - 4);
    }
  }
}

void run_conv3x3(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct padded p = padded_extent(op, y);
  size_t plane_in = (size_t)x->h * x->w, plane_out = (size_t)y->h * y->w;
  size_t plane_padded = (size_t)p.height * p.width;
  struct range mine = share_of((size_t)x->c, team);
  struct range rows = share_of((size_t)(round_up(y->c, CHANNELS) / CHANNELS) * y->h, team);
  memset(net->scratch + mine.begin * plane_padded, 0,
         (size_t)(mine.end - mine.begin) * plane_padded * sizeof *net->scratch);
  for (int i = 0; i < x->n; i++) {
    for (int c = mine.begin; c < mine.end; c++)
      copy_inside(net->scratch + c * plane_padded, p,
                  x->data + ((size_t)i * x->c + c) * plane_in, x->h, x->w, op->ph, op->pw);
    wait_for_all(team);
    for (int at = rows.begin; at < rows.end; at++) {
      int o = at / y->h * CHANNELS, oy = at % y->h;
      struct row r = {
          .x = net->scratch + (size_t)oy * op->stride * p.width, .p = p, .cin = x->c,
          .width = y->w, .channels = y->c - o < CHANNELS ? y->c - o : CHANNELS,
          .weights = op->weights + (size_t)o * x->c * TAPS, .bias = op->shift + o,
          .clamp = make_clamp(op->act),
          .y = y->data + ((size_t)i * y->c + o) * plane_out + (size_t)oy * y->w,
          .plane = plane_out};
      if (op->stride == 1)
        row_kernel(1, &r);
      else
        row_kernel(2, &r);
    }
    wait_for_all(team);
  }
}
