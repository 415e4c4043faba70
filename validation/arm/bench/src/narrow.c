/* Packing, shares and edges of products in narrow numbers; narrow_half.c and narrow_int8.c multiply. */
#include "narrow.h"

#include <string.h>
#include <sys/auxv.h>

#include "narrow_kernels.h"
#include "simd.h"

enum { BLOCK_BYTES = 192 << 10 }; /* of packed B: it stays in the L2 cache */

static int has(unsigned long bit) { return (getauxval(AT_HWCAP) & bit) != 0; }

void expect_narrow(const struct operator *op) {
  if (op->dtype == DTYPE_F16 && !has(HWCAP_HALF))
    fail(EXIT_BAD_SPEC, op->line,
         "%s in float16 needs half-precision arithmetic (asimdhp), which this processor lacks", op->kernel->name);
}

const char *narrow_instructions(enum dtype dtype) {
  if (dtype == DTYPE_F16)
    return has(HWCAP_HALF) ? "fmla.8h" : "none";
  return has(HWCAP_DOT) ? "sdot" : "smull";
}

static int columns_of(enum dtype dtype) { return dtype == DTYPE_F16 ? HALF_NR : INT8_NR; }

static int bytes_of(enum dtype dtype) { return dtype == DTYPE_F16 ? 2 : 1; }

/* k as packed: int8 goes in fours. */
static int depth_of(enum dtype dtype, int k) { return dtype == DTYPE_I8 ? round_up(k, 4) : k; }

static size_t floats_of(size_t bytes) { return (bytes + 3) / 4 + 16; }

size_t narrow_packed_floats(enum dtype dtype, int m, int k) {
  return floats_of((size_t)round_up(m, NARROW_MR) * depth_of(dtype, k) * bytes_of(dtype));
}

/* Columns of B that are packed together. */
static int block_columns(enum dtype dtype, int k) {
  int panel = columns_of(dtype), panels = BLOCK_BYTES / (depth_of(dtype, k) * bytes_of(dtype) * panel);
  return panel * (panels < 1 ? 1 : panels > 64 ? 64 : panels);
}

size_t narrow_scratch_floats(enum dtype dtype, int k) {
  return floats_of((size_t)block_columns(dtype, k) * depth_of(dtype, k) * bytes_of(dtype));
}

static float largest_of(const float *x, size_t count) {
  float32x4_t largest = vdupq_n_f32(0);
  for (size_t i = 0; i < count; i += 4)
    largest = vmaxq_f32(largest, vabsq_f32(load_lanes(x + i, count - i < 4 ? (int)(count - i) : 4, 0)));
  return vmaxvq_f32(largest);
}

static float step_of(float largest) { return largest > 0 ? largest / 127.0f : 1.0f; }

void narrow_pack(enum dtype dtype, const float *plain, int m, int k, float *packed, float *scales) {
  int deep = depth_of(dtype, k);
  for (int i = 0; i < m; i++) {
    const float *row = plain + (size_t)i * k;
    size_t panel = (size_t)(i / NARROW_MR) * NARROW_MR * deep;
    float scale = dtype == DTYPE_I8 ? step_of(largest_of(row, (size_t)k)) : 1.0f;
    scales[i] = scale;
    for (int p = 0; p < k; p++)
      if (dtype == DTYPE_F16)
        ((__fp16 *)packed)[panel + (size_t)p * NARROW_MR + i % NARROW_MR] = (__fp16)row[p];
      else
        ((int8_t *)packed)[panel + (size_t)(p / 4) * 4 * NARROW_MR + i % NARROW_MR * 4 + p % 4] =
            (int8_t)quantized(row[p], 1.0f / scale);
  }
}

/* Each thread looks at a share, and leaves what it found in the shared memory. */
float narrow_scale(const struct network *net, const struct operator *op, const struct tensor *x,
                   struct team team) {
  if (op->dtype != DTYPE_I8)
    return 1.0f;
  float *found = net->scratch + net->shared - NARROW_SHARED, largest = 0;
  struct range r = share_of(elements(x), team);
  found[team.index] = largest_of(x->data + r.begin, (size_t)(r.end - r.begin));
  wait_for_all(team);
  for (int i = 0; i < team.count; i++)
    largest = fmaxf(largest, found[i]);
  return step_of(largest);
}

