/* Operators on each element: activations, add, mul, bias, batch norm; and softmax over channels. */
#include "kernels.h"
#include "simd.h"

static size_t plane_of(const struct tensor *t) { return (size_t)t->h * t->w; }

void prepare_unary(const struct network *net, struct operator *op) {
  expect_same_shape(op, input(net, op, 0), output(net, op, 0));
}

INLINE float32x4_t relu4(float32x4_t x) { return vmaxq_f32(x, vdupq_n_f32(0)); }

INLINE float32x4_t relu6_4(float32x4_t x) { return vminq_f32(relu4(x), vdupq_n_f32(6.0f)); }

INLINE float32x4_t sigmoid4(float32x4_t x) {
  float32x4_t one = vdupq_n_f32(1.0f);
  return vdivq_f32(one, vaddq_f32(one, exp4(vnegq_f32(x))));
}

INLINE float32x4_t silu4(float32x4_t x) { return vmulq_f32(x, sigmoid4(x)); }

INLINE float32x4_t hsigmoid4(float32x4_t x) {
  return vmulq_n_f32(relu6_4(vaddq_f32(x, vdupq_n_f32(3.0f))), 1.0f / 6.0f);
}

INLINE float32x4_t hswish4(float32x4_t x) { return vmulq_f32(x, hsigmoid4(x)); }

INLINE float32x4_t tanh4(float32x4_t x) { /* 1 - 2 / (exp(2x) + 1) */
  float32x4_t one = vdupq_n_f32(1.0f), e = exp4(vaddq_f32(x, x));
  return vsubq_f32(one, vdivq_f32(vdupq_n_f32(2.0f), vaddq_f32(e, one)));
}

#define UNARY(name, function)                                                      \
  void run_##name(const struct network *net, const struct operator *op) {          \
    const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);           \
    size_t count = elements(x), i = 0;                                             \
    for (; i + 16 <= count; i += 16)                                               \
      for (int j = 0; j < 16; j += 4)                                              \
        vst1q_f32(y->data + i + j, function(vld1q_f32(x->data + i + j)));          \
    for (; i < count; i += 4) {                                                    \
      int left = count - i < 4 ? (int)(count - i) : 4;                             \
      store_lanes(y->data + i, function(load_lanes(x->data + i, left, 0)), left);  \
    }                                                                              \
  }

UNARY(relu, relu4)
UNARY(relu6, relu6_4)
UNARY(sigmoid, sigmoid4)
UNARY(silu, silu4)
UNARY(hsigmoid, hsigmoid4)
UNARY(hswish, hswish4)
UNARY(tanh, tanh4)

/* Both inputs of one shape, or the second one value a channel (N C 1 1 or 1 C 1 1). */
void prepare_binary(const struct network *net, struct operator *op) {
  const struct tensor *a = input(net, op, 0), *b = input(net, op, 1);
  expect_same_shape(op, a, output(net, op, 0));
  int same = a->n == b->n && a->c == b->c && a->h == b->h && a->w == b->w;
  int channel = (b->n == a->n || b->n == 1) && b->c == a->c && b->h == 1 && b->w == 1;
  if (!same && !channel)
    fail(EXIT_BAD_SPEC, op->line, "%s takes two tensors of one shape, or a second of shape N C 1 1",
         op->kernel->name);
}

INLINE void binary_row(const int is_add, const float *a, const float *b, int one_b, float *y,
                       size_t count, struct clamp clamp) {
  float32x4_t all = vdupq_n_f32(*b);
  for (size_t i = 0; i < count; i += 4) {
    int left = count - i < 4 ? (int)(count - i) : 4;
    float32x4_t x = load_lanes(a + i, left, 0), z = one_b ? all : load_lanes(b + i, left, 0);
    store_lanes(y + i, clamp4(is_add ? vaddq_f32(x, z) : vmulq_f32(x, z), clamp), left);
  }
}

INLINE void binary(const int is_add, const struct network *net, const struct operator *op) {
  const struct tensor *a = input(net, op, 0), *b = input(net, op, 1), *y = output(net, op, 0);
  struct clamp clamp = make_clamp(op->act);
  size_t plane = plane_of(a);
  if (elements(a) == elements(b)) {
    binary_row(is_add, a->data, b->data, 0, y->data, elements(a), clamp);
    return;
  }
  for (int i = 0; i < a->n * a->c; i++)
    binary_row(is_add, a->data + i * plane, b->data + (b->n == 1 ? i % a->c : i), 1,
               y->data + i * plane, plane, clamp);
}

