/* Operators on each element of one tensor: activations, bias, batch norm; softmax over channels. */
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

INLINE float32x4_t gelu4(float32x4_t x) { /* x/2 (1 + erf(x / sqrt 2)) */
  return vmulq_f32(vmulq_n_f32(x, 0.5f),
                   vaddq_f32(vdupq_n_f32(1.0f), erf4(vmulq_n_f32(x, 0.70710678118654752f))));
}

INLINE float32x4_t gelu_tanh4(float32x4_t x) {
  float32x4_t cube = vmulq_f32(vmulq_f32(x, x), x);
  float32x4_t inner = vmulq_n_f32(vfmaq_n_f32(x, cube, 0.044715f), 0.7978845608028654f);
  return vmulq_f32(vmulq_n_f32(x, 0.5f), vaddq_f32(vdupq_n_f32(1.0f), tanh4(inner)));
}

INLINE float32x4_t leaky4(float32x4_t x) { return vmaxq_f32(x, vmulq_n_f32(x, 0.01f)); }

INLINE float32x4_t elu4(float32x4_t x) {
  float32x4_t below = vsubq_f32(exp4(vminq_f32(x, vdupq_n_f32(0))), vdupq_n_f32(1.0f));
  return vaddq_f32(relu4(x), below);
}

INLINE float32x4_t square4(float32x4_t x) { return vmulq_f32(x, x); }

INLINE float32x4_t reciprocal4(float32x4_t x) { return vdivq_f32(vdupq_n_f32(1.0f), x); }

INLINE float32x4_t rsqrt4(float32x4_t x) { return reciprocal4(vsqrtq_f32(x)); }

INLINE float32x4_t hard_tanh4(float32x4_t x) {
  return vminq_f32(vmaxq_f32(x, vdupq_n_f32(-1.0f)), vdupq_n_f32(1.0f));
}

INLINE float32x4_t clamp01_4(float32x4_t x) {
  return vminq_f32(vmaxq_f32(x, vdupq_n_f32(0)), vdupq_n_f32(1.0f));
}

INLINE float32x4_t sign4(float32x4_t x) {
  float32x4_t one = vbslq_f32(vdupq_n_u32(0x80000000u), x, vdupq_n_f32(1.0f));
  return vbslq_f32(vceqzq_f32(x), vdupq_n_f32(0), one);
}

/* x tanh(log(1 + exp x)) = x n / (n + 2), with n = exp x (exp x + 2) */
INLINE float32x4_t mish4(float32x4_t x) {
  float32x4_t two = vdupq_n_f32(2.0f), e = exp4(vminq_f32(x, vdupq_n_f32(20.0f)));
  float32x4_t n = vmulq_f32(e, vaddq_f32(e, two));
  return vmulq_f32(x, vdivq_f32(n, vaddq_f32(n, two)));
}

/* A function of the C library, lane by lane. */
#define LANES(name, expression)                  \
  INLINE float32x4_t name(float32x4_t v) {       \
    float lanes[4];                              \
    vst1q_f32(lanes, v);                         \
    for (int i = 0; i < 4; i++) {                \
      float x = lanes[i];                        \
      lanes[i] = expression;                     \
    }                                            \
    return vld1q_f32(lanes);                     \
  }

LANES(sin4, sinf(x))
LANES(cos4, cosf(x))
LANES(softplus4, x > 20.0f ? x : log1pf(expf(x)))

#define UNARY(name, function)                                                      \
  void run_##name(const struct network *net, const struct operator *op, struct team team) {          \
    const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);           \
    struct range blocks = share_of((elements(x) + 15) / 16, team);                 \
    size_t end = 16 * (size_t)blocks.end, i = 16 * (size_t)blocks.begin;           \
    size_t count = end < elements(x) ? end : elements(x);                          \
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
UNARY(gelu, gelu4)
UNARY(gelu_tanh, gelu_tanh4)
UNARY(leaky_relu, leaky4)
UNARY(elu, elu4)
UNARY(exp, exp4)
UNARY(neg, vnegq_f32)
UNARY(abs, vabsq_f32)
UNARY(square, square4)
UNARY(sqrt, vsqrtq_f32)
UNARY(rsqrt, rsqrt4)
UNARY(reciprocal, reciprocal4)
UNARY(hard_tanh, hard_tanh4)
UNARY(erf, erf4)
UNARY(floor, vrndmq_f32)
UNARY(ceil, vrndpq_f32)
UNARY(round, vrndnq_f32)
UNARY(sign, sign4)
UNARY(clamp, clamp01_4)
UNARY(mish, mish4)
UNARY(sin, sin4)
UNARY(cos, cos4)
UNARY(softplus, softplus4)

void run_pow_number(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct range mine = share_of(elements(x), team);
  for (int i = mine.begin; i < mine.end; i++)
    y->data[i] = powf(x->data[i], op->value);
}

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

INLINE void affine(const int scaled, const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct clamp clamp = make_clamp(op->act);
  size_t plane = plane_of(x);
  struct range planes = share_of((size_t)x->n * x->c, team);
  for (int i = planes.begin; i < planes.end; i++) {
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

void run_batchnorm(const struct network *net, const struct operator *op, struct team team) { affine(1, net, op, team); }

void run_bias(const struct network *net, const struct operator *op, struct team team) { affine(0, net, op, team); }

void softmax_row(const float *x, float *y, int count) {
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

/* With `causal`, row i of each matrix of `inner` rows sees no place after it. */
static void softmax_causal(const struct tensor *x, const struct tensor *y, int rows, struct range mine) {
  for (int n = mine.begin; n < mine.end; n++) {
    int seen = n % rows + 1 < x->c ? n % rows + 1 : x->c;
    float *out = y->data + (size_t)n * x->c;
    softmax_row(x->data + (size_t)n * x->c, out, seen);
    memset(out + seen, 0, (size_t)(x->c - seen) * sizeof *out);
  }
}

void prepare_softmax(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  expect_same_shape(op, x, output(net, op, 0));
  if (op->causal && (plane_of(x) != 1 || op->inner < 1 || x->n % op->inner))
    fail(EXIT_BAD_SPEC, op->line, "a causal softmax needs rows of %d, inner=ROWS of a matrix", x->c);
}

void run_softmax(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  if (op->causal) {
    softmax_causal(x, y, op->inner, share_of((size_t)x->n, team));
    return;
  }
  size_t plane = plane_of(x), image = plane * x->c;
  int blocks = (int)((plane + 3) / 4);
  struct range mine = share_of((size_t)x->n * blocks, team);
  for (int at = mine.begin; at < mine.end; at++) {
    size_t e = (size_t)(at % blocks) * 4, from = at / blocks * image + e;
    if (plane == 1)
      softmax_row(x->data + from, y->data + from, x->c);
    else
      softmax_columns(x->data + from, y->data + from, x->c, plane, plane - e < 4 ? (int)(plane - e) : 4);
  }
}
