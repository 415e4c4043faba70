/* Convolutions that are matrix products: 1x1 (grouped or not) and the general k x k fallback. */
#include "gemm.h"
#include "kernels.h"
#include "narrow.h"
#include "simd.h"

/* The matrix of each group: rows and columns; and the channels of both sides. Of a volume the axis of
 * channels holds the planes of each channel too. */
struct matrix {
  int cin, cout, deep, m, k;
};

static struct matrix matrix_of(const struct network *net, const struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int deep = depth_extent(op);
  if (x->c % op->depth || deep < 1 || y->c % deep)
    fail(EXIT_BAD_SPEC, op->line, "%d planes do not divide %d input, or %d do not divide %d output channels",
         op->depth, x->c, deep, y->c);
  int cin = x->c / op->depth, cout = y->c / deep;
  if (cin % op->groups || cout % op->groups)
    fail(EXIT_BAD_SPEC, op->line, "%d groups do not divide %d input and %d output channels",
         op->groups, cin, cout);
  return (struct matrix){cin, cout, deep, cout / op->groups, cin / op->groups * op->kd * op->kh * op->kw};
}

/* Weights [cout][cin/groups * kd * kh * kw], each group packed on its own. */
static void pack_weights(const struct network *net, struct operator *op) {
  struct matrix of = matrix_of(net, op);
  int m = of.m, k = of.k;
  float *plain = make_weights((size_t)of.cout * k, k, op->seed);
  op->shift = make_bias(op, of.cout);
  if (op->dtype != DTYPE_F32) {
    expect_narrow(op);
    size_t packed = narrow_packed_floats(op->dtype, m, k);
    op->weights = allocate_floats(packed * op->groups);
    op->scale = allocate_floats((size_t)of.cout);
    for (int g = 0; g < op->groups; g++)
      narrow_pack(op->dtype, plain + (size_t)g * m * k, m, k, op->weights + g * packed, op->scale + g * m);
    release_floats(plain);
    op->own = narrow_scratch_floats(op->dtype, k);
    return;
  }
  op->own = gemm_scratch_floats();
  op->weights = allocate_floats(gemm_packed_floats(m, k) * op->groups);
  for (int g = 0; g < op->groups; g++)
    gemm_pack_a(plain + (size_t)g * m * k, k, m, k, op->weights + g * gemm_packed_floats(m, k));
  release_floats(plain);
}

/* The product of a group's weights and a matrix of `n` columns, each side's rows `b` and `c` apart. */
static void multiply(const struct network *net, const struct operator *op, struct matrix of, int g, int n,
                     const float *b, size_t ldb, float *c, size_t ldc, float scale, struct team sharing,
                     struct team team) {
  float *scratch = own_scratch(net, team);
  if (op->dtype == DTYPE_F32) {
    gemm_share(sharing, of.m, n, of.k, op->weights + g * gemm_packed_floats(of.m, of.k), b, ldb, c, ldc,
               op->shift + g * of.m, op->act, 0, scratch);
    return;
  }
  struct narrow product = {.op = op, .m = of.m, .n = n, .k = of.k, .from = g * of.m, .scale = scale,
                           .first = g * narrow_packed_floats(op->dtype, of.m, of.k),
                           .b = {(float *)b, ldb, 1}, .c = {c, ldc, 1}};
  narrow_share(sharing, &product, scratch);
}

void prepare_conv1x1(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_shape(op, y, x->n, y->c, x->h, x->w);
  pack_weights(net, op);
}

void run_conv1x1(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct matrix of = matrix_of(net, op);
  size_t area = (size_t)x->h * x->w;
  float scale = narrow_scale(net, op, x, team);
  int products = x->n * op->groups, each = products >= team.count; /* or shares of all */
  struct range r = each ? share_of((size_t)products, team) : (struct range){0, products};
  struct team inside = each ? (struct team){0, 1} : team;
  for (int p = r.begin; p < r.end; p++) {
    int i = p / op->groups, g = p % op->groups;
    multiply(net, op, of, g, (int)area, x->data + ((size_t)i * x->c + (size_t)g * of.k) * area, area,
             y->data + ((size_t)i * y->c + (size_t)g * of.m) * area, area, scale, inside, team);
  }
}

