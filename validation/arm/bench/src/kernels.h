/* The kernels' functions, one file a family; kernels.c lists them by name. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stdlib.h>

#include "bench.h"

#define PREPARE(name) void prepare_##name(const struct network *, struct operator *)
#define RUN(name) void run_##name(const struct network *, const struct operator *)

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

#undef PREPARE
#undef RUN
#endif
