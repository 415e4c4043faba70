/* Depthwise k x k convolution: one channel at a time from a bordered copy of its plane.
 * 3x3 and 5x5 with strides 1 and 2 are unrolled, two output rows at once (the rows they share are
 * loaded once); any other size or stride runs the same code with loops. */
#include "kernels.h"
#include "simd.h"

void prepare_depthwise(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_window(net, op, x->c);
  op->weights = make_weights((size_t)x->c * op->kh * op->kw, op->kh * op->kw, op->seed);
  op->shift = make_bias(op, x->c);
  struct padded p = padded_extent(op, y);
  op->own = (size_t)p.height * p.width;
}

struct plane {
  const float *x;
  int x_width;
  const float *weights;
  float bias;
  struct clamp clamp;
  float *y;
  int y_width;
};

/* `rows` output rows; k, stride and rows are constants wherever this is inlined. */
INLINE void rows_kernel(const int k, const int stride, const int rows, const struct plane *s) {
  float w[25];
  memcpy(w, s->weights, sizeof(float) * k * k);
  for (int x0 = 0; x0 < s->y_width; x0 += 4) {
    float32x4_t sum[2] = {vdupq_n_f32(s->bias), vdupq_n_f32(s->bias)};
#pragma GCC unroll 8
    for (int i = 0; i < k + stride * (rows - 1); i++) {
      const float *line = s->x + (size_t)i * s->x_width + x0 * stride;
#pragma GCC unroll 5
      for (int kx = 0; kx < k; kx++) {
        float32x4_t x;
        if (stride == 1)
          x = vld1q_f32(line + kx);
        else /* the compiler merges the loads of an even and an odd column */
          x = vld2q_f32(line + kx / 2 * 2).val[kx % 2];
#pragma GCC unroll 2
        for (int r = 0; r < rows; r++) {
          int ky = i - stride * r;
          if (ky >= 0 && ky < k)
            sum[r] = vfmaq_n_f32(sum[r], x, w[ky * k + kx]);
        }
      }
    }
#pragma GCC unroll 2
    for (int r = 0; r < rows; r++)
      store_lanes(s->y + (size_t)r * s->y_width + x0, clamp4(sum[r], s->clamp), s->y_width - x0);
  }
}

static void row_any(const struct operator *op, const struct plane *s) {
  for (int x0 = 0; x0 < s->y_width; x0 += 4) {
    float32x4_t sum = vdupq_n_f32(s->bias);
    const float *w = s->weights;
    for (int ky = 0; ky < op->kh; ky++)
      for (int kx = 0; kx < op->kw; kx++) {
        const float *x = s->x + (size_t)ky * op->dilation * s->x_width + kx * op->dilation_w;
        sum = vfmaq_n_f32(sum, load_strided(x + x0 * op->stride_w, op->stride_w), *w++);
      }
    store_lanes(s->y + x0, clamp4(sum, s->clamp), s->y_width - x0);
  }
}

/* Rows one by one or in pairs; returns how many were done. */
static int some_rows(const struct operator *op, const struct plane *s, int left) {
  int unrolled = op->dilation == 1 && op->dilation_w == 1 && op->kh == op->kw &&
                 (op->kh == 3 || op->kh == 5) && op->stride <= 2 && op->stride_w == op->stride;
  if (!unrolled) {
    row_any(op, s);
    return 1;
  }
  int which = (op->kh == 5) * 4 + (op->stride == 2) * 2 + (left >= 2);
  switch (which) {
  case 0: rows_kernel(3, 1, 1, s); break;
  case 1: rows_kernel(3, 1, 2, s); break;
  case 2: rows_kernel(3, 2, 1, s); break;
  case 3: rows_kernel(3, 2, 2, s); break;
  case 4: rows_kernel(5, 1, 1, s); break;
  case 5: rows_kernel(5, 1, 2, s); break;
  case 6: rows_kernel(5, 2, 1, s); break;
  default: rows_kernel(5, 2, 2, s); break;
  }
  return left >= 2 ? 2 : 1;
}

void run_depthwise(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct padded p = padded_extent(op, y);
  float *padded = own_scratch(net, team);
  struct range planes = share_of((size_t)x->n * x->c, team);
  memset(padded, 0, (size_t)p.height * p.width * sizeof *padded);
  for (int i = planes.begin; i < planes.end; i++) {
    int c = i % x->c;
    copy_inside(padded, p, x->data + (size_t)i * x->h * x->w, x->h, x->w, op->ph, op->pw);
    for (int oy = 0; oy < y->h;) {
      struct plane s = {.x = padded + (size_t)oy * op->stride * p.width, .x_width = p.width,
                        .weights = op->weights + (size_t)c * op->kh * op->kw, .bias = op->shift[c],
                        .clamp = make_clamp(op->act),
                        .y = y->data + ((size_t)i * y->h + oy) * y->w, .y_width = y->w};
      oy += some_rows(op, &s, y->h - oy);
    }
  }
}