void run_add(const struct network *net, const struct operator *op) { binary(1, net, op); }

void run_mul(const struct network *net, const struct operator *op) { binary(0, net, op); }

/* y = clamp(x * scale[c] + shift[c]); bias is the same with scale 1. */
static void prepare_affine(const struct network *net, struct operator *op, float spread,
                           float reach) {
  const struct tensor *x = input(net, op, 0);
  expect_same_shape(op, x, output(net, op, 0));
  op->scale = allocate_floats((size_t)x->c);
  op->shift = allocate_floats((size_t)x->c);
  for (int c = 0; c < x->c; c++) {
    op->scale[c] = 1.0f + spread * uniform(op->seed, ROLE_SCALE, (uint32_t)c);
    op->shift[c] = reach * uniform(op->seed, spread > 0 ? ROLE_SHIFT : ROLE_BIAS, (uint32_t)c);
  }
}

void prepare_batchnorm(const struct network *net, struct operator *op) {
  prepare_affine(net, op, 0.25f, 0.125f);
}

void prepare_bias(const struct network *net, struct operator *op) {
  prepare_affine(net, op, 0.0f, 0.125f);
}

INLINE void affine(const int scaled, const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct clamp clamp = make_clamp(op->act);
  size_t plane = plane_of(x);
  for (int i = 0; i < x->n * x->c; i++) {
    float32x4_t scale = vdupq_n_f32(op->scale[i % x->c]), shift = vdupq_n_f32(op->shift[i % x->c]);
    const float *in = x->data + i * plane;
    float *out = y->data + i * plane;
    for (size_t e = 0; e < plane; e += 4) {
      int left = plane - e < 4 ? (int)(plane - e) : 4;
      float32x4_t v = load_lanes(in + e, left, 0);
      v = scaled ? vfmaq_f32(shift, v, scale) : vaddq_f32(v, shift);
      store_lanes(out + e, clamp4(v, clamp), left);
    }
  }
}

void run_batchnorm(const struct network *net, const struct operator *op) { affine(1, net, op); }

void run_bias(const struct network *net, const struct operator *op) { affine(0, net, op); }

/* exp(x - max) / sum over `count` values one after the other */
static void softmax_row(const float *x, float *y, int count) {
  float largest = -INFINITY, sum = 0;
  for (int i = 0; i < count; i += 4)
    largest = fmaxf(largest, vmaxvq_f32(load_lanes(x + i, count - i, -INFINITY)));
  for (int i = 0; i < count; i += 4) {
    float32x4_t v = vsubq_f32(load_lanes(x + i, count - i, -INFINITY), vdupq_n_f32(largest));
    v = exp4(v);
    store_lanes(y + i, v, count - i);
    for (int j = 0; j < 4 && j < count - i; j++)
      sum += y[i + j];
  }
  for (int i = 0; i < count; i++)
    y[i] /= sum;
}

/* the same over values `stride` apart, for four neighbours at a time */
static void softmax_columns(const float *x, float *y, int count, size_t stride, int lanes) {
  float32x4_t largest = vdupq_n_f32(-INFINITY), sum = vdupq_n_f32(0);
  for (int i = 0; i < count; i++)
    largest = vmaxq_f32(largest, load_lanes(x + i * stride, lanes, 0));
  for (int i = 0; i < count; i++) {
    float32x4_t v = exp4(vsubq_f32(load_lanes(x + i * stride, lanes, 0), largest));
    sum = vaddq_f32(sum, v);
    store_lanes(y + i * stride, v, lanes);
  }
  for (int i = 0; i < count; i++)
    store_lanes(y + i * stride, vdivq_f32(load_lanes(y + i * stride, lanes, 0), sum), lanes);
}

void run_softmax(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t plane = plane_of(x), image = plane * x->c;
  for (int n = 0; n < x->n; n++) {
    if (plane == 1) {
      softmax_row(x->data + n * image, y->data + n * image, x->c);
      continue;
    }
    for (size_t e = 0; e < plane; e += 4)
      softmax_columns(x->data + n * image + e, y->data + n * image + e, x->c, plane,
                      plane - e < 4 ? (int)(plane - e) : 4);
  }
}
