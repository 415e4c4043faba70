/* The program as a server: commands on standard input, a line "@costmodel {JSON}" for each.
 *
 *   host                                        what machine this is
 *   pin CORE [CORE ...]                         bind to cores; tells which it is bound to
 *   threads COUNT                               as many, each bound to a core of its own; tells to which;
 *                                               before the first network
 *   network                                     the lines of a specification follow, then `end`;
 *                                               the network is prepared and run once
 *   turn NETWORK repeat=R min=M us=U cold=0|1   at least M samples and U microseconds of R passes
 *   detail NETWORK min=M us=U                   the same, a sample of every operator in every pass
 *   dump NETWORK TENSOR [TENSOR ...]            the values of tensors
 *   drop NETWORK                                give its memory back
 *
 * It ends as soon as standard input closes, in the middle of a pass too: whoever asked is gone, and a
 * program that runs on would slow the next measurement. */
#include "bench.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MAX_NETWORKS = 256, MAX_SAMPLES = 4096, FLUSHED = 96 << 20, MAX_CORES = 1024 };

static struct network *networks[MAX_NETWORKS];
static int n_networks;
static char text[MAX_LINE];

static void *watch_input(void *unused) {
  struct pollfd input = {.fd = 0, .events = POLLRDHUP};
  for (;;)
    if (poll(&input, 1, -1) > 0 && input.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL))
      _exit(0);
  return unused;
}

