/* Layer and group normalization, with statistics of the data; the leaky rectifier with slopes. */
#include "kernels.h"
#include "simd.h"

#define EPSILON 1e-5f

static void make_affine(struct operator *op, int count) {
  op->scale = allocate_floats((size_t)count);
  op->shift = allocate_floats((size_t)count);
  for (int i = 0; i < count; i++) {
    op->scale[i] = op->affine ? 1.0f + 0.25f * uniform(op->seed, ROLE_SCALE, (uint32_t)i) : 1.0f;
    if (op->affine && op->bias)
      op->shift[i] = 0.125f * uniform(op->seed, ROLE_SHIFT, (uint32_t)i);
  }
}

void prepare_layernorm(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  expect_same_shape(op, x, output(net, op, 0));
  if (elements(x) % (size_t)op->inner)
    fail(EXIT_BAD_SPEC, op->line, "rows of %d do not divide %zu elements", op->inner, elements(x));
  make_affine(op, op->inner);
}

/* Mean and 1 / deviation of `count` values; the mean is left out (0) for the root mean square. */
static void statistics(const float *x, size_t count, int rms, float *mean, float *inverse) {
  float32x4_t sums = vdupq_n_f32(0);
  for (size_t i = 0; i < count && !rms; i += 4)
    sums = vaddq_f32(sums, load_lanes(x + i, count - i < 4 ? (int)(count - i) : 4, 0));
  *mean = vaddvq_f32(sums) / (float)count;
  float32x4_t squares = vdupq_n_f32(0), middle = vdupq_n_f32(*mean);
  for (size_t i = 0; i < count; i += 4) {
    float32x4_t v = load_lanes(x + i, count - i < 4 ? (int)(count - i) : 4, *mean);
    v = vsubq_f32(v, middle);
    squares = vfmaq_f32(squares, v, v);
  }
  *inverse = 1.0f / sqrtf(vaddvq_f32(squares) / (float)count + EPSILON);
}

void run_layernorm(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int count = op->inner;
  struct range rows = share_of(elements(x) / (size_t)count, team);
  for (size_t at = (size_t)rows.begin * count; at < (size_t)rows.end * count; at += (size_t)count) {
    const float *in = x->data + at;
    float *out = y->data + at, mean, inverse;
    statistics(in, (size_t)count, op->rms, &mean, &inverse);
    float32x4_t middle = vdupq_n_f32(mean);
    for (int i = 0; i < count; i += 4) {
      int left = count - i;
      float32x4_t v = vmulq_n_f32(vsubq_f32(load_lanes(in + i, left, 0), middle), inverse);
      v = vfmaq_f32(load_lanes(op->shift + i, left, 0), v, load_lanes(op->scale + i, left, 0));
      store_lanes(out + i, v, left);
    }
  }
}

void prepare_groupnorm(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  expect_same_shape(op, x, output(net, op, 0));
  if (x->c % op->groups)
    fail(EXIT_BAD_SPEC, op->line, "%d groups do not divide %d channels", op->groups, x->c);
  op->bias = 1;
  make_affine(op, x->c);
}

void run_groupnorm(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t plane = (size_t)x->h * x->w;
  int members = x->c / op->groups;
  struct range groups = share_of((size_t)x->n * op->groups, team);
  for (int g = groups.begin; g < groups.end; g++) {
    size_t at = (size_t)g * members * plane;
    float mean, inverse;
    statistics(x->data + at, members * plane, 0, &mean, &inverse);
    for (int j = 0; j < members; j++, at += plane) {
      int c = g % op->groups * members + j;
      float scale = op->scale[c] * inverse, shift = op->shift[c] - mean * scale;
      float32x4_t add = vdupq_n_f32(shift);
      for (size_t i = 0; i < plane; i += 4) {
        int left = plane - i < 4 ? (int)(plane - i) : 4;
        float32x4_t v = load_lanes(x->data + at + i, left, 0);
        store_lanes(y->data + at + i, vfmaq_n_f32(add, v, scale), left);
      }
    }
  }
}

/* Slopes in (1/8, 3/8), one a channel. */
void prepare_prelu(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  expect_same_shape(op, x, output(net, op, 0));
  op->scale = allocate_floats((size_t)x->c);
  for (int c = 0; c < x->c; c++)
    op->scale[c] = 0.25f + 0.125f * uniform(op->seed, ROLE_SCALE, (uint32_t)(op->groups == 1 ? c : 0));
}

void run_prelu(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t plane = (size_t)x->h * x->w;
  struct range planes = share_of((size_t)x->n * x->c, team);
  for (int i = planes.begin; i < planes.end; i++)
    for (size_t e = 0; e < plane; e += 4) {
      int left = plane - e < 4 ? (int)(plane - e) : 4;
      float32x4_t v = load_lanes(x->data + i * plane + e, left, 0);
      store_lanes(y->data + i * plane + e, vmaxq_f32(v, vmulq_n_f32(v, op->scale[i % x->c])), left);
    }
}
