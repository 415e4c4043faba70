/* Operators that only move data. */
#include "kernels.h"
#include "simd.h"

static size_t image_of(const struct tensor *t) { return (size_t)t->c * t->h * t->w; }

void prepare_shuffle(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  expect_same_shape(op, x, output(net, op, 0));
  if (x->c % op->groups)
    fail(EXIT_BAD_SPEC, op->line, "%d groups do not divide %d channels", op->groups, x->c);
}

/* Channel j of group g moves to j * groups + g. */
void run_shuffle(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t plane = (size_t)x->h * x->w;
  int members = x->c / op->groups;
  for (int n = 0; n < x->n; n++)
    for (int g = 0; g < op->groups; g++)
      for (int j = 0; j < members; j++)
        memcpy(y->data + ((size_t)n * x->c + (size_t)j * op->groups + g) * plane,
               x->data + ((size_t)n * x->c + (size_t)g * members + j) * plane, plane * sizeof(float));
}

static int extent(const struct tensor *t, int axis) {
  const int extents[] = {t->n, t->c, t->h, t->w};
  return extents[axis];
}

/* Elements of one step along the axis, and of all steps along those before it. */
static size_t inside(const struct tensor *t, int axis) {
  size_t count = 1;
  for (int i = axis + 1; i < 4; i++)
    count *= (size_t)extent(t, i);
  return count;
}

static size_t outside(const struct tensor *t, int axis) {
  size_t count = 1;
  for (int i = 0; i < axis; i++)
    count *= (size_t)extent(t, i);
  return count;
}

/* Two tensors agree in all extents but that of one axis. */
static void expect_alike(const struct operator *op, const struct tensor *t, const struct tensor *whole) {
  for (int i = 0; i < 4; i++)
    if (i != op->axis && extent(t, i) != extent(whole, i))
      fail(EXIT_BAD_SPEC, op->line, "%s: extents differ along axis %d", op->kernel->name, i);
}

static void expect_parts(const struct operator *op, const struct tensor *whole,
                         struct tensor *(*part)(const struct network *, const struct operator *, int),
                         const struct network *net, int count) {
  int together = 0;
  for (int i = 0; i < count; i++) {
    expect_alike(op, part(net, op, i), whole);
    together += extent(part(net, op, i), op->axis);
  }
  if (together != extent(whole, op->axis))
    fail(EXIT_BAD_SPEC, op->line, "%s: the parts have %d together along axis %d, the whole %d",
         op->kernel->name, together, op->axis, extent(whole, op->axis));
}

void prepare_concat(const struct network *net, struct operator *op) {
  expect_parts(op, output(net, op, 0), input, net, op->n_inputs);
}

void prepare_split(const struct network *net, struct operator *op) {
  expect_parts(op, input(net, op, 0), output, net, op->n_outputs);
}

static size_t run_length(const struct operator *op, const struct tensor *t) {
  return (size_t)extent(t, op->axis) * inside(t, op->axis);
}

void run_concat(const struct network *net, const struct operator *op) {
  struct tensor *y = output(net, op, 0);
  float *out = y->data;
  for (size_t n = 0; n < outside(y, op->axis); n++)
    for (int i = 0; i < op->n_inputs; i++) {
      const struct tensor *x = input(net, op, i);
      size_t length = run_length(op, x);
      memcpy(out, x->data + n * length, length * sizeof *out);
      out += length;
    }
}

void run_split(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  const float *in = x->data;
  for (size_t n = 0; n < outside(x, op->axis); n++)
    for (int i = 0; i < op->n_outputs; i++) {
      struct tensor *y = output(net, op, i);
      size_t length = run_length(op, y);
      memcpy(y->data + n * length, in, length * sizeof *in);
      in += length;
    }
}

/* Same elements in the same order, whatever the shapes. */
void prepare_copy(const struct network *net, struct operator *op) {
  if (elements(input(net, op, 0)) != elements(output(net, op, 0)))
    fail(EXIT_BAD_SPEC, op->line, "copy needs as many elements out as in");
}

void run_copy(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  memcpy(output(net, op, 0)->data, x->data, elements(x) * sizeof(float));
}

/* Every `step`-th place along an axis from `begin` on; the output's shape says how many. */
void prepare_slice(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_alike(op, y, x);
  int last = op->begin + (extent(y, op->axis) - 1) * op->step;
  if (last >= extent(x, op->axis))
    fail(EXIT_BAD_SPEC, op->line, "places %d to %d lie outside the %d along axis %d", op->begin, last,
         extent(x, op->axis), op->axis);
}

void run_slice(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t one = inside(x, op->axis);
  float *out = y->data;
  for (size_t n = 0; n < outside(x, op->axis); n++) {
    const float *in = x->data + n * run_length(op, x) + op->begin * one;
    if (op->step == 1) {
      memcpy(out, in, run_length(op, y) * sizeof *out);
      out += run_length(op, y);
      continue;
    }
    for (int i = 0; i < extent(y, op->axis); i++, out += one)
      memcpy(out, in + (size_t)i * op->step * one, one * sizeof *out);
  }
}

/* Places along an axis, by an index made of the seed: floor((u + 1) / 2 * extent). */
void prepare_gather(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_alike(op, y, x);
  int count = extent(y, op->axis), all = extent(x, op->axis);
  op->weights = allocate_floats((size_t)count);
  for (int i = 0; i < count; i++) {
    double place = ((double)uniform(op->seed, ROLE_WEIGHT, (uint32_t)i) + 1.0) * 0.5 * all;
    op->weights[i] = (float)(int)place;
  }
}

void run_gather(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t one = inside(x, op->axis);
  float *out = y->data;
  for (size_t n = 0; n < outside(x, op->axis); n++)
    for (int i = 0; i < extent(y, op->axis); i++, out += one)
      memcpy(out, x->data + n * run_length(op, x) + (size_t)op->weights[i] * one, one * sizeof *out);
}

/* A border of zeros: place (begin, begin_c, begin_h, begin_w) of the output is the input's first. */
void prepare_pad(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  const int before[] = {op->begin, op->begin_c, op->begin_h, op->begin_w};
  for (int i = 0; i < 4; i++)
    if (before[i] + extent(x, i) > extent(y, i))
      fail(EXIT_BAD_SPEC, op->line, "%d places before and %d of the input are more than %d along axis %d",
           before[i], extent(x, i), extent(y, i), i);
}

void run_pad(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t left = (size_t)op->begin_w, width = (size_t)y->w, right = width - left - (size_t)x->w;
  float *out = y->data;
  for (int n = -op->begin; n < y->n - op->begin; n++)
    for (int c = -op->begin_c; c < y->c - op->begin_c; c++)
      for (int h = -op->begin_h; h < y->h - op->begin_h; h++, out += width) {
        if (n < 0 || n >= x->n || c < 0 || c >= x->c || h < 0 || h >= x->h) {
          memset(out, 0, width * sizeof *out);
          continue;
        }
        memset(out, 0, left * sizeof *out);
        memcpy(out + left, x->data + (((size_t)n * x->c + c) * x->h + h) * x->w, (size_t)x->w * sizeof *out);
        memset(out + left + x->w, 0, right * sizeof *out);
      }
}
