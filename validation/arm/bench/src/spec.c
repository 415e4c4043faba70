/* The specification: text lines on standard input, read strictly.
 *
 *   tensor ID N C H W [seed=S [scale=F]]  a buffer; with a seed it is filled, with values in (-F, F),
 *                                         and can be read
 *   view ID N C H W of=T offset=ELEMENTS  a buffer inside tensor T's memory, from that element on
 *   op KERNEL in=A[,B...] out=C[,D...] [key=value ...]
 *   run warmup=W repeats=R budget_ms=B [threads=T]
 *                                         once; at least one repeat is made whatever the budget
 *   dump ID                               print that tensor's values after the run
 *   # comment, and empty lines
 *
 * Keys are those of the kernel (kernels.c).  k=K sets kh and kw, pad=P sets ph and pw: rows and
 * columns before the input, and after it unless ph_end and pw_end say otherwise; stride and dilation
 * hold along both axes unless stride_w and dilation_w, given after them, say otherwise. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int parse_int(int line, const char *what, const char *text, long low, long high) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (end == text || *end || errno || value < low || value > high)
    fail(EXIT_BAD_SPEC, line, "%s must be a whole number from %ld to %ld, not '%.60s'", what, low,
         high, text);
  return (int)value;
}

char *next_word(char **rest) { return strtok_r(NULL, " \t\r\n", rest); }

char *need_word(int line, const char *what, char **rest) {
  char *word = next_word(rest);
  if (!word)
    fail(EXIT_BAD_SPEC, line, "%s is missing", what);
  return word;
}

/* Splits "key=value" in place and returns the value. */
char *split_pair(int line, char *word) {
  char *equals = strchr(word, '=');
  if (!equals || equals == word || !equals[1])
    fail(EXIT_BAD_SPEC, line, "expected key=value, not '%.60s'", word);
  *equals = 0;
  return equals + 1;
}

static struct tensor *read_shape(struct network *net, int line, char **rest) {
  int id = parse_int(line, "a tensor's number", need_word(line, "a tensor's number", rest), 0,
                     MAX_TENSORS - 1);
  struct tensor *t = &net->tensors[id];
  if (t->declared)
    fail(EXIT_BAD_SPEC, line, "tensor %d is declared twice", id);
  int *extents[] = {&t->n, &t->c, &t->h, &t->w};
  static const char *const names[] = {"N", "C", "H", "W"};
  size_t total = 1;
  for (int i = 0; i < 4; i++) {
    *extents[i] = parse_int(line, names[i], need_word(line, names[i], rest), 1, MAX_EXTENT);
    total *= (size_t)*extents[i];
    if (total > MAX_ELEMENTS)
      fail(EXIT_BAD_SPEC, line, "tensor %d has more than %zu elements", id, MAX_ELEMENTS);
  }
  t->declared = 1;
  t->view_of = -1;
  return t;
}

static void read_tensor(struct network *net, int line, char **rest) {
  struct tensor *t = read_shape(net, line, rest);
  net->total += elements(t);
  if (net->total > MAX_TOTAL)
    fail(EXIT_BAD_SPEC, line, "all tensors together have more than %zu elements", MAX_TOTAL);
  t->data = allocate_floats(elements(t));
  for (char *word; (word = next_word(rest));) {
    char *value = split_pair(line, word);
    if (strcmp(word, "seed") == 0) {
      fill_uniform(t->data, elements(t), parse_int(line, word, value, 0, 1 << 28), ROLE_WEIGHT);
      t->written = 1;
    } else if (strcmp(word, "scale") == 0) {
      int scale = parse_int(line, word, value, 1, 1 << 20);
      for (size_t i = 0; i < elements(t); i++)
        t->data[i] *= (float)scale;
    } else {
      fail(EXIT_BAD_SPEC, line, "tensor has no field '%.60s'; it takes seed and scale", word);
    }
  }
}

static int read_id(const struct network *net, int line, const char *text) {
  int id = parse_int(line, "a tensor's number", text, 0, MAX_TENSORS - 1);
  if (!net->tensors[id].declared)
    fail(EXIT_BAD_SPEC, line, "tensor %d is not declared", id);
  return id;
}

static void read_view(struct network *net, int line, char **rest) {
  struct tensor *t = read_shape(net, line, rest);
  long offset = -1;
  for (char *word; (word = next_word(rest));) {
    char *value = split_pair(line, word);
    if (strcmp(word, "of") == 0)
      t->view_of = read_id(net, line, value);
    else if (strcmp(word, "offset") == 0)
      offset = parse_int(line, "offset", value, 0, (long)MAX_ELEMENTS);
    else
      fail(EXIT_BAD_SPEC, line, "view has no field '%.60s'; it takes of and offset", word);
  }
  if (t->view_of < 0 || offset < 0)
    fail(EXIT_BAD_SPEC, line, "a view needs of=TENSOR and offset=ELEMENTS");
  const struct tensor *base = &net->tensors[t->view_of];
  if (base == t || (size_t)offset + elements(t) > elements(base))
    fail(EXIT_BAD_SPEC, line, "the view does not lie inside tensor %d of %zu elements", t->view_of,
         elements(base));
  t->offset = (size_t)offset;
  t->data = base->data + offset;
}

