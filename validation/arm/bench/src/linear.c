/* Fully connected layer: a matrix-vector product, four rows of weights at a time; for many rows of
 * input a product of matrices. */
#include "gemm.h"
#include "kernels.h"
#include "narrow.h"
#include "simd.h"

enum { MANY_ROWS = 8 };

static int features(const struct tensor *t) { return t->c * t->h * t->w; }

static void prepare_narrow(struct operator *op, int m, int k) {
  expect_narrow(op);
  float *plain = op->weights;
  op->weights = allocate_floats(narrow_packed_floats(op->dtype, m, k));
  op->scale = allocate_floats((size_t)m);
  narrow_pack(op->dtype, plain, m, k, op->weights, op->scale);
  release_floats(plain);
  op->own = narrow_scratch_floats(op->dtype, k);
}

/* Features are rows of the product, and rows of the input its columns. */
static void narrow_product(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct narrow product = {.op = op, .m = y->c, .n = x->n, .k = features(x),
                           .scale = narrow_scale(net, op, x, team),
                           .b = {x->data, 1, (size_t)features(x)}, .c = {y->data, 1, (size_t)y->c}};
  narrow_share(team, &product, own_scratch(net, team));
}

void prepare_linear(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_shape(op, y, x->n, y->c, 1, 1);
  op->weights = make_weights((size_t)y->c * features(x), features(x), op->seed);
  op->shift = make_bias(op, y->c);
  if (op->dtype != DTYPE_F32) {
    prepare_narrow(op, y->c, features(x));
    return;
  }
  if (x->n < MANY_ROWS)
    return;
  int k = features(x);
  float *plain = op->weights;
  op->weights = allocate_floats((size_t)y->c * k);
  for (int o = 0; o < y->c; o++) /* [k][cout] */
    for (int i = 0; i < k; i++)
      op->weights[(size_t)i * y->c + o] = plain[(size_t)o * k + i];
  release_floats(plain);
  op->scale = allocate_floats((size_t)x->n + 16); /* no bias of rows */
  op->own = gemm_scratch_floats();
  op->scratch = gemm_packed_floats(x->n, k);
}

static void product_of_matrices(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int k = features(x);
  float *packed = net->scratch;
  struct range rows = share_of((size_t)x->n, team);
  gemm_pack_a_share(x->data, k, x->n, k, packed, team);
  for (int i = rows.begin; i < rows.end; i++)
    memcpy(y->data + (size_t)i * y->c, op->shift, (size_t)y->c * sizeof *y->data);
  wait_for_all(team);
  gemm_share(team, x->n, y->c, k, packed, op->weights, (size_t)y->c, y->data, (size_t)y->c, op->scale, op->act,
             1, own_scratch(net, team));
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

void run_linear(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int k = features(x);
  if (op->dtype != DTYPE_F32) {
    narrow_product(net, op, team);
    return;
  }
  if (x->n >= MANY_ROWS) {
    product_of_matrices(net, op, team);
    return;
  }
  struct clamp clamp = make_clamp(op->act);
  struct range blocks = share_of((size_t)round_up(y->c, 4) / 4, team);
  int last = 4 * blocks.end < y->c ? 4 * blocks.end : y->c;
  for (int i = 0; i < x->n; i++) {
    const float *row = x->data + (size_t)i * k;
    float *out = y->data + (size_t)i * y->c;
    int o = 4 * blocks.begin;
    for (; o + 4 <= last; o += 4) {
      float sums[4];
      dot_rows(4, op->weights + (size_t)o * k, row, k, sums);
      vst1q_f32(out + o, clamp4(vaddq_f32(vld1q_f32(sums), vld1q_f32(op->shift + o)), clamp));
    }
    for (; o < last; o++) {
      float sum;
      dot_rows(1, op->weights + (size_t)o * k, row, k, &sum);
      store_lanes(out + o, clamp4(vdupq_n_f32(sum + op->shift[o]), clamp), 1);
    }
  }
}
