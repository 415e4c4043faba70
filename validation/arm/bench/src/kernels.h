/* The kernels' functions, one file a family; kernels.c lists them by name. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stdlib.h>

#include "bench.h"

#define PREPARE(name) void prepare_##name(const struct network *, struct operator *)
#define RUN(name) void run_##name(const struct network *, const struct operator *, struct team)

PREPARE(conv1x1);
PREPARE(conv);
PREPARE(conv3x3);
PREPARE(winograd3x3);
PREPARE(depthwise);
PREPARE(linear);
PREPARE(pool);
PREPARE(globalpool);
PREPARE(unary);
PREPARE(binary);
PREPARE(batchnorm);
PREPARE(bias);
PREPARE(shuffle);
PREPARE(concat);
PREPARE(split);
PREPARE(slice);
PREPARE(copy);
PREPARE(gather);
PREPARE(transpose);
PREPARE(layernorm);
PREPARE(groupnorm);
PREPARE(prelu);
PREPARE(matmul);
PREPARE(attention);
PREPARE(resample);
PREPARE(deconv);
PREPARE(softmax);
PREPARE(reduce);
PREPARE(reduce_var);
PREPARE(lrn);
PREPARE(pad);

RUN(conv1x1);
RUN(conv);
RUN(conv3x3);
RUN(winograd3x3);
RUN(depthwise);
RUN(linear);
RUN(maxpool);
RUN(avgpool);
RUN(globalpool);
RUN(relu);
RUN(relu6);
RUN(sigmoid);
RUN(silu);
RUN(hsigmoid);
RUN(hswish);
RUN(tanh);
RUN(add);
RUN(mul);
RUN(batchnorm);
RUN(bias);
RUN(softmax);
RUN(shuffle);
RUN(concat);
RUN(split);
RUN(slice);
RUN(copy);
RUN(gelu);
RUN(gelu_tanh);
RUN(leaky_relu);
RUN(elu);
RUN(exp);
RUN(neg);
RUN(abs);
RUN(square);
RUN(sqrt);
RUN(rsqrt);
RUN(reciprocal);
RUN(hard_tanh);
RUN(sub);
RUN(div);
RUN(max);
RUN(min);
RUN(add_number);
RUN(sub_number);
RUN(mul_number);
RUN(div_number);
RUN(max_number);
RUN(min_number);
RUN(broadcast);
RUN(layernorm);
RUN(groupnorm);
RUN(prelu);
RUN(matmul);
RUN(attention);
RUN(adaptivemax);
RUN(adaptiveavg);
RUN(nearest);
RUN(bilinear);
RUN(bicubic);
RUN(deconv);
RUN(gather);
RUN(transpose);
RUN(erf);
RUN(floor);
RUN(ceil);
RUN(round);
RUN(sign);
RUN(clamp);
RUN(mish);
RUN(sin);
RUN(cos);
RUN(softplus);
RUN(pow_number);
RUN(reduce_sum);
RUN(reduce_mean);
RUN(reduce_max);
RUN(reduce_min);
RUN(reduce_norm);
RUN(reduce_prod);
RUN(reduce_var);
RUN(cumsum);
RUN(lrn);
RUN(pad);

/* exp(x - max) / sum over `count` values one after the other */
void softmax_row(const float *x, float *y, int count);

#undef PREPARE
#undef RUN
#endif
