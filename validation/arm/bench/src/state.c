/* The state of the processor: its real clock, its temperature, the cores this program is bound to. */
#include "bench.h"

#include <arm_neon.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { TRIES = 5, ROUNDS = 400, CHAIN = 100, ZONES = 64 };

#define SETTLED 0.97
#define LONGEST_RAMP 0.2 /* [s] */

#define REPEAT100(text) ".rept 100\n\t" text "\n\t.endr\n\t"

static double shorter(double best, double begin) {
  double seconds = seconds_now() - begin;
  return seconds > 0 && seconds < best ? seconds : best;
}

/* Additions that wait for one another take a cycle each on every core. The files of cpufreq tell what
 * was asked for; the firmware of some boards runs slower without a word. */
double measured_clock(void) {
  double best = 1;
  for (int i = 0; i < TRIES; i++) {
    double begin = seconds_now();
    long left = ROUNDS, sum = 0;
    __asm__ volatile("1:\n\t" REPEAT100("add %0, %0, #1") "subs %1, %1, #1\n\tb.ne 1b"
                     : "+r"(sum), "+r"(left)
                     :
                     : "cc");
    best = shorter(best, begin);
  }
  return ROUNDS * CHAIN / best;
}

void settle_clock(void) {
  static double fastest;
  double begin = seconds_now(), now;
  do {
    now = measured_clock();
    fastest = now > fastest ? now : fastest;
  } while (now < SETTLED * fastest && seconds_now() - begin < LONGEST_RAMP);
}

double fused_ratio(void) {
  double best = 1;
  for (int i = 0; i < TRIES; i++) {
    double begin = seconds_now();
    long left = ROUNDS / 4;
    float32x4_t sum = vdupq_n_f32(0.5f), factor = vdupq_n_f32(0.25f);
    __asm__ volatile("1:\n\t" REPEAT100("fmla %0.4s, %0.4s, %2.4s") "subs %1, %1, #1\n\t"
                     "fmul %0.4s, %2.4s, %2.4s\n\tb.ne 1b"
                     : "+w"(sum), "+r"(left)
                     : "w"(factor)
                     : "cc");
    best = shorter(best, begin);
  }
  return best * measured_clock() / (ROUNDS / 4 * CHAIN);
}

long read_number(const char *format, int number) {
  char path[128];
  long value = -1;
  snprintf(path, sizeof path, format, number);
  FILE *file = fopen(path, "r");
  if (!file)
    return -1;
  if (fscanf(file, "%ld", &value) != 1)
    value = -1;
  fclose(file);
  return value;
}

void print_state(void) {
  long hottest = -1;
  for (int i = 0; i < ZONES; i++) {
    long now = read_number("/sys/class/thermal/thermal_zone%d/temp", i);
    if (now > hottest && now < 200000)
      hottest = now;
  }
  int cpu = sched_getcpu();
  printf("{\"hertz\": %.6g, \"core\": %d, \"khz\": %ld, \"millicelsius\": %ld}", measured_clock(), cpu,
         read_number("/sys/devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", cpu), hottest);
}

int bind_to(const int *cores, int count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = 0; i < count; i++)
    CPU_SET(cores[i], &set);
  return sched_setaffinity(0, sizeof set, &set);
}

void print_affinity(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  printf("[");
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0, first = 1; i < CPU_SETSIZE; i++)
      if (CPU_ISSET(i, &set)) {
        printf("%s%d", first ? "" : ", ", i);
        first = 0;
      }
  printf("]");
}
