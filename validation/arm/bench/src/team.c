/* Threads that run each operator together. They are made once, and wait for a pass in between: first
 * awake, so that a pass begins at once, then asleep, so that they do not heat the processor. */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

enum { AWAKE = 20000, PATIENT = 2000 }; /* looks at a counter */

static pthread_t threads[MAX_THREADS];
static int count = 1;
static atomic_int passes, arrived, phase;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER;
static struct {
  void (*work)(const struct network *, double *, struct team);
  const struct network *net;
} job;

static inline void pause_core(void) { __asm__ volatile("yield" ::: "memory"); }

void wait_for_all(struct team team) {
  if (team.count == 1)
    return;
  int now = atomic_load(&phase);
  if (atomic_fetch_add(&arrived, 1) == team.count - 1) {
    atomic_store(&arrived, 0);
    atomic_fetch_add(&phase, 1);
    return;
  }
  for (int looks = 0; atomic_load(&phase) == now; looks++)
    if (looks < PATIENT)
      pause_core();
    else
      sched_yield(); /* fewer cores than threads: another one has to get on */
}

static void wait_for_pass(int seen) {
  for (int looks = 0; looks < AWAKE; looks++) {
    if (atomic_load(&passes) != seen)
      return;
    pause_core();
  }
  pthread_mutex_lock(&lock);
  while (atomic_load(&passes) == seen)
    pthread_cond_wait(&begun, &lock);
  pthread_mutex_unlock(&lock);
}

static void *work(void *index) {
  struct team team = {(int)(intptr_t)index, count};
  for (int seen = 0;; seen++) {
    wait_for_pass(seen);
    job.work(job.net, NULL, team);
    wait_for_all(team);
  }
  return NULL;
}

int threads_in_use(void) { return count; }

void use_threads(int wanted, int apart) {
  cpu_set_t all;
  int cores[MAX_THREADS], found = 0;
  if (count != 1)
    fail(EXIT_BAD_SPEC, 0, "the program has %d threads already", count);
  if (sched_getaffinity(0, sizeof all, &all) == 0)
    for (int i = 0; i < CPU_SETSIZE && found < MAX_THREADS; i++)
      if (CPU_ISSET(i, &all))
        cores[found++] = i;
  if (!found || (apart && wanted > found))
    fail(EXIT_BAD_SPEC, 0, "%d threads are asked for, but the program may use %d cores", wanted, found);
  if (wanted == 1)
    return;
  threads[0] = pthread_self();
  count = wanted;
  for (int i = 0; i < wanted; i++) {
    if (i && pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i) != 0)
      fail(EXIT_NO_MEMORY, 0, "no memory for %d threads", wanted);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cores[i % found], &one);
    if (pthread_setaffinity_np(threads[i], sizeof one, &one) != 0)
      fail(EXIT_BAD_SPEC, 0, "a thread cannot be bound to core %d", cores[i]);
  }
}

void print_threads(void) {
  printf("[");
  for (int i = 0; i < count; i++) {
    cpu_set_t set;
    int first = 1;
    printf("%s[", i ? ", " : "");
    if (pthread_getaffinity_np(i ? threads[i] : pthread_self(), sizeof set, &set) == 0)
      for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &set)) {
          printf("%s%d", first ? "" : ", ", core);
          first = 0;
        }
    printf("]");
  }
  printf("]");
}

void run_together(void (*pass)(const struct network *, double *, struct team), const struct network *net,
                  double *seconds) {
  struct team team = {0, count};
  if (count > 1) {
    job.work = pass;
    job.net = net;
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&passes, 1);
    pthread_cond_broadcast(&begun);
    pthread_mutex_unlock(&lock);
  }
  pass(net, seconds, team);
  wait_for_all(team);
}
