/* A packed matrix product in the manner of Goto and van de Geijn (2008).
 *
 * A (weights, packed once when the network is prepared): panels of 8 rows, k after k.
 * B (activations, packed while running): blocks of 256 x 480 that stay in the L2 cache, in panels of
 * 12 columns; the last panel of a block is 4, 8 or 12 wide, so that 49 columns cost 52 and not 60.
 * The micro kernel keeps 8 x 12 sums in 24 of the 32 vector registers. */
#include "gemm.h"

#include "simd.h"

size_t gemm_packed_floats(int m, int k) { return (size_t)round_up(m, GEMM_MR) * (size_t)k; }

size_t gemm_scratch_floats(void) { return (size_t)GEMM_KC * GEMM_NC; }

static int least(int a, int b) { return a < b ? a : b; }

void gemm_pack_a_share(const float *a, int lda, int m, int k, float *packed, struct team team) {
  struct range panels = share_of((size_t)round_up(m, GEMM_MR) / GEMM_MR, team);
  for (int k0 = 0; k0 < k; k0 += GEMM_KC) {
    int kc = least(GEMM_KC, k - k0);
    float *out = packed + (size_t)k0 * round_up(m, GEMM_MR) + (size_t)panels.begin * GEMM_MR * kc;
    for (int m0 = panels.begin * GEMM_MR; m0 < panels.end * GEMM_MR; m0 += GEMM_MR)
      for (int p = 0; p < kc; p++)
        for (int i = 0; i < GEMM_MR; i++)
          *out++ = m0 + i < m ? a[(size_t)(m0 + i) * lda + k0 + p] : 0.0f;
  }
}

void gemm_pack_a(const float *a, int lda, int m, int k, float *packed) {
  gemm_pack_a_share(a, lda, m, k, packed, (struct team){0, 1});
}

/* Width of the panel that starts with `left` columns to go. */
static int panel_width(int left) { return left >= GEMM_NR ? GEMM_NR : round_up(left, 4); }

static void pack_b(const float *b, size_t ldb, int kc, int nc, float *packed) {
  for (int n0 = 0; n0 < nc; n0 += GEMM_NR) {
    int width = panel_width(nc - n0), valid = least(width, nc - n0);
    for (int p = 0; p < kc; p++) {
      const float *row = b + (size_t)p * ldb + n0;
      int j = 0;
      for (; j + 4 <= valid; j += 4)
        vst1q_f32(packed + j, vld1q_f32(row + j));
      if (j < valid)
        vst1q_f32(packed + j, load_lanes(row + j, valid - j, 0.0f));
      packed += width;
    }
  }
}

struct epilogue {
  const float *bias; /* null: more of k is to come */
  struct clamp clamp;
};

#define FMA_ROW(i, a, lane)                                \
  for (int j = 0; j < vectors; j++)                        \
    sum[i][j] = vfmaq_laneq_f32(sum[i][j], b[j], a, lane);

/* 8 x (4 vectors) of C; `vectors` is a constant wherever this is inlined. */
INLINE void micro(const int vectors, int kc, const float *pa, const float *pb, float *c, size_t ldc,
                  int accumulate, struct epilogue end) {
  float32x4_t sum[GEMM_MR][3];
#pragma GCC unroll 8
  for (int i = 0; i < GEMM_MR; i++)
#pragma GCC unroll 3
    for (int j = 0; j < vectors; j++)
      sum[i][j] = accumulate ? vld1q_f32(c + i * ldc + 4 * j) : vdupq_n_f32(0);
  for (int p = 0; p < kc; p++) {
    float32x4_t b[3], low = vld1q_f32(pa), high = vld1q_f32(pa + 4);
#pragma GCC unroll 3
    for (int j = 0; j < vectors; j++)
      b[j] = vld1q_f32(pb + 4 * j);
    FMA_ROW(0, low, 0)
    FMA_ROW(1, low, 1)
    FMA_ROW(2, low, 2)
    FMA_ROW(3, low, 3)
    FMA_ROW(4, high, 0)
    FMA_ROW(5, high, 1)
    FMA_ROW(6, high, 2)
    FMA_ROW(7, high, 3)
    pa += GEMM_MR;
    pb += 4 * vectors;
  }
#pragma GCC unroll 8
  for (int i = 0; i < GEMM_MR; i++)
#pragma GCC unroll 3
    for (int j = 0; j < vectors; j++) {
      float32x4_t x = sum[i][j];
      if (end.bias)
        x = clamp4(vaddq_f32(x, vdupq_n_f32(end.bias[i])), end.clamp);
      vst1q_f32(c + i * ldc + 4 * j, x);
    }
}

