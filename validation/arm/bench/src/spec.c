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
  expect_given(kernel, line, given);
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
