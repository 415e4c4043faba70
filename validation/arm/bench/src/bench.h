/* armbench: what every file of the benchmark shares.
 *
 * A network is a list of operators over numbered tensors.  Tensors are float32, laid out NCHW.
 * Each operator is prepared once (shapes checked, weights made and packed) and then run and timed.
 * What preparation does is never timed: real engines pack their weights when a model is loaded. */
#ifndef BENCH_H
#define BENCH_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

enum {
  MAX_TENSORS = 16384,
  MAX_OPERATORS = 16384,
  MAX_OPERANDS = 64,
  MAX_EXTENT = 1 << 24,       /* of one axis */
  MAX_LINE = 4096,
  MAX_DIMS = 8,
};
#define MAX_ELEMENTS ((size_t)1 << 28) /* of one tensor: 1 GiB */
#define MAX_TOTAL ((size_t)1 << 29)    /* of all tensors: 2 GiB */

enum exit_code {
  EXIT_BAD_SPEC = 2,
  EXIT_NOT_FINITE = 3,
  EXIT_BAD_CLOCK = 4,
  EXIT_NO_MEMORY = 5,
  EXIT_NO_OUTPUT = 6,
};

enum activation { ACT_NONE, ACT_RELU, ACT_RELU6 };
enum dtype { DTYPE_F32, DTYPE_F16, DTYPE_I8 }; /* of the operands of a product */

struct tensor {
  int n, c, h, w;
  float *data;
  int declared;
  int written;      /* filled from a seed, or the output of an earlier operator */
  int view_of;      /* -1: owns its memory */
  size_t offset;    /* of a view, in elements */
};

struct operator {
  const struct kernel *kernel;
  int line;                       /* of the specification, for messages */
  int inputs[MAX_OPERANDS], n_inputs;
  int outputs[MAX_OPERANDS], n_outputs;
  /* parameters; what a kernel does not name in `keys` cannot be set */
  int kh, kw, stride, stride_w, ph, pw, ph_end, pw_end, dilation, dilation_w, groups, include_pad, ceil;
  int kd, stride_d, pd, pd_end, dilation_d, depth; /* of volumes: depth planes an input channel */
  int begin, begin_c, begin_h, begin_w, bias, seed;
  int axis, step, order, inner, rms, affine, causal, swap_a, swap_b;
  int dims[MAX_DIMS], n_dims;     /* the extents of more than four axes */
  float value;
  enum activation act;
  enum dtype dtype;
  /* made by prepare() */
  float *weights, *shift, *scale;
  size_t scratch, own;            /* floats of working memory wanted while running: of all, of each thread */
};

struct network {
  struct tensor *tensors;         /* MAX_TENSORS of them */
  struct operator *operators;     /* MAX_OPERATORS of them */
  int n_operators;
  int *dumps, n_dumps;
  int warmup, repeats, budget_ms;
  float *scratch;                 /* of all threads; behind it that of each */
  size_t shared, own;
  size_t total;                   /* elements of all its tensors */
};

/* One of the threads that run an operator together: each does its share of it. */
struct team {
  int index, count;
};

struct kernel {
  const char *name;
  const char *keys;   /* parameters it takes, space separated; those ending in '!' must be given */
  int min_inputs, max_inputs, min_outputs, max_outputs;
  void (*prepare)(const struct network *, struct operator *);
  void (*run)(const struct network *, const struct operator *, struct team);
};

extern const struct kernel KERNELS[]; /* ends with a null name */

/* fail.c: one JSON object on standard output; then the program ends, or the command that it serves.
 * The line is left out when it is 0. */
__attribute__((noreturn, format(printf, 3, 4))) void fail(int code, int line, const char *format,
                                                          ...);
void print_json_string(const char *text);
void print_file_line(const char *key, const char *path); /* , "key": "its first line" */
void begin_reply(void); /* before each JSON document: lines of a login's own are told from it */
extern sigjmp_buf *served; /* where fail() goes back to; null: it exits */

