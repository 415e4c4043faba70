/* Other sizes of an image: adaptive pooling, interpolation, transposed convolution. */
#include "kernels.h"
#include "simd.h"

void prepare_resample(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  expect_shape(op, y, x->n, x->c, y->h, y->w);
}

/* The window of output o: from floor(o in / out) up to ceil((o + 1) in / out). */
static int begin_of(int o, int in, int out) { return (int)((long)o * in / out); }

static int end_of(int o, int in, int out) { return (int)(((long)(o + 1) * in + out - 1) / out); }

INLINE void adaptive(const int is_max, const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct range planes = share_of((size_t)x->n * x->c, team);
  float *out = y->data + (size_t)planes.begin * y->h * y->w;
  for (int i = planes.begin; i < planes.end; i++) {
    const float *plane = x->data + (size_t)i * x->h * x->w;
    for (int oy = 0; oy < y->h; oy++)
      for (int ox = 0; ox < y->w; ox++) {
        int y0 = begin_of(oy, x->h, y->h), y1 = end_of(oy, x->h, y->h);
        int x0 = begin_of(ox, x->w, y->w), x1 = end_of(ox, x->w, y->w);
        float sum = is_max ? -INFINITY : 0.0f;
        for (int iy = y0; iy < y1; iy++)
          for (int ix = x0; ix < x1; ix++) {
            float value = plane[(size_t)iy * x->w + ix];
            sum = is_max ? fmaxf(sum, value) : sum + value;
          }
        *out++ = is_max ? sum : sum / (float)((y1 - y0) * (x1 - x0));
      }
  }
}

void run_adaptivemax(const struct network *net, const struct operator *op, struct team team) { adaptive(1, net, op, team); }

void run_adaptiveavg(const struct network *net, const struct operator *op, struct team team) { adaptive(0, net, op, team); }

void run_nearest(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct range planes = share_of((size_t)x->n * x->c, team);
  float *out = y->data + (size_t)planes.begin * y->h * y->w;
  for (int i = planes.begin; i < planes.end; i++)
    for (int oy = 0; oy < y->h; oy++) {
      const float *line = x->data + ((size_t)i * x->h + begin_of(oy, x->h, y->h)) * x->w;
      for (int ox = 0; ox < y->w; ox++)
        *out++ = line[begin_of(ox, x->w, y->w)];
    }
}

/* Where output o lies between two inputs, their corners not aligned. */
struct between {
  int low, high;
  float share;
};

static struct between place(int o, int in, int out) {
  float at = ((float)o + 0.5f) * (float)in / (float)out - 0.5f;
  at = at < 0 ? 0 : at;
  int low = (int)at;
  low = low > in - 1 ? in - 1 : low;
  return (struct between){low, low + 1 < in ? low + 1 : low, at - (float)low};
}

void run_bilinear(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct range planes = share_of((size_t)x->n * x->c, team);
  float *out = y->data + (size_t)planes.begin * y->h * y->w;
  for (int i = planes.begin; i < planes.end; i++) {
    const float *plane = x->data + (size_t)i * x->h * x->w;
    for (int oy = 0; oy < y->h; oy++) {
      struct between v = place(oy, x->h, y->h);
      const float *above = plane + (size_t)v.low * x->w, *below = plane + (size_t)v.high * x->w;
      for (int ox = 0; ox < y->w; ox++) {
        struct between u = place(ox, x->w, y->w);
        float top = above[u.low] + u.share * (above[u.high] - above[u.low]);
        float bottom = below[u.low] + u.share * (below[u.high] - below[u.low]);
        *out++ = top + v.share * (bottom - top);
      }
    }
  }
}

/* The four inputs around output o, and their weights: Keys' kernel with a = -3/4, as torch has it. */
struct around {
  int at[4];
  float weight[4];
};

