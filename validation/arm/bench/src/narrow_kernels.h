/* Tiles of 8 rows by up to three vectors of columns, with the instructions of newer processors: their
 * functions alone are compiled for these, so that the program starts on any. */
#ifndef NARROW_KERNELS_H
#define NARROW_KERNELS_H

#include <arm_neon.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

enum { NARROW_MR = 8, HALF_NR = 24, INT8_NR = 12 };
#define HWCAP_HALF (1ul << 10) /* asimdhp, of the kernel's <asm/hwcap.h> */
#define HWCAP_DOT (1ul << 20)  /* asimddp */

/* To the nearest step, halves to the even one, as torch does. */
static inline int quantized(float x, float inverse) {
  float step = nearbyintf(x * inverse);
  return (int)(step > 127.0f ? 127.0f : step < -127.0f ? -127.0f : step);
}

/* tile[8][8 vectors] = A[k][8] B[k][8 vectors] */
void half_tile(int vectors, int k, const __fp16 *a, const __fp16 *b, float *tile);
void half_pack(const float *b, size_t step, int k, int width, void *out);
/* tile[8][4 vectors] = A[k/4][8][4] B[k/4][4 vectors][4] */
void int8_tile_dot(int vectors, int k, const int8_t *a, const int8_t *b, float *tile);
void int8_tile_plain(int vectors, int k, const int8_t *a, const int8_t *b, float *tile);
void int8_pack(const float *b, size_t step, int k, int width, float inverse, void *out);

#endif
