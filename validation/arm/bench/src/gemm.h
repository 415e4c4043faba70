/* C[m][n] = clamp(A[m][k] B[k][n] + bias[m]), or that added to C: the core of all products. */
#ifndef GEMM_H
#define GEMM_H

#include "bench.h"

enum { GEMM_MR = 8, GEMM_NR = 12, GEMM_KC = 256, GEMM_NC = 480 };

size_t gemm_packed_floats(int m, int k);
size_t gemm_scratch_floats(void);
void gemm_pack_a(const float *a, int lda, int m, int k, float *packed);
void gemm_pack_a_share(const float *a, int lda, int m, int k, float *packed, struct team team);
void gemm(int m, int n, int k, const float *packed_a, const float *b, size_t ldb, float *c,
          size_t ldc, const float *bias, enum activation act, int add, float *scratch);

/* The same, a share of its rows or columns for each of a team; scratch is the thread's own. */
void gemm_share(struct team team, int m, int n, int k, const float *packed_a, const float *b, size_t ldb,
                float *c, size_t ldc, const float *bias, enum activation act, int add, float *scratch);

#endif
