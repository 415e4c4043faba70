/* Products of activations: matrices in batches, and scaled dot-product attention. */
#include "gemm.h"
#include "kernels.h"
#include "simd.h"

/* out[j][i] = in[i][j] of `rows` x `columns`. */
static void swap_axes(const float *in, int rows, int columns, float *out) {
  for (int j = 0; j < columns; j++)
    for (int i = 0; i < rows; i++)
      out[(size_t)j * rows + i] = in[(size_t)i * columns + j];
}

static void expect_batch(const struct operator *op, int one, int all) {
  if (one != all && one != 1)
    fail(EXIT_BAD_SPEC, op->line, "%s: a batch of %d is not broadcast to %d", op->kernel->name, one, all);
}

static const float *batch(const struct tensor *t, int n, int c) {
  size_t plane = (size_t)t->h * t->w;
  return t->data + ((t->n > 1 ? (size_t)n * t->c : 0) + (t->c > 1 ? (size_t)c : 0)) * plane;
}

static int inner_of(const struct operator *op, const struct tensor *a) {
  return op->swap_a ? a->h : a->w;
}

void prepare_matmul(const struct network *net, struct operator *op) {
  const struct tensor *a = input(net, op, 0), *b = input(net, op, 1), *y = output(net, op, 0);
  int m = op->swap_a ? a->w : a->h, k = inner_of(op, a), n = op->swap_b ? b->h : b->w;
  if (k != (op->swap_b ? b->w : b->h))
    fail(EXIT_BAD_SPEC, op->line, "matmul: %d columns times %d rows", k, op->swap_b ? b->w : b->h);
  for (int i = 0; i < 2; i++) {
    expect_batch(op, input(net, op, i)->n, y->n);
    expect_batch(op, input(net, op, i)->c, y->c);
  }
  expect_shape(op, y, y->n, y->c, m, n);
  op->scale = allocate_floats((size_t)m + 16);
  op->own = gemm_scratch_floats() + gemm_packed_floats(m, k) + (size_t)m * k + (size_t)n * k;
}

void run_matmul(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *a = input(net, op, 0), *b = input(net, op, 1), *y = output(net, op, 0);
  int m = y->h, n = y->w, k = inner_of(op, a);
  float *panels = own_scratch(net, team), *packed = panels + gemm_scratch_floats();
  float *left = packed + gemm_packed_floats(m, k), *right = left + (size_t)m * k;
  int batches = y->n * y->c, each = batches >= team.count; /* or shares of all */
  struct range r = each ? share_of((size_t)batches, team) : (struct range){0, batches};
  struct team inside = each ? (struct team){0, 1} : team;
  for (int at = r.begin; at < r.end; at++) {
    int i = at / y->c, c = at % y->c;
    const float *pa = batch(a, i, c), *pb = batch(b, i, c);
    if (op->swap_a)
      swap_axes(pa, k, m, left);
    gemm_pack_a(op->swap_a ? left : pa, k, m, k, packed);
    for (size_t e = 0; op->value != 0 && e < gemm_packed_floats(m, k); e++)
      packed[e] *= op->value; /* a factor of the product, such as the scale of queries */
    if (op->swap_b)
      swap_axes(pb, n, k, right);
    gemm_share(inside, m, n, k, packed, op->swap_b ? right : pb, (size_t)n, y->data + (size_t)at * m * n,
               (size_t)n, op->scale, ACT_NONE, 0, panels);
  }
}

/* q [N][heads][L][d], k [N][heads'][S][d], v [N][heads'][S][e]; heads' divides heads. */
void prepare_attention(const struct network *net, struct operator *op) {
  const struct tensor *q = input(net, op, 0), *k = input(net, op, 1), *v = input(net, op, 2);
  expect_shape(op, output(net, op, 0), q->n, q->c, q->h, v->w);
  expect_shape(op, k, q->n, k->c, k->h, q->w);
  expect_shape(op, v, q->n, k->c, k->h, v->w);
  if (q->c % k->c)
    fail(EXIT_BAD_SPEC, op->line, "%d heads of keys do not divide %d heads", k->c, q->c);
  op->scale = allocate_floats((size_t)q->h + 16);
  op->own = gemm_scratch_floats() + gemm_packed_floats(q->h, q->w) +
            gemm_packed_floats(q->h, k->h) + (size_t)k->h * q->w + (size_t)q->h * k->h;
}

/* Softmax of scaled scores; with `causal` a query sees no key after it. */
static void weigh(float *scores, int rows, int keys, float scale, int causal) {
  for (int i = 0; i < rows; i++) {
    float *row = scores + (size_t)i * keys;
    int seen = causal && i + 1 < keys ? i + 1 : keys;
    for (int j = 0; j < seen; j += 4)
      store_lanes(row + j, vmulq_n_f32(load_lanes(row + j, seen - j, 0), scale), seen - j);
    softmax_row(row, row, seen);
    memset(row + seen, 0, (size_t)(keys - seen) * sizeof *row);
  }
}

void run_attention(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *q = input(net, op, 0), *k = input(net, op, 1), *v = input(net, op, 2);
  const struct tensor *y = output(net, op, 0);
  float *panels = own_scratch(net, team), *packed = panels + gemm_scratch_floats();
  float *mixed = packed + gemm_packed_floats(q->h, q->w);
  float *keys = mixed + gemm_packed_floats(q->h, k->h), *scores = keys + (size_t)k->h * q->w;
  struct range heads = share_of((size_t)q->n * q->c, team);
  for (int at = heads.begin; at < heads.end; at++) {
    int n = at / q->c, h = at % q->c;
    int shared = h / (q->c / k->c);
    swap_axes(batch(k, n, shared), k->h, q->w, keys);
    gemm_pack_a(batch(q, n, h), q->w, q->h, q->w, packed);
    gemm(q->h, k->h, q->w, packed, keys, (size_t)k->h, scores, (size_t)k->h, op->scale, ACT_NONE, 0,
         panels);
    weigh(scores, q->h, k->h, 1.0f / sqrtf((float)q->w), op->causal);
    gemm_pack_a(scores, k->h, q->h, k->h, mixed);
    gemm(q->h, v->w, k->h, mixed, batch(v, n, shared), (size_t)v->w,
         y->data + ((size_t)n * q->c + h) * q->h * v->w, (size_t)v->w, op->scale, ACT_NONE, 0,
         panels);
  }
}