static void micro_any(int width, int kc, const float *pa, const float *pb, float *c, size_t ldc,
                      int accumulate, struct epilogue end) {
  if (width == 12)
    micro(3, kc, pa, pb, c, ldc, accumulate, end);
  else if (width == 8)
    micro(2, kc, pa, pb, c, ldc, accumulate, end);
  else
    micro(1, kc, pa, pb, c, ldc, accumulate, end);
}

/* A tile that hangs over the edge of C goes through a small buffer. */
static void edge_tile(int rows, int columns, int width, int kc, const float *pa, const float *pb,
                      float *c, size_t ldc, int accumulate, struct epilogue end) {
  float tile[GEMM_MR * GEMM_NR] = {0};
  if (accumulate)
    for (int i = 0; i < rows; i++)
      memcpy(tile + i * GEMM_NR, c + i * ldc, (size_t)columns * sizeof *c);
  micro_any(width, kc, pa, pb, tile, GEMM_NR, accumulate, end);
  for (int i = 0; i < rows; i++)
    memcpy(c + i * ldc, tile + i * GEMM_NR, (size_t)columns * sizeof *c);
}

/* Rows from `first` up to `last` alone; both are multiples of a panel, or the end. */
static void gemm_rows(int first, int last, int m, int n, int k, const float *packed_a, const float *b,
                      size_t ldb, float *c, size_t ldc, const float *bias, enum activation act, int add,
                      float *scratch) {
  struct clamp clamp = make_clamp(act);
  for (int n0 = 0; n0 < n; n0 += GEMM_NC) {
    int nc = least(GEMM_NC, n - n0);
    for (int k0 = 0; k0 < k; k0 += GEMM_KC) {
      int kc = least(GEMM_KC, k - k0);
      const float *block_a = packed_a + (size_t)k0 * round_up(m, GEMM_MR);
      pack_b(b + k0 * ldb + n0, ldb, kc, nc, scratch);
      const float *pb = scratch;
      for (int j = 0; j < nc; j += GEMM_NR) { /* this panel of B stays in L1, A streams past it */
        int width = panel_width(nc - j), columns = least(width, nc - j);
        for (int m0 = first; m0 < last; m0 += GEMM_MR) {
          int rows = least(GEMM_MR, m - m0);
          struct epilogue end = {k0 + kc == k ? bias + m0 : NULL, clamp};
          const float *pa = block_a + (size_t)m0 * kc;
          float *tile = c + m0 * ldc + n0 + j;
          if (rows == GEMM_MR && columns == width)
            micro_any(width, kc, pa, pb, tile, ldc, add || k0 > 0, end);
          else
            edge_tile(rows, columns, width, kc, pa, pb, tile, ldc, add || k0 > 0, end);
        }
        pb += (size_t)width * kc;
      }
    }
  }
}

void gemm(int m, int n, int k, const float *packed_a, const float *b, size_t ldb, float *c,
          size_t ldc, const float *bias, enum activation act, int add, float *scratch) {
  gemm_rows(0, m, m, n, k, packed_a, b, ldb, c, ldc, bias, act, add, scratch);
}

void gemm_share(struct team team, int m, int n, int k, const float *packed_a, const float *b, size_t ldb,
                float *c, size_t ldc, const float *bias, enum activation act, int add, float *scratch) {
  int rows = round_up(m, GEMM_MR) / GEMM_MR, columns = (n + GEMM_NR - 1) / GEMM_NR;
  struct range r = share_of((size_t)(rows >= columns ? rows : columns), team);
  if (r.begin == r.end)
    return;
  if (rows >= columns) {
    gemm_rows(r.begin * GEMM_MR, least(r.end * GEMM_MR, m), m, n, k, packed_a, b, ldb, c, ldc, bias, act, add,
              scratch);
    return;
  }
  int first = r.begin * GEMM_NR, last = least(r.end * GEMM_NR, n);
  gemm_rows(0, m, m, last - first, k, packed_a, b + first, ldb, c + first, ldc, bias, act, add, scratch);
}
