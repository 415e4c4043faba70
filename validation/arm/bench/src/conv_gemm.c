/* Convolutions that are matrix products: 1x1 (grouped or not) and the general k x k fallback. */
#include "gemm.h"
#include "kernels.h"
#include "simd.h"

/* Weights [cout][cin/groups * kh * kw], each group packed on its own. */
static void pack_weights(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  if (x->c % op->groups || y->c % op->groups)
    fail(EXIT_BAD_SPEC, op->line, "%d groups do not divide %d input and %d output channels",
         op->groups, x->c, y->c);
  int m = y->c / op->groups, k = x->c / op->groups * op->kh * op->kw;
  float *plain = make_weights((size_t)y->c * k, k, op->seed);
  op->weights = allocate_floats(gemm_packed_floats(m, k) * op->groups);
  for (int g = 0; g < op->groups; g++)
    gemm_pack_a(plain + (size_t)g * m * k, k, m, k, op->weights + g * gemm_packed_floats(m, k));
  release_floats(plain);
  op->shift = make_bias(op, y->c);
}

void prepare_conv1x1(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_shape(op, y, x->n, y->c, x->h, x->w);
  pack_weights(net, op);
  op->scratch = gemm_scratch_floats();
}

void run_conv1x1(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int m = y->c / op->groups, k = x->c / op->groups;
  size_t area = (size_t)x->h * x->w;
  for (int i = 0; i < x->n; i++)
    for (int g = 0; g < op->groups; g++)
      gemm(m, (int)area, k, op->weights + g * gemm_packed_floats(m, k),
           x->data + ((size_t)i * x->c + (size_t)g * k) * area, area,
           y->data + ((size_t)i * y->c + (size_t)g * m) * area, area, op->shift + g * m, op->act,
           0, net->scratch);
}

/* Output rows unrolled at once, so that the unrolled input stays near 1 MiB. */
static int strip_rows(const struct tensor *y, int k) {
  int rows = (1 << 18) / (k * y->w);
  return rows < 1 ? 1 : rows > y->h ? y->h : rows;
}

void prepare_conv(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_window(net, op, y->c);
  pack_weights(net, op);
  int k = x->c / op->groups * op->kh * op->kw;
  op->scratch = gemm_scratch_floats() + (size_t)k * strip_rows(y, k) * y->w;
}

/* One row of the unrolled input: tap (ky, kx) of one channel at output rows [y0, y0 + rows). */
static void unroll_tap(const struct operator *op, const float *plane, const struct tensor *x,
                       const struct tensor *y, int ky, int kx, int y0, int rows, float *out) {
  int first = kx * op->dilation - op->pw; /* column read by output 0; those outside are zeros */
  int begin = first >= 0 ? 0 : (-first + op->stride - 1) / op->stride;
  int end = first >= x->w ? 0 : (x->w - 1 - first) / op->stride + 1;
  end = end > y->w ? y->w : end;
  begin = begin > end ? end : begin;
  for (int oy = y0; oy < y0 + rows; oy++, out += y->w) {
    int iy = oy * op->stride + ky * op->dilation - op->ph;
    if (iy < 0 || iy >= x->h) {
      memset(out, 0, (size_t)y->w * sizeof *out);
      continue;
    }
    const float *row = plane + (size_t)iy * x->w + first;
    memset(out, 0, (size_t)begin * sizeof *out);
    if (op->stride == 1)
      memcpy(out + begin, row + begin, (size_t)(end - begin) * sizeof *out);
    else
      for (int ox = begin; ox < end; ox++)
        out[ox] = row[ox * op->stride];
    memset(out + end, 0, (size_t)(y->w - end) * sizeof *out);
  }
}

void run_conv(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int m = y->c / op->groups, cin = x->c / op->groups, k = cin * op->kh * op->kw;
  int strip = strip_rows(y, k);
  size_t area_in = (size_t)x->h * x->w, area_out = (size_t)y->h * y->w;
  float *unrolled = net->scratch + gemm_scratch_floats();
  for (int i = 0; i < x->n; i++)
    for (int g = 0; g < op->groups; g++)
      for (int y0 = 0; y0 < y->h; y0 += strip) {
        int rows = y0 + strip <= y->h ? strip : y->h - y0, n = rows * y->w;
        float *out = unrolled;
        for (int c = 0; c < cin; c++) {
          const float *plane = x->data + ((size_t)i * x->c + (size_t)g * cin + c) * area_in;
          for (int ky = 0; ky < op->kh; ky++)
            for (int kx = 0; kx < op->kw; kx++, out += n)
              unroll_tap(op, plane, x, y, ky, kx, y0, rows, out);
        }
        gemm(m, n, k, op->weights + g * gemm_packed_floats(m, k), unrolled, (size_t)n,
             y->data + ((size_t)i * y->c + (size_t)g * m) * area_out + (size_t)y0 * y->w, area_out,
             op->shift + g * m, op->act, 0, net->scratch);
      }
}
