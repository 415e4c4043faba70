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

/* The many small tensors agree with the whole in all but channels, which add up to its own. */
static void expect_parts(const struct operator *op, const struct tensor *whole,
                         struct tensor *(*part)(const struct network *, const struct operator *, int),
                         const struct network *net, int count) {
  int channels = 0;
  for (int i = 0; i < count; i++) {
    const struct tensor *t = part(net, op, i);
    expect_shape(op, t, whole->n, t->c, whole->h, whole->w);
    channels += t->c;
  }
  if (channels != whole->c)
    fail(EXIT_BAD_SPEC, op->line, "%s: the parts have %d channels together, the whole %d",
         op->kernel->name, channels, whole->c);
}

void prepare_concat(const struct network *net, struct operator *op) {
  expect_parts(op, output(net, op, 0), input, net, op->n_inputs);
}

void prepare_split(const struct network *net, struct operator *op) {
  expect_parts(op, input(net, op, 0), output, net, op->n_outputs);
}

void run_concat(const struct network *net, const struct operator *op) {
  struct tensor *y = output(net, op, 0);
  for (int n = 0; n < y->n; n++) {
    float *out = y->data + n * image_of(y);
    for (int i = 0; i < op->n_inputs; i++) {
      const struct tensor *x = input(net, op, i);
      memcpy(out, x->data + n * image_of(x), image_of(x) * sizeof *out);
      out += image_of(x);
    }
  }
}

void run_split(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  for (int n = 0; n < x->n; n++) {
    const float *in = x->data + n * image_of(x);
    for (int i = 0; i < op->n_outputs; i++) {
      struct tensor *y = output(net, op, i);
      memcpy(y->data + n * image_of(y), in, image_of(y) * sizeof *in);
      in += image_of(y);
    }
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

/* A channel slice: `begin` is the first channel, the output's shape says how many. */
void prepare_slice(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_shape(op, y, x->n, y->c, x->h, x->w);
  if (op->begin + y->c > x->c)
    fail(EXIT_BAD_SPEC, op->line, "channels %d to %d lie outside a tensor of %d channels", op->begin,
         op->begin + y->c - 1, x->c);
}

void run_slice(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t plane = (size_t)x->h * x->w;
  for (int n = 0; n < x->n; n++)
    memcpy(y->data + n * image_of(y), x->data + n * image_of(x) + op->begin * plane,
           image_of(y) * sizeof(float));
}
