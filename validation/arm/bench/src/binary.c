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

/* A thread's share of `count` values: where it begins, and how many; whole vectors but for the last. */
static size_t flat_share(size_t count, struct team team, size_t *first) {
  struct range vectors = share_of((count + 3) / 4, team);
  size_t last = 4 * (size_t)vectors.end;
  *first = 4 * (size_t)vectors.begin;
  return (last < count ? last : count) - *first;
}

INLINE void binary(const enum function f, const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *a = input(net, op, 0), *b = input(net, op, 1), *y = output(net, op, 0);
  struct clamp clamp = make_clamp(op->act);
  if (same_shape(a, y) && same_shape(b, y)) {
    size_t first, mine = flat_share(elements(y), team, &first);
    if (mine)
      row(f, a->data + first, 0, b->data + first, 0, y->data + first, mine, clamp);
    return;
  }
  size_t in_a[3], in_b[3], plane = plane_of(y);
  steps_of(a, in_a);
  steps_of(b, in_b);
  if (plane_of(a) == plane && plane_of(b) == 1) { /* one number a channel */
    struct range planes = share_of((size_t)y->n * y->c, team);
    for (int i = planes.begin; i < planes.end; i++) {
      int n = i / y->c, c = i % y->c;
      row(f, a->data + n * in_a[0] + c * in_a[1], 0, b->data + n * in_b[0] + c * in_b[1], 1,
          y->data + (size_t)i * plane, plane, clamp);
    }
    return;
  }
  struct range rows = share_of((size_t)y->n * y->c * y->h, team);
  for (int i = rows.begin; i < rows.end; i++) {
    int n = i / y->h / y->c, c = i / y->h % y->c, h = i % y->h;
    row(f, a->data + n * in_a[0] + c * in_a[1] + h * in_a[2], a->w < y->w,
        b->data + n * in_b[0] + c * in_b[1] + h * in_b[2], b->w < y->w, y->data + (size_t)i * y->w,
        (size_t)y->w, clamp);
  }
}

INLINE void with_number(const enum function f, const struct network *net, const struct operator *op,
                        struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t first, mine = flat_share(elements(y), team, &first);
  if (mine)
    row(f, x->data + first, 0, &op->value, 1, y->data + first, mine, make_clamp(op->act));
}

#define BINARY(name, f)                                                                              \
  void run_##name(const struct network *net, const struct operator *op, struct team team) { binary(f, net, op, team); }      \
  void run_##name##_number(const struct network *net, const struct operator *op, struct team team) {                   \
    with_number(f, net, op, team);                                                                         \
  }

BINARY(add, ADD)
BINARY(sub, SUB)
BINARY(mul, MUL)
BINARY(div, DIV)
BINARY(max, MAX)
BINARY(min, MIN)

/* The input repeated along the axes where it has one place. */
void run_broadcast(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t steps[3];
  steps_of(x, steps);
  struct range rows = share_of((size_t)y->n * y->c * y->h, team);
  float *out = y->data + (size_t)rows.begin * y->w;
  for (int i = rows.begin; i < rows.end; i++, out += y->w) {
    int n = i / y->h / y->c, c = i / y->h % y->c, h = i % y->h;
    const float *in = x->data + n * steps[0] + c * steps[1] + h * steps[2];
    if (x->w == y->w)
      memcpy(out, in, (size_t)y->w * sizeof *out);
    else
      for (int w = 0; w < y->w; w++)
        out[w] = *in;
  }
}
