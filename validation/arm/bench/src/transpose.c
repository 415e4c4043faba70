/* The axes in another order: four, or as many as dims=... names. */
#include "kernels.h"
#include "simd.h"

struct axes {
  int count, from[MAX_DIMS], extent[MAX_DIMS]; /* of the output: which of the input's, how many places */
  size_t step[MAX_DIMS];                       /* what the input advances by */
};

/* order=0213: axis 2 of the input becomes axis 1. */
static struct axes axes_of(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  const int four[] = {x->n, x->c, x->h, x->w};
  const int *in = op->n_dims ? op->dims : four;
  struct axes a = {.count = op->n_dims ? op->n_dims : 4};
  size_t inside[MAX_DIMS], size = 1;
  for (int i = a.count - 1; i >= 0; i--) {
    inside[i] = size;
    size *= (size_t)in[i];
  }
  for (int i = a.count - 1, order = op->order; i >= 0; i--, order /= 10) {
    a.from[i] = order % 10;
    if (a.from[i] >= a.count)
      fail(EXIT_BAD_SPEC, op->line, "order must name the axes 0 to %d once each, not %d", a.count - 1,
           op->order);
    a.extent[i] = in[a.from[i]];
    a.step[i] = inside[a.from[i]];
  }
  return a;
}

void prepare_transpose(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct axes a = axes_of(net, op);
  const int out[] = {y->n, y->c, y->h, y->w};
  int seen = 0;
  size_t size = 1;
  for (int i = 0; i < a.count; i++) {
    seen |= 1 << a.from[i];
    size *= (size_t)a.extent[i];
    if (!op->n_dims && out[i] != a.extent[i])
      fail(EXIT_BAD_SPEC, op->line, "axis %d of the output has %d places, axis %d of the input %d", i,
           out[i], a.from[i], a.extent[i]);
  }
  if (seen != (1 << a.count) - 1)
    fail(EXIT_BAD_SPEC, op->line, "order must name the axes 0 to %d once each, not %0*d", a.count - 1,
         a.count, op->order);
  if (size != elements(x) || size != elements(y))
    fail(EXIT_BAD_SPEC, op->line, "the extents have %zu elements, the input %zu and the output %zu", size,
         elements(x), elements(y));
}

void run_transpose(const struct network *net, const struct operator *op, struct team team) {
  struct axes a = axes_of(net, op);
  const float *in = input(net, op, 0)->data;
  int last = a.count - 1, at[MAX_DIMS] = {0};
  size_t width = (size_t)a.extent[last], step = a.step[last];
  struct range rows = share_of(elements(output(net, op, 0)) / width, team);
  float *out = output(net, op, 0)->data + rows.begin * width;
  for (int i = last - 1, row = rows.begin; i >= 0; i--) {
    at[i] = row % a.extent[i];
    in += a.step[i] * (size_t)at[i];
    row /= a.extent[i];
  }
  for (int row = rows.begin; row < rows.end; row++) {
    if (step == 1)
      memcpy(out, in, width * sizeof *out);
    else
      for (size_t i = 0; i < width; i++)
        out[i] = in[i * step];
    out += width;
    for (int i = last - 1; i >= 0; i--) { /* the next row: as the digits of a counter */
      in += a.step[i];
      if (++at[i] < a.extent[i])
        break;
      in -= a.step[i] * (size_t)a.extent[i];
      at[i] = 0;
    }
  }
}