static struct around cubic(int o, int in, int out) {
  const float a = -0.75f;
  float at = ((float)o + 0.5f) * (float)in / (float)out - 0.5f, first = floorf(at);
  struct around found;
  for (int i = 0; i < 4; i++) {
    int place = (int)first + i - 1;
    float far = fabsf(at - first - (float)(i - 1));
    found.at[i] = place < 0 ? 0 : place > in - 1 ? in - 1 : place;
    found.weight[i] = far <= 1 ? ((a + 2) * far - (a + 3)) * far * far + 1
                               : ((a * far - 5 * a) * far + 8 * a) * far - 4 * a;
  }
  return found;
}

void run_bicubic(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct range planes = share_of((size_t)x->n * x->c, team);
  float *out = y->data + (size_t)planes.begin * y->h * y->w;
  for (int i = planes.begin; i < planes.end; i++) {
    const float *plane = x->data + (size_t)i * x->h * x->w;
    for (int oy = 0; oy < y->h; oy++) {
      struct around v = cubic(oy, x->h, y->h);
      for (int ox = 0; ox < y->w; ox++) {
        struct around u = cubic(ox, x->w, y->w);
        float sum = 0;
        for (int j = 0; j < 4; j++) {
          const float *line = plane + (size_t)v.at[j] * x->w;
          float row = 0;
          for (int k = 0; k < 4; k++)
            row += u.weight[k] * line[u.at[k]];
          sum += v.weight[j] * row;
        }
        *out++ = sum;
      }
    }
  }
}

/* Weights [cin][cout / groups][kh][kw]. */
void prepare_deconv(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  if (x->c % op->groups || y->c % op->groups)
    fail(EXIT_BAD_SPEC, op->line, "%d groups do not divide %d input and %d output channels",
         op->groups, x->c, y->c);
  expect_shape(op, y, x->n, y->c, y->h, y->w);
  int taps = op->kh * op->kw, mine = y->c / op->groups;
  op->weights = make_weights((size_t)x->c * mine * taps, x->c / op->groups * taps, op->seed);
  op->shift = make_bias(op, y->c);
}

/* Adds one row of the input, times a weight, to every stride-th place of a row of the output. */
static void scatter_row(const float *in, int count, int stride, int first, float w, float *out, int width) {
  int i = 0;
  while (first + i * stride < 0)
    i++;
  if (stride == 1) {
    int last = width - first < count ? width - first : count;
    for (; i < last; i += 4) {
      int left = last - i;
      float32x4_t sum = load_lanes(out + first + i, left, 0);
      store_lanes(out + first + i, vfmaq_n_f32(sum, load_lanes(in + i, left, 0), w), left);
    }
    return;
  }
  for (; i < count && first + i * stride < width; i++)
    out[first + i * stride] += w * in[i];
}

void run_deconv(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int cin = x->c / op->groups, cout = y->c / op->groups, taps = op->kh * op->kw;
  size_t plane_in = (size_t)x->h * x->w, plane_out = (size_t)y->h * y->w;
  struct range planes = share_of((size_t)x->n * y->c, team);
  for (int at = planes.begin; at < planes.end; at++) {
    int n = at / y->c, o = at % y->c;
    float *out = y->data + (size_t)at * plane_out;
    for (size_t e = 0; e < plane_out; e++)
      out[e] = op->shift[o];
    for (int j = 0; j < cin; j++) {
      int c = o / cout * cin + j;
      const float *in = x->data + ((size_t)n * x->c + c) * plane_in;
      const float *w = op->weights + ((size_t)c * cout + o % cout) * taps;
      for (int ky = 0; ky < op->kh; ky++)
        for (int kx = 0; kx < op->kw; kx++)
          for (int iy = 0; iy < x->h; iy++) {
            int oy = iy * op->stride + ky * op->dilation - op->ph;
            if (oy >= 0 && oy < y->h)
              scatter_row(in + (size_t)iy * x->w, x->w, op->stride_w, kx * op->dilation_w - op->pw,
                          w[ky * op->kw + kx], out + (size_t)oy * y->w, y->w);
          }
    }
  }
}
