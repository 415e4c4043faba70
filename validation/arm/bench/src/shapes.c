/* Shape rules shared by the kernels. */
#include "bench.h"

/* `pads` is what both sides add together. */
int window_extent(int extent, int kernel, int stride, int pads, int dilation) {
  int reach = dilation * (kernel - 1) + 1;
  int room = extent + pads - reach;
  return room < 0 ? 0 : room / stride + 1;
}

int depth_extent(const struct operator *op) {
  return window_extent(op->depth, op->kd, op->stride_d, op->pd + op->pd_end, op->dilation_d);
}

void expect_shape(const struct operator *op, const struct tensor *t, int n, int c, int h, int w) {
  if (t->n != n || t->c != c || t->h != h || t->w != w)
    fail(EXIT_BAD_SPEC, op->line, "%s gives a tensor of shape %d %d %d %d, but %d %d %d %d is declared",
         op->kernel->name, n, c, h, w, t->n, t->c, t->h, t->w);
}

void expect_same_shape(const struct operator *op, const struct tensor *a, const struct tensor *b) {
  expect_shape(op, b, a->n, a->c, a->h, a->w);
}

void expect_window(const struct network *net, const struct operator *op, int channels) {
  const struct tensor *x = input(net, op, 0);
  expect_shape(op, output(net, op, 0), x->n, channels,
               window_extent(x->h, op->kh, op->stride, op->ph + op->ph_end, op->dilation),
               window_extent(x->w, op->kw, op->stride_w, op->pw + op->pw_end, op->dilation_w));
}
