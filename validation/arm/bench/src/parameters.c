/* Parameters of operators: key=value, read strictly into the fields of struct operator. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether the kernel's list of keys has this word; 2 when it must be given. */
int takes_key(const struct kernel *kernel, const char *key) {
  size_t length = strlen(key);
  for (const char *p = kernel->keys; (p = strstr(p, key)); p += length) {
    int starts = p == kernel->keys || p[-1] == ' ';
    if (starts && (p[length] == 0 || p[length] == ' '))
      return 1;
    if (starts && p[length] == '!')
      return 2;
  }
  return 0;
}

static enum activation parse_activation(int line, const char *text) {
  if (strcmp(text, "none") == 0)
    return ACT_NONE;
  if (strcmp(text, "relu") == 0)
    return ACT_RELU;
  if (strcmp(text, "relu6") == 0)
    return ACT_RELU6;
  fail(EXIT_BAD_SPEC, line, "act must be none, relu or relu6, not '%.60s'", text);
}

static const struct {
  const char *name;
  size_t first, second; /* the fields of struct operator that it sets */
  int low, high;
} PARAMETERS[] = {
#define FIELD(f) offsetof(struct operator, f)
    {"k", FIELD(kh), FIELD(kw), 1, 64},
    {"kh", FIELD(kh), FIELD(kh), 1, 64},
    {"kw", FIELD(kw), FIELD(kw), 1, 64},
    {"stride", FIELD(stride), FIELD(stride_w), 1, 64},
    {"stride_w", FIELD(stride_w), FIELD(stride_w), 1, 64},
    {"pad", FIELD(ph), FIELD(pw), 0, 64},
    {"ph", FIELD(ph), FIELD(ph), 0, 64},
    {"pw", FIELD(pw), FIELD(pw), 0, 64},
    {"ph_end", FIELD(ph_end), FIELD(ph_end), 0, 64},
    {"pw_end", FIELD(pw_end), FIELD(pw_end), 0, 64},
    {"dilation", FIELD(dilation), FIELD(dilation_w), 1, 64},
    {"dilation_w", FIELD(dilation_w), FIELD(dilation_w), 1, 64},
    {"kd", FIELD(kd), FIELD(kd), 1, 64},
    {"stride_d", FIELD(stride_d), FIELD(stride_d), 1, 64},
    {"pd", FIELD(pd), FIELD(pd), 0, 64},
    {"pd_end", FIELD(pd_end), FIELD(pd_end), 0, 64},
    {"dilation_d", FIELD(dilation_d), FIELD(dilation_d), 1, 64},
    {"depth", FIELD(depth), FIELD(depth), 1, MAX_EXTENT},
    {"groups", FIELD(groups), FIELD(groups), 1, MAX_EXTENT},
    {"include_pad", FIELD(include_pad), FIELD(include_pad), 0, 1},
    {"ceil", FIELD(ceil), FIELD(ceil), 0, 1},
    {"begin", FIELD(begin), FIELD(begin), 0, MAX_EXTENT},
    {"begin_c", FIELD(begin_c), FIELD(begin_c), 0, MAX_EXTENT},
    {"begin_h", FIELD(begin_h), FIELD(begin_h), 0, MAX_EXTENT},
    {"begin_w", FIELD(begin_w), FIELD(begin_w), 0, MAX_EXTENT},
    {"bias", FIELD(bias), FIELD(bias), 0, 1},
    {"axis", FIELD(axis), FIELD(axis), 0, 3},
    {"step", FIELD(step), FIELD(step), 1, MAX_EXTENT},
    {"order", FIELD(order), FIELD(order), 0, 76543210},
    {"inner", FIELD(inner), FIELD(inner), 1, MAX_EXTENT},
    {"rms", FIELD(rms), FIELD(rms), 0, 1},
    {"affine", FIELD(affine), FIELD(affine), 0, 1},
    {"causal", FIELD(causal), FIELD(causal), 0, 1},
    {"swap_a", FIELD(swap_a), FIELD(swap_a), 0, 1},
    {"swap_b", FIELD(swap_b), FIELD(swap_b), 0, 1},
    {"seed", FIELD(seed), FIELD(seed), 0, 1 << 28},
#undef FIELD
};
enum { N_PARAMETERS = sizeof PARAMETERS / sizeof PARAMETERS[0] };

static enum dtype parse_dtype(int line, const char *text) {
  if (strcmp(text, "float32") == 0)
    return DTYPE_F32;
  if (strcmp(text, "float16") == 0)
    return DTYPE_F16;
  if (strcmp(text, "int8") == 0)
    return DTYPE_I8;
  fail(EXIT_BAD_SPEC, line, "dtype must be float32, float16 or int8, not '%.60s'", text);
}

/* dims=8x7x8: the extents of more axes than a tensor has here. */
static void parse_dims(struct operator *op, int line, const char *text) {
  char copy[128], *rest;
  if (strlen(text) >= sizeof copy)
    fail(EXIT_BAD_SPEC, line, "dims must be up to %d extents, not '%.60s'", MAX_DIMS, text);
  strcpy(copy, text);
  for (char *word = strtok_r(copy, "x", &rest); word; word = strtok_r(NULL, "x", &rest)) {
    if (op->n_dims == MAX_DIMS)
      fail(EXIT_BAD_SPEC, line, "dims must be up to %d extents, not '%.60s'", MAX_DIMS, text);
    op->dims[op->n_dims++] = parse_int(line, "an extent of dims", word, 1, MAX_EXTENT);
  }
}

void set_parameter(struct operator *op, int line, const char *key, const char *value) {
  if (strcmp(key, "act") == 0) {
    op->act = parse_activation(line, value);
    return;
  }
  if (strcmp(key, "dtype") == 0) {
    op->dtype = parse_dtype(line, value);
    return;
  }
  if (strcmp(key, "dims") == 0) {
    parse_dims(op, line, value);
    return;
  }
  if (strcmp(key, "value") == 0) {
    char *end;
    op->value = strtof(value, &end);
    if (end == value || *end || !isfinite(op->value))
      fail(EXIT_BAD_SPEC, line, "value must be a number, not '%.60s'", value);
    return;
  }
  for (int i = 0; i < N_PARAMETERS; i++) {
    if (strcmp(PARAMETERS[i].name, key) == 0) {
      int number = parse_int(line, key, value, PARAMETERS[i].low, PARAMETERS[i].high);
      *(int *)((char *)op + PARAMETERS[i].first) = number;
      *(int *)((char *)op + PARAMETERS[i].second) = number;
      return;
    }
  }
}

void expect_given(const struct kernel *kernel, int line, const char *given) {
  if (takes_key(kernel, "value") == 2 && !strstr(given, " value "))
    fail(EXIT_BAD_SPEC, line, "%s needs the field value", kernel->name);
  for (int i = 0; i < N_PARAMETERS; i++) {
    char spaced[32];
    snprintf(spaced, sizeof spaced, " %s ", PARAMETERS[i].name);
    if (takes_key(kernel, PARAMETERS[i].name) == 2 && !strstr(given, spaced))
      fail(EXIT_BAD_SPEC, line, "%s needs the field %s", kernel->name, PARAMETERS[i].name);
  }
}