static double thread_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static long switches(void) {
  struct rusage usage;
  return getrusage(threads_in_use() > 1 ? RUSAGE_SELF : RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

static volatile char *filler;

/* Each thread reads all of it: the caches of its core may be its own. */
static void read_filler(const struct network *net, double *seconds, struct team team) {
  (void)net, (void)seconds, (void)team;
  for (size_t i = 0; i < FLUSHED; i += 64)
    (void)filler[i];
}

/* Other data take the place of the network's in all caches. */
static void flush_caches(const struct network *net) {
  if (!filler) {
    char *made = malloc(FLUSHED);
    if (!made)
      fail(EXIT_NO_MEMORY, 0, "no memory to flush the caches with");
    memset(made, 1, FLUSHED); /* what was never written is one page for all */
    filler = made;
  }
  run_together(read_filler, net, NULL);
}

static struct network *find_network(char **rest) {
  int number = parse_int(0, "the network's number", need_word(0, "the network's number", rest), 0,
                         n_networks - 1);
  if (!networks[number])
    fail(EXIT_BAD_SPEC, 0, "network %d was dropped", number);
  return networks[number];
}

static void drop(struct network *net) {
  release_memory(net);
  free(net->tensors);
  free(net->operators);
  free(net->dumps);
  free(net);
}

static void read_one(void) {
  if (n_networks == MAX_NETWORKS)
    fail(EXIT_NO_MEMORY, 0, "more than %d networks", MAX_NETWORKS);
  struct network *net = calloc(1, sizeof *net);
  if (!net)
    fail(EXIT_NO_MEMORY, 0, "no memory for the tables");
  sigjmp_buf *outer = served, here;
  volatile int line = 0, ended = 0;
  if (sigsetjmp(here, 1)) { /* what is left of the specification is not taken for commands */
    while (!ended && fgets(text, sizeof text, stdin))
      ended = strcmp(text, "end\n") == 0;
    drop(net);
    served = outer;
    siglongjmp(*served, 2);
  }
  served = &here;
  begin_network(net);
  while (fgets(text, sizeof text, stdin)) {
    line++;
    if ((ended = strcmp(text, "end\n") == 0))
      break;
    read_line(net, line, text);
  }
  finish_network(net, line);
  run_pass(net);
  check_finite(net);
  served = outer;
  networks[n_networks++] = net;
  begin_reply();
  printf("{\"network\": %d}\n", n_networks - 1);
}

struct turn {
  int repeat, min, us, cold;
};

static struct turn read_turn(char **rest) {
  struct turn turn = {1, 1, 0, 0};
  for (char *word; (word = next_word(rest));) {
    char *value = split_pair(0, word);
    if (strcmp(word, "repeat") == 0)
      turn.repeat = parse_int(0, word, value, 1, 1 << 20);
    else if (strcmp(word, "min") == 0)
      turn.min = parse_int(0, word, value, 1, MAX_SAMPLES);
    else if (strcmp(word, "us") == 0)
      turn.us = parse_int(0, word, value, 0, 600000000);
    else if (strcmp(word, "cold") == 0)
      turn.cold = parse_int(0, word, value, 0, 1);
    else
      fail(EXIT_BAD_SPEC, 0, "a turn has no field '%.60s'; it takes repeat, min, us and cold", word);
  }
  return turn;
}

static void print_sample(int first, double seconds, double own, int disturbed) {
  printf("%s[%.9g, %.9g, %d]", first ? "" : ", ", seconds, own, disturbed);
}

static void run_turn(char **rest) {
  struct network *net = find_network(rest);
  struct turn turn = read_turn(rest);
  static struct sample {
    double seconds, own;
    int disturbed;
  } samples[MAX_SAMPLES];
  if (!turn.cold)
    run_pass(net); /* what other networks left in the caches goes */
  settle_clock();
  begin_reply();
  printf("{\"before\": ");
  print_state();
  double begin = seconds_now();
  int count = 0;
  do {
    if (turn.cold)
      flush_caches(net);
    long before = switches();
    double own = thread_seconds(), start = seconds_now();
    for (int i = 0; i < turn.repeat; i++)
      run_pass(net);
    samples[count].seconds = seconds_now() - start;
    samples[count].own = thread_seconds() - own;
    samples[count].disturbed = switches() != before;
    count++;
  } while (count < MAX_SAMPLES && (count < turn.min || (seconds_now() - begin) * 1e6 < turn.us));
  printf(", \"after\": ");
  print_state();
  printf(", \"samples\": [");
  for (int i = 0; i < count; i++)
    print_sample(i == 0, samples[i].seconds / turn.repeat, samples[i].own / turn.repeat,
                 samples[i].disturbed);
  printf("]}\n");
}

static void run_detail(char **rest) {
  struct network *net = find_network(rest);
  struct turn turn = read_turn(rest);
  size_t width = (size_t)net->n_operators;
  double *seconds = malloc(width * MAX_SAMPLES * sizeof *seconds);
  if (!seconds)
    fail(EXIT_NO_MEMORY, 0, "no memory for the times of operators");
  double begin = seconds_now();
  int count = 0;
  do {
    run_once(net, seconds + (size_t)count * width);
    count++;
  } while (count < MAX_SAMPLES && (count < turn.min || (seconds_now() - begin) * 1e6 < turn.us));
  begin_reply();
  printf("{\"operators\": [");
  for (size_t op = 0; op < width; op++) {
    printf("%s[", op ? ", " : "");
    for (int i = 0; i < count; i++)
      printf("%s%.9g", i ? ", " : "", seconds[(size_t)i * width + op]);
    printf("]");
  }
  printf("]}\n");
  free(seconds);
}

static void run_dump(char **rest) {
  struct network *net = find_network(rest);
  net->n_dumps = 0;
  for (char *word; (word = next_word(rest));) {
    int id = parse_int(0, "a tensor's number", word, 0, MAX_TENSORS - 1);
    if (!net->tensors[id].declared || net->n_dumps == MAX_TENSORS)
      fail(EXIT_BAD_SPEC, 0, "tensor %d is not declared", id);
    net->dumps[net->n_dumps++] = id;
  }
  begin_reply();
  printf("{");
  print_dumps(net);
  printf("}\n");
}

static void run_pin(char **rest) {
  int cores[MAX_CORES], count = 0;
  for (char *word; count < MAX_CORES && (word = next_word(rest));)
    cores[count++] = parse_int(0, "a core", word, 0, MAX_CORES - 1);
  if (count && bind_to(cores, count) != 0)
    fail(EXIT_BAD_SPEC, 0, "this program cannot be bound to these cores: %s", strerror(errno));
  begin_reply();
  printf("{\"cores\": ");
  print_affinity();
  printf("}\n");
}

static void run_threads(char **rest) {
  int wanted = parse_int(0, "threads", need_word(0, "the number of threads", rest), 1, MAX_THREADS);
  if (n_networks)
    fail(EXIT_BAD_SPEC, 0, "threads come before the first network");
  use_threads(wanted, 1);
  begin_reply();
  printf("{\"threads\": ");
  print_threads();
  printf("}\n");
}

static void run_command(char *line) {
  char *rest, *word = strtok_r(line, " \t\r\n", &rest);
  if (!word)
    return;
  if (strcmp(word, "host") == 0) {
    begin_reply();
    printf("{");
    print_host();
    printf(", \"fused_ratio\": %.3g, \"state\": ", fused_ratio());
    print_state();
    printf("}\n");
  } else if (strcmp(word, "pin") == 0) {
    run_pin(&rest);
  } else if (strcmp(word, "threads") == 0) {
    run_threads(&rest);
  } else if (strcmp(word, "network") == 0) {
    read_one();
  } else if (strcmp(word, "turn") == 0) {
    run_turn(&rest);
  } else if (strcmp(word, "detail") == 0) {
    run_detail(&rest);
  } else if (strcmp(word, "dump") == 0) {
    run_dump(&rest);
  } else if (strcmp(word, "drop") == 0) {
    struct network *net = find_network(&rest);
    for (int i = 0; i < n_networks; i++)
      networks[i] = networks[i] == net ? NULL : networks[i];
    drop(net);
    begin_reply();
    printf("{}\n");
  } else {
    fail(EXIT_BAD_SPEC, 0, "no command is called '%.60s'", word);
  }
}

int serve(void) {
  static sigjmp_buf back;
  pthread_t watcher;
  if (pthread_create(&watcher, NULL, watch_input, NULL) != 0)
    fail(EXIT_NO_MEMORY, 0, "no memory for a second thread");
  served = &back;
  if (sigsetjmp(back, 1) != 0)
    own_memory(NULL);
  while (fgets(text, sizeof text, stdin)) {
    run_command(text);
    if (fflush(stdout) != 0)
      return EXIT_NO_OUTPUT;
  }
  return 0;
}
