/* Reads a network, runs it, times each operator, prints one JSON document. */
#include "bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The counter looks for these two by name; the empty asm keeps calls and order as written. */
__attribute__((noinline)) void roi_begin(void) { __asm__ volatile("" ::: "memory"); }
__attribute__((noinline)) void roi_end(void) { __asm__ volatile("" ::: "memory"); }

static double interval(double begin, double end) {
  if (!(end >= begin))
    fail(EXIT_BAD_CLOCK, 0, "the monotonic clock went back by %.9f s; nothing is reported",
         begin - end);
  return end - begin;
}

static void pass_untimed(const struct network *net, double *seconds, struct team team) {
  (void)seconds;
  for (int i = 0; i < net->n_operators; i++) {
    net->operators[i].kernel->run(net, &net->operators[i], team);
    wait_for_all(team);
  }
}

static void pass_timed(const struct network *net, double *seconds, struct team team) {
  if (team.index) { /* the first thread has the clock */
    pass_untimed(net, NULL, team);
    return;
  }
  for (int i = 0; i < net->n_operators; i++) {
    const struct operator *op = &net->operators[i];
    double begin = seconds_now();
    roi_begin();
    op->kernel->run(net, op, team);
    wait_for_all(team);
    roi_end();
    seconds[i] = interval(begin, seconds_now());
  }
}

/* One pass over the network, for times of the whole. */
void run_pass(const struct network *net) { run_together(pass_untimed, net, NULL); }

/* One pass over the network; writes each operator's seconds and returns the sum. */
double run_once(const struct network *net, double *seconds) {
  double total = 0;
  run_together(pass_timed, net, seconds);
  for (int i = 0; i < net->n_operators; i++)
    total += seconds[i];
  return total;
}

void check_finite(const struct network *net) {
  for (int i = 0; i < net->n_operators; i++) {
    const struct operator *op = &net->operators[i];
    for (int j = 0; j < op->n_outputs; j++) {
      const struct tensor *t = output(net, op, j);
      for (size_t e = 0; e < elements(t); e++)
        if (!isfinite(t->data[e]))
          fail(EXIT_NOT_FINITE, op->line, "%s wrote a value that is not finite (%f, element %zu of tensor %d)",
               op->kernel->name, (double)t->data[e], e, op->outputs[j]);
    }
  }
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_statistics(double *sample, int count) {
  qsort(sample, (size_t)count, sizeof *sample, compare);
  double median = 0.5 * (sample[(count - 1) / 2] + sample[count / 2]);
  printf("{\"median\": %.9g, \"min\": %.9g, \"max\": %.9g, \"repeats\": %d}", median, sample[0],
         sample[count - 1], count);
}

/* Under an emulator wall time says nothing of an ARM core, and its key says so. */
static void print_times(const struct network *net, double *times, double *sums, int passes) {
  const char *key = emulator() ? "emulator_seconds" : "seconds";
  double *sample = calloc((size_t)passes, sizeof *sample);
  if (!sample)
    fail(EXIT_NO_MEMORY, 0, "no memory for %d repeats", passes);
  printf("\"%s\": ", key);
  print_statistics(sums, passes);
  printf(",\n\"operators\": [");
  for (int i = 0; i < net->n_operators; i++) {
    for (int p = 0; p < passes; p++)
      sample[p] = times[(size_t)p * net->n_operators + i];
    printf("%s\n  {\"kernel\": \"%s\", \"line\": %d, \"%s\": ", i ? "," : "",
           net->operators[i].kernel->name, net->operators[i].line, key);
    print_statistics(sample, passes);
    printf("}");
  }
  printf("]");
  free(sample);
}

static void print_base64(const unsigned char *bytes, size_t count) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < count; i += 3) {
    size_t left = count - i;
    uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                    (left > 2 ? bytes[i + 2] : 0);
    char four[4] = {digits[word >> 18], digits[word >> 12 & 63],
                    left > 1 ? digits[word >> 6 & 63] : '=', left > 2 ? digits[word & 63] : '='};
    fwrite(four, 1, 4, stdout);
  }
}

void print_dumps(const struct network *net) {
  printf("\"tensors\": {");
  for (int i = 0; i < net->n_dumps; i++) {
    const struct tensor *t = &net->tensors[net->dumps[i]];
    printf("%s\"%d\": {\"shape\": [%d, %d, %d, %d], \"base64\": \"", i ? "," : "", net->dumps[i],
           t->n, t->c, t->h, t->w);
    print_base64((const unsigned char *)t->data, elements(t) * sizeof(float));
    printf("\"}");
  }
  printf("}");
}

int main(void) {
  static struct network network;
  read_network(&network);
  size_t count = (size_t)network.n_operators;
  double *times = calloc(count * (size_t)network.repeats, sizeof *times);
  double *sums = calloc((size_t)network.repeats, sizeof *sums);
  if (!times || !sums)
    fail(EXIT_NO_MEMORY, 0, "no memory for %d repeats of %zu operators", network.repeats, count);
  for (int i = 0; i < network.warmup; i++)
    run_once(&network, times);
  double begin = seconds_now();
  int passes = 0;
  do {
    sums[passes] = run_once(&network, times + (size_t)passes * count);
    passes++;
  } while (passes < network.repeats &&
           interval(begin, seconds_now()) * 1000 < network.budget_ms);
  check_finite(&network);
  printf("{\"label\": \"%s\", \"threads\": ", emulator() ? "emulated" : "measured");
  print_threads();
  printf(",\n");
  print_host();
  printf(",\n");
  print_times(&network, times, sums, passes);
  printf(",\n");
  print_dumps(&network);
  printf("}\n");
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "the result cannot be written to standard output\n");
    return EXIT_NO_OUTPUT;
  }
  return 0;
}