/* memory.c: all of it belongs to the network that is read, so that it can be given back */
float *allocate_floats(size_t count); /* 64-byte aligned, zeroed, never null */
void release_floats(float *memory);
void own_memory(const struct network *owner);
void release_memory(const struct network *owner);

/* spec.c */
void read_network(struct network *network); /* all of standard input */
void begin_network(struct network *network);
void read_line(struct network *network, int line, char *text);
void finish_network(struct network *network, int line);
char *next_word(char **rest);
char *need_word(int line, const char *what, char **rest);
char *split_pair(int line, char *word);
int parse_int(int line, const char *what, const char *text, long low, long high);

/* parameters.c */
int takes_key(const struct kernel *kernel, const char *key);
void set_parameter(struct operator *op, int line, const char *key, const char *value);
void expect_given(const struct kernel *kernel, int line, const char *given); /* " key key " */

/* random.c: the documented generator; Python reproduces it exactly */
enum role { ROLE_WEIGHT, ROLE_BIAS, ROLE_SCALE, ROLE_SHIFT };
float uniform(int seed, enum role role, uint32_t index);
void fill_uniform(float *out, size_t count, int seed, enum role role);
float *make_weights(size_t count, int fan_in, int seed);
float *make_bias(const struct operator *op, int channels);

/* emulator.c */
const char *emulator(void);   /* the emulator this process runs under, as far as it shows, or null */
const char *unverified(void); /* why it cannot be told whether there is one, or null */

/* host.c */
void print_host(void);
double seconds_now(void);

/* state.c: the state of the processor */
double measured_clock(void); /* [Hz], by a chain of instructions that take a cycle each */
double fused_ratio(void);    /* cycles of a fused multiply-add: 4 to 10 on a core, dozens emulated */
void settle_clock(void);      /* works until a clock that was lowered while idle is up again */
void print_state(void);      /* clock and temperature, as one JSON object */
int bind_to(const int *cores, int count);
void print_affinity(void);

/* team.c: threads; a barrier is passed by all of a team together */
enum { MAX_THREADS = 64, NARROW_SHARED = MAX_THREADS }; /* floats of shared memory, at its end */
void use_threads(int count, int apart); /* on the cores it is bound to; apart: one a core, or an error */
int threads_in_use(void);
void print_threads(void);          /* the cores that each is bound to */
void wait_for_all(struct team team);
void run_together(void (*work)(const struct network *, double *, struct team), const struct network *net,
                  double *seconds);

/* What a thread does of `count` pieces: from `begin` up to `end`. */
struct range {
  int begin, end;
};
static inline struct range share_of(size_t count, struct team team) {
  return (struct range){(int)(count * (size_t)team.index / (size_t)team.count),
                        (int)(count * (size_t)(team.index + 1) / (size_t)team.count)};
}

/* main.c */
void run_pass(const struct network *net);
double run_once(const struct network *net, double *seconds);
void check_finite(const struct network *net);
void print_dumps(const struct network *net);

/* serve.c: the program as a server of commands, which ends with its standard input */
int serve(void);

/* state.c: the number in a file whose name holds a number, -1 if there is none */
long read_number(const char *format, int number);

/* shapes.c */
static inline size_t elements(const struct tensor *t) {
  return (size_t)t->n * t->c * t->h * t->w;
}
static inline struct tensor *input(const struct network *net, const struct operator *op, int i) {
  return &net->tensors[op->inputs[i]];
}
static inline struct tensor *output(const struct network *net, const struct operator *op, int i) {
  return &net->tensors[op->outputs[i]];
}
static inline float *own_scratch(const struct network *net, struct team team) {
  return net->scratch + net->shared + (size_t)team.index * net->own;
}
int window_extent(int extent, int kernel, int stride, int pads, int dilation);
int depth_extent(const struct operator *op); /* planes an output channel */
void expect_shape(const struct operator *op, const struct tensor *t, int n, int c, int h, int w);
void expect_same_shape(const struct operator *op, const struct tensor *a, const struct tensor *b);
void expect_window(const struct network *net, const struct operator *op, int channels);

/* marks around each timed operator, found by name by the instruction counter */
void roi_begin(void);
void roi_end(void);

#endif