/* Whether the tensor's memory lies inside that of a tensor that was filled or written. */
static int is_written(const struct network *net, int id) {
  const struct tensor *t = &net->tensors[id];
  if (t->written)
    return 1;
  for (int i = 0; t->view_of >= 0 && i < MAX_TENSORS; i++) {
    const struct tensor *other = &net->tensors[i];
    if (other->written && other->data <= t->data && t->data + elements(t) <= other->data + elements(other))
      return 1;
  }
  return 0;
}

static int read_ids(const struct network *net, int line, char *text, int ids[MAX_OPERANDS]) {
  int count = 0;
  char *rest;
  for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
    if (count == MAX_OPERANDS)
      fail(EXIT_BAD_SPEC, line, "an operator takes at most %d operands", MAX_OPERANDS);
    ids[count++] = read_id(net, line, word);
  }
  return count;
}

/* Whether the kernel's list of keys has this word; 2 when it must be given. */
static int takes_key(const struct kernel *kernel, const char *key) {
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

static void set_parameter(struct operator *op, int line, const char *key, const char *value) {
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

static void check_operands(const struct network *net, const struct operator *op) {
  const struct kernel *kernel = op->kernel;
  if (op->n_inputs < kernel->min_inputs || op->n_inputs > kernel->max_inputs)
    fail(EXIT_BAD_SPEC, op->line, "%s takes %d to %d inputs (in=...), not %d", kernel->name,
         kernel->min_inputs, kernel->max_inputs, op->n_inputs);
  if (op->n_outputs < kernel->min_outputs || op->n_outputs > kernel->max_outputs)
    fail(EXIT_BAD_SPEC, op->line, "%s takes %d to %d outputs (out=...), not %d", kernel->name,
         kernel->min_outputs, kernel->max_outputs, op->n_outputs);
  for (int i = 0; i < op->n_inputs; i++) {
    const struct tensor *x = input(net, op, i);
    if (!is_written(net, op->inputs[i]))
      fail(EXIT_BAD_SPEC, op->line, "tensor %d is read before anything writes it", op->inputs[i]);
    for (int j = 0; j < op->n_outputs; j++) {
      const struct tensor *y = output(net, op, j);
      if (x->data < y->data + elements(y) && y->data < x->data + elements(x))
        fail(EXIT_BAD_SPEC, op->line, "tensor %d would be overwritten while it is read",
             op->inputs[i]);
    }
  }
}

static void read_operator(struct network *net, int line, char **rest) {
  const char *name = need_word(line, "the kernel's name", rest);
  const struct kernel *kernel = KERNELS;
  while (kernel->name && strcmp(kernel->name, name) != 0)
    kernel++;
  if (!kernel->name)
    fail(EXIT_BAD_SPEC, line, "no kernel is called '%.60s'", name);
  if (net->n_operators == MAX_OPERATORS)
    fail(EXIT_BAD_SPEC, line, "more than %d operators", MAX_OPERATORS);
  struct operator *op = &net->operators[net->n_operators++];
  *op = (struct operator){.kernel = kernel, .line = line, .kh = 1, .kw = 1, .kd = 1,
                          .stride = 1, .stride_w = 1, .stride_d = 1, .ph_end = -1, .pw_end = -1,
                          .pd_end = -1, .dilation = 1, .dilation_w = 1, .dilation_d = 1, .depth = 1,
                          .groups = 1, .include_pad = 1, .axis = 1, .step = 1};
  char given[MAX_LINE] = " ";
  for (char *word; (word = next_word(rest));) {
    char *value = split_pair(line, word);
    if (strcmp(word, "in") == 0)
      op->n_inputs = read_ids(net, line, value, op->inputs);
    else if (strcmp(word, "out") == 0)
      op->n_outputs = read_ids(net, line, value, op->outputs);
    else if (takes_key(kernel, word))
      set_parameter(op, line, word, value);
    else
      fail(EXIT_BAD_SPEC, line, "%s has no field '%.60s'; it takes in, out %s", kernel->name, word,
           kernel->keys);
    strncat(given, word, sizeof given - strlen(given) - 2);
    strcat(given, " ");
  }
  if (takes_key(kernel, "value") == 2 && !strstr(given, " value "))
    fail(EXIT_BAD_SPEC, line, "%s needs the field value", kernel->name);
  for (int i = 0; i < N_PARAMETERS; i++) {
    char spaced[32];
    snprintf(spaced, sizeof spaced, " %s ", PARAMETERS[i].name);
    if (takes_key(kernel, PARAMETERS[i].name) == 2 && !strstr(given, spaced))
      fail(EXIT_BAD_SPEC, line, "%s needs the field %s", kernel->name, PARAMETERS[i].name);
  }
  op->ph_end = op->ph_end < 0 ? op->ph : op->ph_end;
  op->pw_end = op->pw_end < 0 ? op->pw : op->pw_end;
  op->pd_end = op->pd_end < 0 ? op->pd : op->pd_end;
  check_operands(net, op);
  kernel->prepare(net, op);
  for (int i = 0; i < op->n_outputs; i++)
    output(net, op, i)->written = 1;
}

static void read_run(struct network *net, int line, char **rest) {
  if (net->repeats)
    fail(EXIT_BAD_SPEC, line, "run is given twice");
  net->warmup = net->budget_ms = -1;
  for (char *word; (word = next_word(rest));) {
    char *value = split_pair(line, word);
    if (strcmp(word, "warmup") == 0)
      net->warmup = parse_int(line, word, value, 0, 1000);
    else if (strcmp(word, "repeats") == 0)
      net->repeats = parse_int(line, word, value, 1, 100000);
    else if (strcmp(word, "budget_ms") == 0)
      net->budget_ms = parse_int(line, word, value, 1, 86400000);
    else if (strcmp(word, "threads") == 0)
      use_threads(parse_int(line, word, value, 1, MAX_THREADS), 0);
    else
      fail(EXIT_BAD_SPEC, line,
           "run has no field '%.60s'; it takes warmup, repeats, budget_ms and threads", word);
  }
  if (net->warmup < 0 || net->repeats < 1 || net->budget_ms < 0)
    fail(EXIT_BAD_SPEC, line, "run needs warmup, repeats and budget_ms");
}

void read_line(struct network *net, int line, char *text) {
  char *rest;
  char *word = strtok_r(text, " \t\r\n", &rest);
  if (!word || *word == '#')
    return;
  if (strcmp(word, "tensor") == 0) {
    read_tensor(net, line, &rest);
  } else if (strcmp(word, "view") == 0) {
    read_view(net, line, &rest);
  } else if (strcmp(word, "op") == 0) {
    read_operator(net, line, &rest);
  } else if (strcmp(word, "run") == 0) {
    read_run(net, line, &rest);
  } else if (strcmp(word, "dump") == 0) {
    int id = read_id(net, line, need_word(line, "a tensor's number", &rest));
    if (net->n_dumps == MAX_TENSORS)
      fail(EXIT_BAD_SPEC, line, "more than %d dumps", MAX_TENSORS);
    net->dumps[net->n_dumps++] = id;
  } else {
    fail(EXIT_BAD_SPEC, line, "a line starts with tensor, view, op, run or dump, not '%.60s'", word);
  }
  if ((word = next_word(&rest)))
    fail(EXIT_BAD_SPEC, line, "'%.60s' is one word too many", word);
}

void begin_network(struct network *net) {
  own_memory(net);
  net->tensors = calloc(MAX_TENSORS, sizeof *net->tensors);
  net->operators = calloc(MAX_OPERATORS, sizeof *net->operators);
  net->dumps = calloc(MAX_TENSORS, sizeof *net->dumps);
  if (!net->tensors || !net->operators || !net->dumps)
    fail(EXIT_NO_MEMORY, 0, "no memory for the tables");
}

enum { LINE = 16 }; /* floats of a cache line: no two threads write to one */

void finish_network(struct network *net, int line) {
  if (!net->n_operators)
    fail(EXIT_BAD_SPEC, line, "the specification has no operator");
  size_t shared = 0, own = 0;
  for (int i = 0; i < net->n_operators; i++) {
    const struct operator *op = &net->operators[i];
    shared = op->scratch > shared ? op->scratch : shared;
    own = op->own > own ? op->own : own;
  }
  net->shared = (shared + LINE - 1) / LINE * LINE + NARROW_SHARED;
  net->own = (own + 2 * LINE - 1) / LINE * LINE; /* room for one vector read too many */
  net->scratch = allocate_floats(net->shared + (size_t)threads_in_use() * net->own);
}

void read_network(struct network *net) {
  static char text[MAX_LINE];
  int line = 0;
  begin_network(net);
  while (fgets(text, sizeof text, stdin)) {
    line++;
    if (!strchr(text, '\n') && strlen(text) == sizeof text - 1)
      fail(EXIT_BAD_SPEC, line, "the line is longer than %d characters", MAX_LINE - 2);
    if (line == 1 && strncmp(text, "serve", 5) == 0)
      exit(serve());
    read_line(net, line, text);
  }
  if (net->n_operators && !net->repeats)
    fail(EXIT_BAD_SPEC, line, "the specification has no run line");
  finish_network(net, line);
}
