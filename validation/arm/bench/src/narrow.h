/* Products in narrow numbers: C = clamp(A B + bias), A packed once, B and C in float32.
 *
 * float16: both operands rounded to it; sums of up to 64 terms in float16, those in float32.
 * int8: symmetric; A has a scale a row, B one scale, of its largest value; sums in int32, exact. */
#ifndef NARROW_H
#define NARROW_H

#include "bench.h"

/* Element (i, j) is data[i * rows + j * columns]. */
struct matrix_view {
  float *data;
  size_t rows, columns;
};

struct narrow {
  const struct operator *op; /* its dtype, activation, packed weights, scales (int8) and biases */
  int m, n, k;
  size_t first;              /* row of A, in packed floats; scales and biases begin with row `from` */
  int from;
  float scale;               /* of B: one step of int8 */
  struct matrix_view b, c;
};

void expect_narrow(const struct operator *op); /* fails where this processor lacks the numbers */
const char *narrow_instructions(enum dtype dtype); /* those that are used here */
size_t narrow_packed_floats(enum dtype dtype, int m, int k);
size_t narrow_scratch_floats(enum dtype dtype, int k);
void narrow_pack(enum dtype dtype, const float *plain, int m, int k, float *packed, float *scales);
float narrow_scale(const struct network *net, const struct operator *op, const struct tensor *x,
                   struct team team); /* all of a team ask together */
void narrow_share(struct team team, const struct narrow *product, float *scratch);

#endif
