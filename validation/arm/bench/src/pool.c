/* Maximum, average and global average pooling. */
#include "kernels.h"
#include "simd.h"

/* With `ceil`, a window may start inside the input (or its left padding) and hang over the end. */
static int pooled_extent(const struct operator *op, int extent, int kernel, int stride, int pad, int pad_end) {
  int whole = extent + pad + pad_end;
  if (!op->ceil || whole < kernel)
    return window_extent(extent, kernel, stride, pad + pad_end, 1);
  int up = (whole - kernel + stride - 1) / stride + 1;
  return (up - 1) * stride >= extent + pad ? up - 1 : up;
}

static int reach(int kernel, int dilation) { return dilation * (kernel - 1) + 1; }

void prepare_pool(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_shape(op, y, x->n, x->c, pooled_extent(op, x->h, reach(op->kh, op->dilation), op->stride, op->ph, op->ph_end),
               pooled_extent(op, x->w, reach(op->kw, op->dilation_w), op->stride_w, op->pw, op->pw_end));
  if (2 * op->ph > op->kh || 2 * op->pw > op->kw)
    fail(EXIT_BAD_SPEC, op->line, "a pooling window is padded by at most half its size");
  struct padded p = padded_extent(op, y);
  op->own = (size_t)p.height * p.width + (size_t)round_up(y->w, 4);
}

/* How many positions of the window at output o count in an average. */
static int counted(const struct operator *op, int o, int extent, int kernel, int stride, int pad,
                   int pad_end) {
  int begin = o * stride - pad, end = begin + kernel;
  int first = op->include_pad ? -pad : 0, last = op->include_pad ? extent + pad_end : extent;
  begin = begin < first ? first : begin;
  end = end > last ? last : end;
  return end - begin;
}

static void fill_plane(float *out, struct padded p, float value) {
  for (size_t i = 0; i < (size_t)p.height * p.width; i += 4)
    vst1q_f32(out + i, vdupq_n_f32(value));
}

INLINE float32x4_t pool4(const int is_max, const struct operator *op, const float *x, int width) {
  float32x4_t sum = vdupq_n_f32(is_max ? -INFINITY : 0.0f);
  for (int ky = 0; ky < op->kh; ky++)
    for (int kx = 0; kx < op->kw; kx++) {
      float32x4_t v = load_strided(x + (size_t)ky * op->dilation * width + kx * op->dilation_w,
                                   op->stride_w);
      sum = is_max ? vmaxq_f32(sum, v) : vaddq_f32(sum, v);
    }
  return sum;
}

INLINE void pool(const int is_max, const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct padded p = padded_extent(op, y);
  float *padded = own_scratch(net, team), *counts = padded + (size_t)p.height * p.width;
  struct range planes = share_of((size_t)x->n * x->c, team);
  for (int ox = 0; ox < round_up(y->w, 4); ox++)
    counts[ox] = ox < y->w ? (float)counted(op, ox, x->w, op->kw, op->stride_w, op->pw, op->pw_end) : 1.0f;
  fill_plane(padded, p, is_max ? -INFINITY : 0.0f);
  for (int i = planes.begin; i < planes.end; i++) {
    copy_inside(padded, p, x->data + (size_t)i * x->h * x->w, x->h, x->w, op->ph, op->pw);
    for (int oy = 0; oy < y->h; oy++) {
      float rows = (float)counted(op, oy, x->h, op->kh, op->stride, op->ph, op->ph_end);
      const float *line = padded + (size_t)oy * op->stride * p.width;
      float *out = y->data + ((size_t)i * y->h + oy) * y->w;
      for (int ox = 0; ox < y->w; ox += 4) {
        float32x4_t v = pool4(is_max, op, line + ox * op->stride_w, p.width);
        if (!is_max)
          v = vdivq_f32(v, vmulq_n_f32(vld1q_f32(counts + ox), rows));
        store_lanes(out + ox, v, y->w - ox);
      }
    }
  }
}

void run_maxpool(const struct network *net, const struct operator *op, struct team team) { pool(1, net, op, team); }

void run_avgpool(const struct network *net, const struct operator *op, struct team team) { pool(0, net, op, team); }

void prepare_globalpool(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0);
  expect_shape(op, output(net, op, 0), x->n, x->c, 1, 1);
}

void run_globalpool(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int area = x->h * x->w;
  struct range planes = share_of((size_t)x->n * x->c, team);
  for (int i = planes.begin; i < planes.end; i++) {
    const float *plane = x->data + (size_t)i * area;
    float32x4_t sum = vdupq_n_f32(0);
    int e = 0;
    for (; e + 4 <= area; e += 4)
      sum = vaddq_f32(sum, vld1q_f32(plane + e));
    float total = vaddvq_f32(sum);
    for (; e < area; e++)
      total += plane[e];
    y->data[i] = total / (float)area;
  }
}
