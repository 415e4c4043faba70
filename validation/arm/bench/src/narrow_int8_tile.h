/* The tile of narrow_int8.c, once for each kind of processor: TILE, TILE_OF, TARGET and PRODUCT are
 * defined before, and no more behind. */
#define ROW(i, a, lane)             \
  for (int j = 0; j < vectors; j++) \
    sum[i][j] = PRODUCT(sum[i][j], column[j], a, lane);

TARGET static inline __attribute__((always_inline)) void TILE_OF(const int vectors, int k, const int8_t *a,
                                                                 const int8_t *b, float *tile) {
  int32x4_t sum[NARROW_MR][3];
#pragma GCC unroll 8
  for (int i = 0; i < NARROW_MR; i++)
#pragma GCC unroll 3
    for (int j = 0; j < vectors; j++)
      sum[i][j] = vdupq_n_s32(0);
  for (int p = 0; p < k; p += 4, a += 4 * NARROW_MR, b += 16 * vectors) {
    int8x16_t low = vld1q_s8(a), high = vld1q_s8(a + 16), column[3];
#pragma GCC unroll 3
    for (int j = 0; j < vectors; j++)
      column[j] = vld1q_s8(b + 16 * j);
    ROW(0, low, 0)
    ROW(1, low, 1)
    ROW(2, low, 2)
    ROW(3, low, 3)
    ROW(4, high, 0)
    ROW(5, high, 1)
    ROW(6, high, 2)
    ROW(7, high, 3)
  }
#pragma GCC unroll 8
  for (int i = 0; i < NARROW_MR; i++)
#pragma GCC unroll 3
    for (int j = 0; j < vectors; j++)
      vst1q_f32(tile + (i * vectors + j) * 4, vcvtq_f32_s32(sum[i][j]));
}

TARGET void TILE(int vectors, int k, const int8_t *a, const int8_t *b, float *tile) {
  if (vectors == 3)
    TILE_OF(3, k, a, b, tile);
  else if (vectors == 2)
    TILE_OF(2, k, a, b, tile);
  else
    TILE_OF(1, k, a, b, tile);
}

#undef TILE
#undef TILE_OF
#undef TARGET
#undef PRODUCT
#undef ROW
