/* Operators on two tensors, of one shape or broadcast to that of the output; and on a tensor and a
 * number. */
#include "kernels.h"
#include "simd.h"

enum function { ADD, SUB, MUL, DIV, MAX, MIN };

static size_t plane_of(const struct tensor *t) { return (size_t)t->h * t->w; }

void prepare_binary(const struct network *net, struct operator *op) {
  const struct tensor *y = output(net, op, 0);
  const int out[] = {y->n, y->c, y->h, y->w};
  for (int i = 0; i < op->n_inputs; i++) {
    const struct tensor *x = input(net, op, i);
    const int in[] = {x->n, x->c, x->h, x->w};
    for (int axis = 0; axis < 4; axis++)
      if (in[axis] != out[axis] && in[axis] != 1)
        fail(EXIT_BAD_SPEC, op->line, "%s: %d places along axis %d are not broadcast to %d",
             op->kernel->name, in[axis], axis, out[axis]);
  }
}

INLINE float32x4_t apply4(const enum function f, float32x4_t x, float32x4_t z) {
  switch (f) {
  case ADD:
    return vaddq_f32(x, z);
  case SUB:
    return vsubq_f32(x, z);
  case MUL:
    return vmulq_f32(x, z);
  case DIV:
    return vdivq_f32(x, z);
  case MAX:
    return vmaxq_f32(x, z);
  default:
    return vminq_f32(x, z);
  }
}

/* one_a, one_b: the operand is a single number. */
INLINE void row(const enum function f, const float *a, int one_a, const float *b, int one_b, float *y,
                size_t count, struct clamp clamp) {
  float32x4_t all_a = vdupq_n_f32(*a), all_b = vdupq_n_f32(*b);
  for (size_t i = 0; i < count; i += 4) {
    int left = count - i < 4 ? (int)(count - i) : 4;
    float32x4_t x = one_a ? all_a : load_lanes(a + i, left, 1);
    float32x4_t z = one_b ? all_b : load_lanes(b + i, left, 1);
    store_lanes(y + i, clamp4(apply4(f, x, z), clamp), left);
  }
}

/* What an operand advances by when the output advances along n, c and h; 0: it is broadcast. */
static void steps_of(const struct tensor *t, size_t steps[3]) {
  steps[0] = t->n > 1 ? (size_t)t->c * plane_of(t) : 0;
  steps[1] = t->c > 1 ? plane_of(t) : 0;
  steps[2] = t->h > 1 ? (size_t)t->w : 0;
}

static int same_shape(const struct tensor *a, const struct tensor *b) {
  return a->n == b->n && a->c == b->c && a->h == b->h && a->w == b->w;
}

INLINE void binary(const enum function f, const struct network *net, const struct operator *op) {
  const struct tensor *a = input(net, op, 0), *b = input(net, op, 1), *y = output(net, op, 0);
  struct clamp clamp = make_clamp(op->act);
  if (same_shape(a, y) && same_shape(b, y)) {
    row(f, a->data, 0, b->data, 0, y->data, elements(y), clamp);
    return;
  }
  size_t in_a[3], in_b[3], plane = plane_of(y);
  steps_of(a, in_a);
  steps_of(b, in_b);
  if (plane_of(a) == plane && plane_of(b) == 1) { /* one number a channel */
    for (int n = 0; n < y->n; n++)
      for (int c = 0; c < y->c; c++)
        row(f, a->data + n * in_a[0] + c * in_a[1], 0, b->data + n * in_b[0] + c * in_b[1], 1,
            y->data + ((size_t)n * y->c + c) * plane, plane, clamp);
    return;
  }
  float *out = y->data;
  for (int n = 0; n < y->n; n++)
    for (int c = 0; c < y->c; c++)
      for (int h = 0; h < y->h; h++, out += y->w)
        row(f, a->data + n * in_a[0] + c * in_a[1] + h * in_a[2], a->w < y->w,
            b->data + n * in_b[0] + c * in_b[1] + h * in_b[2], b->w < y->w, out, (size_t)y->w, clamp);
}

INLINE void with_number(const enum function f, const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  row(f, x->data, 0, &op->value, 1, y->data, elements(y), make_clamp(op->act));
}

#define BINARY(name, f)                                                                              \
  void run_##name(const struct network *net, const struct operator *op) { binary(f, net, op); }      \
  void run_##name##_number(const struct network *net, const struct operator *op) {                   \
    with_number(f, net, op);                                                                         \
  }

BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div, DIV)
BINARY(max, MAX)
BINARY(min, MIN)

/* The input repeated along the axes where it has one place. */
void run_broadcast(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t steps[3];
  steps_of(x, steps);
  float *out = y->data;
  for (int n = 0; n < y->n; n++)
    for (int c = 0; c < y->c; c++)
      for (int h = 0; h < y->h; h++, out += y->w) {
        const float *in = x->data + n * steps[0] + c * steps[1] + h * steps[2];
        if (x->w == y->w)
          memcpy(out, in, (size_t)y->w * sizeof *out);
        else
          for (int w = 0; w < y->w; w++)
            out[w] = *in;
      }
}