/* One panel of B, `valid` columns of it from column `first` on; the rest are zeros. */
static void pack_panel(const struct narrow *p, int first, int valid, int width, void *out) {
  enum dtype dtype = p->op->dtype;
  float inverse = 1.0f / p->scale;
  memset(out, 0, (size_t)width * depth_of(dtype, p->k) * bytes_of(dtype));
  for (int i = 0; i < p->k; i++) {
    const float *row = p->b.data + i * p->b.rows + first * p->b.columns;
    for (int j = 0; j < valid; j++) {
      float value = row[j * p->b.columns];
      if (dtype == DTYPE_F16)
        ((__fp16 *)out)[(size_t)i * width + j] = (__fp16)value;
      else
        ((int8_t *)out)[(size_t)(i / 4) * 4 * width + j * 4 + i % 4] = (int8_t)quantized(value, inverse);
    }
  }
}

/* Whole panels of neighbouring columns, four rows of int8 at a time. */
static void pack_rows(const struct narrow *p, int first, int width, void *out) {
  const float *b = p->b.data + first;
  if (p->op->dtype == DTYPE_F16)
    half_pack(b, p->b.rows, p->k, width, out);
  else
    int8_pack(b, p->b.rows, p->k, width, 1.0f / p->scale, out);
}

static void pack_block(const struct narrow *p, int first, int last, char *out) {
  int nr = columns_of(p->op->dtype), lanes = nr / 3;
  for (int n0 = first; n0 < last; n0 += nr) {
    int left = last - n0, width = left >= nr ? nr : round_up(left, lanes);
    if (p->b.columns == 1 && left >= width)
      pack_rows(p, n0, width, out);
    else
      pack_panel(p, n0, left < width ? left : width, width, out);
    out += (size_t)width * depth_of(p->op->dtype, p->k) * bytes_of(p->op->dtype);
  }
}

/* A tile of sums in float32, to its place with bias and activation. */
static void put_tile(const struct narrow *p, const float *tile, int width, int m0, int n0) {
  int rows = p->m - m0 < NARROW_MR ? p->m - m0 : NARROW_MR, columns = p->n - n0 < width ? p->n - n0 : width;
  struct clamp clamp = make_clamp(p->op->act);
  for (int i = 0; i < rows; i++) {
    int row = p->from + m0 + i;
    float32x4_t scale = vdupq_n_f32(p->op->scale[row] * p->scale), shift = vdupq_n_f32(p->op->shift[row]);
    float *out = p->c.data + (m0 + i) * p->c.rows + n0 * p->c.columns;
    for (int j = 0; j < columns; j += 4) {
      float32x4_t x = clamp4(vfmaq_f32(shift, vld1q_f32(tile + i * width + j), scale), clamp);
      if (p->c.columns == 1) {
        store_lanes(out + j, x, columns - j);
        continue;
      }
      float lanes[4];
      vst1q_f32(lanes, x);
      for (int lane = 0; lane < 4 && j + lane < columns; lane++)
        out[(j + lane) * p->c.columns] = lanes[lane];
    }
  }
}

static void multiply(const struct narrow *p, int vectors, const char *a, const char *b, float *tile) {
  if (p->op->dtype == DTYPE_F16)
    half_tile(vectors, p->k, (const __fp16 *)a, (const __fp16 *)b, tile);
  else if (has(HWCAP_DOT))
    int8_tile_dot(vectors, p->k, (const int8_t *)a, (const int8_t *)b, tile);
  else
    int8_tile_plain(vectors, p->k, (const int8_t *)a, (const int8_t *)b, tile);
}

void narrow_share(struct team team, const struct narrow *p, float *scratch) {
  enum dtype dtype = p->op->dtype;
  int nr = columns_of(dtype), deep = depth_of(dtype, p->k), block = block_columns(dtype, p->k);
  int rows = round_up(p->m, NARROW_MR) / NARROW_MR, columns = (p->n + nr - 1) / nr;
  struct range r = share_of((size_t)(rows >= columns ? rows : columns), team);
  struct range of_rows = rows >= columns ? r : (struct range){0, rows};
  int first = rows >= columns ? 0 : r.begin * nr, last = rows >= columns ? p->n : r.end * nr;
  last = last < p->n ? last : p->n;
  const char *weights = (const char *)(p->op->weights + p->first);
  float tile[NARROW_MR * HALF_NR];
  for (int n0 = first; n0 < last && of_rows.begin < of_rows.end; n0 += block) {
    int end = n0 + block < last ? n0 + block : last;
    pack_block(p, n0, end, (char *)scratch);
    const char *b = (const char *)scratch;
    for (int j = n0; j < end; j += nr) {
      int width = end - j >= nr ? nr : round_up(end - j, nr / 3);
      for (int i = of_rows.begin; i < of_rows.end; i++) {
        multiply(p, width / (nr / 3), weights + (size_t)i * NARROW_MR * deep * bytes_of(dtype), b, tile);
        put_tile(p, tile, width, i * NARROW_MR, j);
      }
      b += (size_t)width * deep * bytes_of(dtype);
    }
  }
}
