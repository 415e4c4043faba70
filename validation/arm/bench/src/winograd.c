/* 3x3 convolution with stride 1 by Winograd's F(2x2, 3x3) (Lavin and Gray 2015): 16 multiplies make
 * 4 outputs where the direct form takes 36.
 *
 *   Y = A' [ (G g G') * (B' d B) ] A        d: a 4x4 patch of the input, g: the 3x3 weights
 *
 * The products over input channels are 16 matrix products.  Four neighbouring tiles go in the four
 * lanes of a vector; a strip of tile rows is done at a time so that its transforms stay in cache. */
#include "gemm.h"
#include "kernels.h"
#include "simd.h"

enum { POINTS = 16 };

struct strip_shape {
  int columns;  /* tiles in a row, a multiple of 4 */
  int rows;     /* tile rows in a strip */
  struct padded p;
};

static struct strip_shape shape_of(const struct tensor *y) {
  int columns = round_up((y->w + 1) / 2, 4), rows_in_all = (y->h + 1) / 2;
  int rows = 240 / columns;
  rows = rows < 1 ? 1 : rows > rows_in_all ? rows_in_all : rows;
  return (struct strip_shape){columns, rows, {2 * rows_in_all + 2, 2 * columns + 8}};
}

/* U = G g G', with G = [1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1] */
static void transform_weights(const float g[9], float u[POINTS]) {
  float t[12];
  for (int j = 0; j < 3; j++) {
    float outer = 0.5f * (g[j] + g[6 + j]), inner = 0.5f * g[3 + j];
    t[j] = g[j], t[3 + j] = outer + inner, t[6 + j] = outer - inner, t[9 + j] = g[6 + j];
  }
  for (int i = 0; i < 4; i++) {
    const float *row = t + 3 * i;
    float outer = 0.5f * (row[0] + row[2]), inner = 0.5f * row[1];
    u[4 * i] = row[0], u[4 * i + 1] = outer + inner, u[4 * i + 2] = outer - inner, u[4 * i + 3] = row[2];
  }
}

void prepare_winograd3x3(const struct network *net, struct operator *op) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  op->kh = op->kw = 3;
  expect_window(net, op, y->c);
  float *plain = make_weights((size_t)y->c * x->c * 9, x->c * 9, op->seed);
  size_t matrix = (size_t)y->c * x->c, packed = gemm_packed_floats(y->c, x->c);
  float *all = allocate_floats(POINTS * matrix);
  for (size_t e = 0; e < matrix; e++) {
    float u[POINTS];
    transform_weights(plain + 9 * e, u);
    for (int i = 0; i < POINTS; i++)
      all[i * matrix + e] = u[i];
  }
  op->weights = allocate_floats(POINTS * packed);
  for (int i = 0; i < POINTS; i++)
    gemm_pack_a(all + i * matrix, x->c, y->c, x->c, op->weights + i * packed);
  release_floats(plain);
  release_floats(all);
  op->shift = make_bias(op, y->c);
  op->scale = allocate_floats((size_t)y->c + 16); /* no bias inside the products */
  struct strip_shape s = shape_of(y);
  op->own = gemm_scratch_floats();
  op->scratch = (size_t)x->c * s.p.height * s.p.width +
                (size_t)POINTS * s.rows * s.columns * ((size_t)x->c + y->c);
}

/* B' applied to four values of a row or column: B' = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1] */
INLINE void transform4(const float32x4_t d[4], float32x4_t out[4]) {
  out[0] = vsubq_f32(d[0], d[2]);
  out[1] = vaddq_f32(d[1], d[2]);
  out[2] = vsubq_f32(d[2], d[1]);
  out[3] = vsubq_f32(d[1], d[3]);
}

