/* The generator of inputs and weights: stateless, so that element i needs no element before it.
 *
 *   x = i * 0x9E3779B9 + (4 * seed + role) * 0x85EBCA6B + 0x01234567        (mod 2^32)
 *   x ^= x >> 16;  x *= 0x7FEB352D;  x ^= x >> 15;  x *= 0x846CA68B;  x ^= x >> 16
 *   value = (2 * (x >> 8) + 1 - 2^24) / 2^24
 *
 * The mixing is C. Wellons' "lowbias32".  The value is an odd multiple of 2^-24 in (-1, 1): exact in
 * float32, never zero, never denormal.  validation/arm/reference.py does the same in NumPy. */
#include "bench.h"

#include <math.h>

float uniform(int seed, enum role role, uint32_t index) {
  uint32_t x = index * 0x9E3779B9u + (4u * (uint32_t)seed + role) * 0x85EBCA6Bu + 0x01234567u;
  x ^= x >> 16;
  x *= 0x7FEB352Du;
  x ^= x >> 15;
  x *= 0x846CA68Bu;
  x ^= x >> 16;
  return (float)((int32_t)(2 * (x >> 8) + 1) - (1 << 24)) * 0x1p-24f;
}

void fill_uniform(float *out, size_t count, int seed, enum role role) {
  for (size_t i = 0; i < count; i++)
    out[i] = uniform(seed, role, (uint32_t)i);
}

/* He's scale, sqrt(6 / fan_in), keeps activations of a deep network near 1. */
float *make_weights(size_t count, int fan_in, int seed) {
  float *weights = allocate_floats(count);
  float scale = sqrtf(6.0f / (float)fan_in);
  fill_uniform(weights, count, seed, ROLE_WEIGHT);
  for (size_t i = 0; i < count; i++)
    weights[i] = weights[i] * scale;
  return weights;
}

/* Biases in (-1/8, 1/8); zeros when the operator has none.  Padded so that whole vectors may be read. */
float *make_bias(const struct operator *op, int channels) {
  float *bias = allocate_floats((size_t)channels + 16);
  if (op->bias) {
    fill_uniform(bias, (size_t)channels, op->seed, ROLE_BIAS);
    for (int i = 0; i < channels; i++)
      bias[i] *= 0.125f;
  }
  return bias;
}
