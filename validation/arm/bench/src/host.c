/* What the binary can say of the machine under it: its processors, their clocks, its system. */
#include "narrow.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

double seconds_now(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
    fail(EXIT_BAD_CLOCK, 0, "the monotonic clock cannot be read");
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void print_file_line(const char *key, const char *path) {
  FILE *file = fopen(path, "r");
  char line[256];
  if (!file)
    return;
  if (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    printf(", \"%s\": ", key);
    print_json_string(line);
  }
  fclose(file);
}

/* The value behind "key : value" of /proc/cpuinfo in `line`, or null. */
static char *value_of(char *line, const char *key) {
  char *colon = strchr(line, ':');
  if (!colon || strncmp(line, key, strlen(key)) != 0)
    return NULL;
  line[strcspn(line, "\n")] = 0;
  return colon + 1 + strspn(colon + 1, " ");
}

static void print_core(int cpu, const char *implementer, const char *part, int *first) {
  char path[128];
  if (cpu < 0)
    return;
  printf("%s{\"cpu\": %d, \"part\": ", *first ? "" : ", ", cpu);
  *first = 0;
  snprintf(path, sizeof path, "arm:%s:%s", implementer, part);
  print_json_string(path);
  printf(", \"max_khz\": %ld",
         read_number("/sys/devices/system/cpu/cpu%d/cpufreq/cpuinfo_max_freq", cpu));
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu);
  print_file_line("governor", path);
  printf("}");
}

static void print_cores(void) {
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[512], implementer[16] = "?", part[16] = "?";
  int cpu = -1, first = 1;
  printf(", \"cores\": [");
  while (file && fgets(line, sizeof line, file)) {
    char *value;
    if ((value = value_of(line, "processor"))) {
      print_core(cpu, implementer, part, &first);
      if (sscanf(value, "%d", &cpu) != 1)
        cpu = -1;
    } else if ((value = value_of(line, "CPU implementer"))) {
      snprintf(implementer, sizeof implementer, "%s", value);
    } else if ((value = value_of(line, "CPU part"))) {
      snprintf(part, sizeof part, "%s", value);
    }
  }
  print_core(cpu, implementer, part, &first);
  if (file)
    fclose(file);
  printf("]");
}

void print_host(void) {
  struct utsname system;
  const char *under = emulator(), *doubt = unverified();
  printf("\"host\": {\"emulator\": ");
  if (under)
    print_json_string(under);
  else
    printf("null");
  if (doubt) {
    printf(", \"unverified\": ");
    print_json_string(doubt);
  }
  if (uname(&system) == 0) {
    printf(", \"machine\": ");
    print_json_string(system.machine);
    printf(", \"kernel\": ");
    print_json_string(system.release);
  }
  printf(", \"half\": \"%s\", \"int8\": \"%s\"", narrow_instructions(DTYPE_F16), narrow_instructions(DTYPE_I8));
  printf(", \"processors\": %ld", sysconf(_SC_NPROCESSORS_ONLN));
  printf(", \"compiler\": ");
  print_json_string(__VERSION__);
  if (!under) /* under an emulator these describe nothing */
    print_cores();
  print_file_line("load", "/proc/loadavg");
  printf("}");
}
