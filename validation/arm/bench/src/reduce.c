/* One number for all places along the second axis; running sums; the norm of neighbouring channels. */
#include "kernels.h"
#include "simd.h"

enum reduction { SUM, MEAN, MAX, MIN, NORM, PROD, VAR };

static size_t plane_of(const struct tensor *t) { return (size_t)t->h * t->w; }

void prepare_reduce(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  expect_shape(op, output(net, op, 0), x->n, 1, x->h, x->w);
}

void prepare_reduce_var(const struct network *net, struct operator *op) {
  prepare_reduce(net, op);
  if (input(net, op, 0)->c < 2)
    fail(EXIT_BAD_SPEC, op->line, "a variance needs two places or more");
}

INLINE float start_of(const enum reduction r) {
  return r == MAX ? -INFINITY : r == MIN ? INFINITY : r == PROD ? 1.0f : 0.0f;
}

INLINE float32x4_t step4(const enum reduction r, float32x4_t sum, float32x4_t x, float32x4_t middle) {
  float32x4_t far = vsubq_f32(x, middle);
  switch (r) {
  case MAX:
    return vmaxq_f32(sum, x);
  case MIN:
    return vminq_f32(sum, x);
  case PROD:
    return vmulq_f32(sum, x);
  case NORM:
    return vfmaq_f32(sum, x, x);
  case VAR:
    return vfmaq_f32(sum, far, far);
  default:
    return vaddq_f32(sum, x);
  }
}

INLINE float end_of(const enum reduction r, float sum, int count) {
  return r == MEAN ? sum / (float)count : r == VAR ? sum / (float)(count - 1) : r == NORM ? sqrtf(sum) : sum;
}

/* `count` values one after the other. */
INLINE float row(const enum reduction r, const float *x, int count, float middle) {
  float fill = r == VAR ? middle : start_of(r);
  float32x4_t sum = vdupq_n_f32(start_of(r));
  for (int i = 0; i < count; i += 4)
    sum = step4(r, sum, load_lanes(x + i, count - i, fill), vdupq_n_f32(middle));
  float lanes[4];
  vst1q_f32(lanes, sum);
  float all = r == MAX   ? vmaxvq_f32(sum)
              : r == MIN  ? vminvq_f32(sum)
              : r == PROD ? lanes[0] * lanes[1] * lanes[2] * lanes[3]
                          : vaddvq_f32(sum);
  return end_of(r, all, count);
}

/* `count` values `stride` apart, for up to four neighbours at a time. */
INLINE float32x4_t columns(const enum reduction r, const float *x, int count, size_t stride, int lanes,
                           float32x4_t middle) {
  float32x4_t sum = vdupq_n_f32(start_of(r));
  for (int i = 0; i < count; i++)
    sum = step4(r, sum, load_lanes(x + i * stride, lanes, 0), middle);
  if (r == MEAN || r == VAR)
    sum = vdivq_f32(sum, vdupq_n_f32((float)(r == VAR ? count - 1 : count)));
  return r == NORM ? vsqrtq_f32(sum) : sum;
}

INLINE void reduce(const enum reduction r, const struct network *net, const struct operator *op,
                   struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t plane = plane_of(x);
  int blocks = (int)((plane + 3) / 4);
  struct range mine = share_of((size_t)x->n * blocks, team);
  for (int at = mine.begin; at < mine.end; at++) {
    size_t n = (size_t)(at / blocks), e = (size_t)(at % blocks) * 4;
    const float *in = x->data + n * x->c * plane + e;
    float *out = y->data + n * plane + e;
    if (plane == 1) {
      *out = row(r, in, x->c, r == VAR ? row(MEAN, in, x->c, 0) : 0);
      continue;
    }
    int lanes = plane - e < 4 ? (int)(plane - e) : 4;
    float32x4_t middle = vdupq_n_f32(0);
    if (r == VAR)
      middle = columns(MEAN, in, x->c, plane, lanes, middle);
    store_lanes(out, columns(r, in, x->c, plane, lanes, middle), lanes);
  }
}

#define REDUCE(name, r) \
  void run_##name(const struct network *net, const struct operator *op, struct team team) { reduce(r, net, op, team); }

REDUCE(reduce_sum, SUM)
REDUCE(reduce_mean, MEAN)
REDUCE(reduce_max, MAX)
REDUCE(reduce_min, MIN)
REDUCE(reduce_norm, NORM)
REDUCE(reduce_prod, PROD)
REDUCE(reduce_var, VAR)

/* Sums of all places up to each. */
void run_cumsum(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t plane = plane_of(x);
  int blocks = (int)((plane + 3) / 4);
  struct range mine = share_of((size_t)x->n * blocks, team);
  for (int block = mine.begin; block < mine.end; block++) {
    size_t n = (size_t)(block / blocks), e = (size_t)(block % blocks) * 4;
    int lanes = plane - e < 4 ? (int)(plane - e) : 4;
    float32x4_t sum = vdupq_n_f32(0);
    for (int c = 0; c < x->c; c++) {
      size_t at = (n * x->c + c) * plane + e;
      sum = vaddq_f32(sum, load_lanes(x->data + at, lanes, 0));
      store_lanes(y->data + at, sum, lanes);
    }
  }
}

void prepare_lrn(const struct network *net, struct operator *op) {
  expect_same_shape(op, input(net, op, 0), output(net, op, 0));
}

/* x / (1 + 1e-4 mean of the squares of `inner` channels around)^(3/4); those outside are zeros. */
void run_lrn(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t plane = plane_of(x);
  float share = 1e-4f / (float)op->inner;
  struct range planes = share_of((size_t)x->n * x->c, team);
  for (int at = planes.begin; at < planes.end; at++) {
    int n = at / x->c, c = at % x->c;
    int first = c - op->inner / 2, last = c + (op->inner - 1) / 2;
    first = first < 0 ? 0 : first;
    last = last < x->c ? last : x->c - 1;
    for (size_t e = 0; e < plane; e += 4) {
      int lanes = plane - e < 4 ? (int)(plane - e) : 4;
      const float *in = x->data + (size_t)n * x->c * plane + e;
      float32x4_t sum = vdupq_n_f32(0);
      for (int i = first; i <= last; i++) {
        float32x4_t v = load_lanes(in + i * plane, lanes, 0);
        sum = vfmaq_f32(sum, v, v);
      }
      float32x4_t root = vsqrtq_f32(vfmaq_n_f32(vdupq_n_f32(1.0f), sum, share));
      float32x4_t power = vmulq_f32(root, vsqrtq_f32(root));
      store_lanes(y->data + ((size_t)n * x->c + c) * plane + e,
                  vdivq_f32(load_lanes(in + c * plane, lanes, 0), power), lanes);
    }
  }
}