/* Four neighbouring tiles of one channel; v points at their place in the first of 16 matrices. */
static void transform_input(const float *x, int width, float *v, size_t matrix) {
  float32x4_t rows[4][4], columns[4][4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    float32x4x2_t a = vld2q_f32(x + i * width), b = vld2q_f32(x + i * width + 2);
    float32x4_t d[4] = {a.val[0], a.val[1], b.val[0], b.val[1]};
    transform4(d, rows[i]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    float32x4_t d[4] = {rows[0][j], rows[1][j], rows[2][j], rows[3][j]};
    transform4(d, columns[j]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
      vst1q_f32(v + (4 * i + j) * matrix, columns[j][i]);
  }
}

/* Y = A' M A with A' = [1 1 1 0; 0 1 -1 -1]; writes up to two rows of eight outputs. */
static void transform_output(const float *m, size_t matrix, float bias, struct clamp clamp, float *y,
                             int width, int rows, int columns) {
  float32x4_t t[2][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    float32x4_t a = vld1q_f32(m + j * matrix), b = vld1q_f32(m + (4 + j) * matrix),
                c = vld1q_f32(m + (8 + j) * matrix), d = vld1q_f32(m + (12 + j) * matrix);
    t[0][j] = vaddq_f32(vaddq_f32(a, b), c);
    t[1][j] = vsubq_f32(vsubq_f32(b, c), d);
  }
  float32x4_t shift = vdupq_n_f32(bias);
  for (int i = 0; i < rows; i++) {
    float32x4_t even = vaddq_f32(vaddq_f32(t[i][0], t[i][1]), vaddq_f32(t[i][2], shift));
    float32x4_t odd = vaddq_f32(vsubq_f32(t[i][1], t[i][2]), vsubq_f32(shift, t[i][3]));
    even = clamp4(even, clamp);
    odd = clamp4(odd, clamp);
    store_lanes(y + (size_t)i * width, vzip1q_f32(even, odd), columns);
    if (columns > 4)
      store_lanes(y + (size_t)i * width + 4, vzip2q_f32(even, odd), columns - 4);
  }
}

static void run_strip(const struct network *net, const struct operator *op, struct strip_shape s,
                      const float *padded, float *image, int row0, int rows, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  int tiles = rows * s.columns;
  size_t v_matrix = (size_t)x->c * tiles, m_matrix = (size_t)y->c * tiles;
  size_t packed = gemm_packed_floats(y->c, x->c);
  float *v = net->scratch + (size_t)x->c * s.p.height * s.p.width;
  float *m = v + POINTS * v_matrix;
  struct range in = share_of((size_t)x->c, team), points = share_of(POINTS, team);
  struct range out = share_of((size_t)y->c, team);
  for (int c = in.begin; c < in.end; c++)
    for (int r = 0; r < rows; r++)
      for (int t = 0; t < s.columns; t += 4)
        transform_input(padded + ((size_t)c * s.p.height + 2 * (row0 + r)) * s.p.width + 2 * t,
                        s.p.width, v + (size_t)c * tiles + r * s.columns + t, v_matrix);
  wait_for_all(team);
  for (int i = points.begin; i < points.end; i++)
    gemm(y->c, tiles, x->c, op->weights + i * packed, v + i * v_matrix, (size_t)tiles,
         m + i * m_matrix, (size_t)tiles, op->scale, ACT_NONE, 0, own_scratch(net, team));
  wait_for_all(team);
  struct clamp clamp = make_clamp(op->act);
  for (int c = out.begin; c < out.end; c++)
    for (int r = 0; r < rows; r++)
      for (int t = 0; t < s.columns && 2 * t < y->w; t += 4) {
        int oy = 2 * (row0 + r);
        transform_output(m + (size_t)c * tiles + r * s.columns + t, m_matrix, op->shift[c], clamp,
                         image + ((size_t)c * y->h + oy) * y->w + 2 * t, y->w,
                         y->h - oy < 2 ? 1 : 2, y->w - 2 * t < 8 ? y->w - 2 * t : 8);
      }
}

void run_winograd3x3(const struct network *net, const struct operator *op, struct team team) {
  const struct tensor *x = input(net, op, 0), *y = output(net, op, 0);
  struct strip_shape s = shape_of(y);
  size_t plane = (size_t)s.p.height * s.p.width;
  float *padded = net->scratch;
  struct range mine = share_of((size_t)x->c, team); /* a thread transforms what it has padded */
  memset(padded + mine.begin * plane, 0, (size_t)(mine.end - mine.begin) * plane * sizeof *padded);
  for (int i = 0; i < x->n; i++) {
    for (int c = mine.begin; c < mine.end; c++)
      copy_inside(padded + c * plane, s.p, x->data + ((size_t)i * x->c + c) * x->h * x->w, x->h, x->w,
                  op->ph, op->pw);
    float *image = y->data + (size_t)i * y->c * y->h * y->w;
    int rows_in_all = (y->h + 1) / 2;
    for (int row0 = 0; row0 < rows_in_all; row0 += s.rows)
      run_strip(net, op, s, padded, image, row0,
                row0 + s.rows <= rows_in_all ? s.rows : rows_in_all - row0, team);
  }
}
