/* What the binary can say of the machine under it: emulator or not, clock, processor. */
#include "bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* qemu-user answers /proc/self/exe itself but not /proc/thread-self/exe, which names the emulator
 * (seen with qemu 5.2, 7.2 and 10.0).  /proc/cpuinfo and MIDR are no use: qemu fakes them. */
const char *emulator(void) {
  static char path[512];
  ssize_t length = readlink("/proc/thread-self/exe", path, sizeof path - 1);
  if (length > 0) {
    path[length] = 0;
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    if (strstr(name, "qemu") || strstr(name, "unicorn") || strstr(name, "FEX") ||
        strstr(name, "valgrind"))
      return name;
  }
  static char comm[64];
  FILE *file = fopen("/proc/self/comm", "r");
  if (file) {
    char *read = fgets(comm, sizeof comm, file);
    fclose(file);
    if (read) {
      comm[strcspn(comm, "\n")] = 0;
      if (strstr(comm, "qemu"))
        return comm;
    }
  }
  return NULL;
}

double seconds_now(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
    fail(EXIT_BAD_CLOCK, 0, "the monotonic clock cannot be read");
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void print_file_line(const char *key, const char *path) {
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

static void print_cpuinfo(void) {
  static const char *const keys[] = {"CPU implementer", "CPU part", "CPU variant", "Hardware"};
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[512];
  int seen[4] = {0};
  if (!file)
    return;
  while (fgets(line, sizeof line, file)) {
    for (int i = 0; i < 4; i++) {
      size_t length = strlen(keys[i]);
      char *colon = strchr(line, ':');
      if (seen[i] || !colon || strncmp(line, keys[i], length) != 0)
        continue;
      seen[i] = 1;
      line[strcspn(line, "\n")] = 0;
      printf(", \"%s\": ", keys[i]);
      print_json_string(colon + 1 + strspn(colon + 1, " "));
    }
  }
  fclose(file);
}

void print_host(void) {
  struct utsname system;
  const char *under = emulator();
  printf("\"host\": {\"emulator\": ");
  if (under)
    print_json_string(under);
  else
    printf("null");
  if (uname(&system) == 0) {
    printf(", \"machine\": ");
    print_json_string(system.machine);
    printf(", \"kernel\": ");
    print_json_string(system.release);
  }
  printf(", \"processors\": %ld", sysconf(_SC_NPROCESSORS_ONLN));
  printf(", \"compiler\": ");
  print_json_string(__VERSION__);
  if (!under) { /* under an emulator these describe nothing */
    print_cpuinfo();
    print_file_line("governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    print_file_line("max_khz", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq");
    print_file_line("temperature_millicelsius", "/sys/class/thermal/thermal_zone0/temp");
  }
  print_file_line("load", "/proc/loadavg");
  printf("}");
}