/* Output rows unrolled at once, so that the unrolled input stays near 1 MiB. */
static int strip_rows(const struct tensor *y, int k) {
  int rows = (1 << 18) / (k * y->w);
  return rows < 1 ? 1 : rows > y->h ? y->h : rows;
}

void prepare_conv(const struct network *net, struct operator *op) {
  const struct tensor *y = output(net, op, 0);
  expect_window(net, op, y->c);
  pack_weights(net, op);
  int k = matrix_of(net, op).k;
  op->scratch = (size_t)k * strip_rows(y, k) * y->w;
}

/* One row of the unrolled input: tap (ky, kx) of one channel at output rows [y0, y0 + rows). */
static void unroll_tap(const struct operator *op, const float *plane, const struct tensor *x,
                       const struct tensor *y, int ky, int kx, int y0, int rows, float *out) {
  int first = kx * op->dilation_w - op->pw; /* column read by output 0; those outside are zeros */
  int begin = first >= 0 ? 0 : (-first + op->stride_w - 1) / op->stride_w;
  int end = first >= x->w ? 0 : (x->w - 1 - first) / op->stride_w + 1;
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
    if (op->stride_w == 1)
      memcpy(out + begin, row + begin, (size_t)(end - begin) * sizeof *out);
    else
      for (int ox = begin; ox < end; ox++)
        out[ox] = row[ox * op->stride_w];
    memset(out + end, 0, (size_t)(y->w - end) * sizeof *out);
  }
}

/* The rows [y0, y0 + rows) of output plane oz, every tap of every input channel below one another. */
static void unroll(const struct network *net, const struct operator *op, const float *image, int oz, int y0,
                   int rows, float *out, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct matrix of = matrix_of(net, op);
  size_t area = (size_t)x->h * x->w, n = (size_t)rows * y->w;
  struct range r = share_of((size_t)(of.cin / op->groups), team);
  out += (size_t)r.begin * op->kd * op->kh * op->kw * n;
  for (int c = r.begin; c < r.end; c++)
    for (int kz = 0; kz < op->kd; kz++) {
      int iz = oz * op->stride_d + kz * op->dilation_d - op->pd;
      const float *plane = image + ((size_t)c * op->depth + iz) * area;
      for (int ky = 0; ky < op->kh; ky++)
        for (int kx = 0; kx < op->kw; kx++, out += n)
          if (iz < 0 || iz >= op->depth)
            memset(out, 0, n * sizeof *out);
          else
            unroll_tap(op, plane, x, y, ky, kx, y0, rows, out);
    }
}

void run_conv(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct matrix of = matrix_of(net, op);
  int strip = strip_rows(y, of.k), deep = of.deep;
  size_t area_in = (size_t)x->h * x->w, area_out = (size_t)y->h * y->w;
  float *unrolled = net->scratch, scale = narrow_scale(net, op, x, team);
  for (int i = 0; i < x->n; i++)
    for (int g = 0; g < op->groups; g++)
      for (int oz = 0; oz < deep; oz++)
        for (int y0 = 0; y0 < y->h; y0 += strip) {
          int rows = y0 + strip <= y->h ? strip : y->h - y0, n = rows * y->w;
          const float *image =
              x->data + ((size_t)i * of.cin + (size_t)g * (of.cin / op->groups)) * op->depth * area_in;
          float *out = y->data + (((size_t)i * of.cout + (size_t)g * of.m) * deep + oz) * area_out;
          unroll(net, op, image, oz, y0, rows, unrolled, team);
          wait_for_all(team);
          multiply(net, op, of, g, n, unrolled, (size_t)n, out + (size_t)y0 * y->w, deep * area_out, scale, team,
                   team);
          wait_for_all(team); /* the next rows take the place of these */
        }
}
