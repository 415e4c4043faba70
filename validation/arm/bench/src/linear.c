/* Fully connected layer: a matrix-vector product, four rows of weights at a time. */
#include "kernels.h"
#include "simd.h"

static int features(const struct tensor *t) { return t->c * t->h * t->w; }

void prepare_linear(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_shape(op, y, x->n, y->c, 1, 1);
  op->weights = make_weights((size_t)y->c * features(x), features(x), op->seed);
  op->shift = make_bias(op, y->c);
}

/* Products of `rows` (1 or 4) rows with x. */
INLINE void dot_rows(const int rows, const float *w, const float *x, int k, float *out) {
  float32x4_t sum[4];
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
    sum[r] = vdupq_n_f32(0);
  int i = 0;
  for (; i + 4 <= k; i += 4) {
    float32x4_t x4 = vld1q_f32(x + i);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
      sum[r] = vfmaq_f32(sum[r], vld1q_f32(w + (size_t)r * k + i), x4);
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++) {
    out[r] = vaddvq_f32(sum[r]);
    for (int t = i; t < k; t++)
      out[r] += w[(size_t)r * k + t] * x[t];
  }
}

void run_linear(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int k = features(x);
  struct clamp clamp = make_clamp(op->act);
  for (int i = 0; i < x->n; i++) {
    const float *row = x->data + (size_t)i * k;
    float *out = y->data + (size_t)i * y->c;
    int o = 0;
    for (; o + 4 <= y->c; o += 4) {
      float sums[4];
      dot_rows(4, op->weights + (size_t)o * k, row, k, sums);
      vst1q_f32(out + o, clamp4(vaddq_f32(vld1q_f32(sums), vld1q_f32(op->shift + o)), clamp));
    }
    for (; o < y->c; o++) {
      float sum;
      dot_rows(1, op->weights + (size_t)o * k, row, k, &sum);
      store_lanes(out + o, clamp4(vdupq_n_f32(sum + op->shift[o]), clamp), 1);
    }
  }
}
