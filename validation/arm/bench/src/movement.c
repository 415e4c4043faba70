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
void run_shuffle(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t plane = (size_t)x->h * x->w;
  int members = x->c / op->groups;
  struct range mine = share_of((size_t)x->n * x->c, team);
  for (int at = mine.begin; at < mine.end; at++) {
    int n = at / x->c, g = at % x->c / members, j = at % members;
    memcpy(y->data + ((size_t)n * x->c + (size_t)j * op->groups + g) * plane, x->data + (size_t)at * plane,
           plane * sizeof(float));
  }
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

/* Runs of memory for each thread; or, where there are few, a share of every run. */
struct parts {
  struct range runs;
  struct team inside;
};

static struct parts parts_of(size_t runs, struct team team) {
  if (runs >= (size_t)team.count)
    return (struct parts){share_of(runs, team), {0, 1}};
  return (struct parts){{0, (int)runs}, team};
}

static void copy_share(float *out, const float *in, size_t count, struct team team) {
  struct range r = share_of(count, team);
  memcpy(out + r.begin, in + r.begin, (size_t)(r.end - r.begin) * sizeof *out);
}

void run_concat(const struct network *net, const struct operator *op, struct team team) {
  struct tensor *y = output(net, op, 0);
  struct parts parts = parts_of(outside(y, op->axis), team);
  float *out = y->data + (size_t)parts.runs.begin * run_length(op, y);
  for (int n = parts.runs.begin; n < parts.runs.end; n++)
    for (int i = 0; i < op->n_inputs; i++) {
      const struct tensor *x = input(net, op, i);
      size_t length = run_length(op, x);
      copy_share(out, x->data + n * length, length, parts.inside);
      out += length;
    }
}

void run_split(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0);
  struct parts parts = parts_of(outside(x, op->axis), team);
  const float *in = x->data + (size_t)parts.runs.begin * run_length(op, x);
  for (int n = parts.runs.begin; n < parts.runs.end; n++)
    for (int i = 0; i < op->n_outputs; i++) {
      struct tensor *y = output(net, op, i);
      size_t length = run_length(op, y);
      copy_share(y->data + n * length, in, length, parts.inside);
      in += length;
    }
}

/* Same elements in the same order, whatever the shapes. */
void prepare_copy(const struct network *net, struct operator *op) {
  if (elements(input(net, op, 0)) != elements(output(net, op, 0)))
    fail(EXIT_BAD_SPEC, op->line, "copy needs as many elements out as in");
}

void run_copy(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0);
  copy_share(output(net, op, 0)->data, x->data, elements(x), team);
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

void run_slice(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t one = inside(x, op->axis);
  struct parts parts = parts_of(outside(x, op->axis), team);
  struct range places = share_of((size_t)extent(y, op->axis), parts.inside);
  for (int n = parts.runs.begin; n < parts.runs.end; n++) {
    const float *in = x->data + n * run_length(op, x) + op->begin * one;
    float *out = y->data + n * run_length(op, y);
    if (op->step == 1) {
      copy_share(out, in, run_length(op, y), parts.inside);
      continue;
    }
    for (int i = places.begin; i < places.end; i++)
      memcpy(out + i * one, in + (size_t)i * op->step * one, one * sizeof *out);
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

void run_gather(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t one = inside(x, op->axis);
  int count = extent(y, op->axis);
  struct range places = share_of(outside(x, op->axis) * (size_t)count, team);
  for (int at = places.begin; at < places.end; at++)
    memcpy(y->data + at * one,
           x->data + at / count * run_length(op, x) + (size_t)op->weights[at % count] * one,
           one * sizeof(float));
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

void run_pad(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  size_t left = (size_t)op->begin_w, width = (size_t)y->w, right = width - left - (size_t)x->w;
  struct range rows = share_of((size_t)y->n * y->c * y->h, team);
  float *out = y->data + (size_t)rows.begin * width;
  for (int at = rows.begin; at < rows.end; at++, out += width) {
    int n = at / y->h / y->c - op->begin, c = at / y->h % y->c - op->begin_c, h = at % y->h - op->begin_h;
    if (n < 0 || n >= x->n || c < 0 || c >= x->c || h < 0 || h >= x->h) {
      memset(out, 0, width * sizeof *out);
      continue;
    }
    memset(out, 0, left * sizeof *out);
    memcpy(out + left, x->data + (((size_t)n * x->c + c) * x->h + h) * x->w, (size_t)x->w * sizeof *out);
    memset(out + left + x->w, 0, right * sizeof *out);
  }
}
