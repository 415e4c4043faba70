/* Whether an emulator runs this program. Nothing here can be proof against one that is made to
 * deceive; what gives ordinary ones away is looked at, most certain first. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ELF_MACHINE_AT = 18, ELF_AARCH64 = 183 };

/* On cores the multiply-add takes 4 (A76) to 10 (A57) times as long as an addition; emulators that
 * translate additions one to one calculate it in software, 15 to 200 times as long. */
#define MOST_FUSED 14.0

static const char *read_link(const char *path, char *target, size_t size) {
  ssize_t length = readlink(path, target, size - 1);
  target[length > 0 ? length : 0] = 0;
  return length > 0 ? target : NULL;
}

static int is_known(const char *name) {
  static const char *const known[] = {"qemu", "unicorn", "FEX", "valgrind", "box64", "houdini",
                                      "ndk_translation"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strstr(name, known[i]))
      return 1;
  return 0;
}

/* qemu-user answers /proc/self/exe itself but not /proc/thread-self/exe, which is the emulator, under
 * whatever name (seen with qemu 5.2, 7.2 and 10.0). */
static const char *by_program(void) {
  static char thread[512], own[512];
  const char *path = read_link("/proc/thread-self/exe", thread, sizeof thread);
  if (!path)
    return NULL;
  const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
  if (is_known(name) || (read_link("/proc/self/exe", own, sizeof own) && strcmp(own, thread) != 0))
    return name;
  unsigned char head[20] = {0};
  FILE *file = fopen("/proc/thread-self/exe", "rb");
  if (!file)
    return NULL;
  size_t count = fread(head, 1, sizeof head, file);
  fclose(file);
  if (count == sizeof head && head[ELF_MACHINE_AT] + 256 * head[ELF_MACHINE_AT + 1] != ELF_AARCH64)
    return name; /* what the system runs is no program for this processor */
  return NULL;
}

/* The first line of a file, or of its first string, that has one of the words; or null. */
static const char *line_with(const char *path, const char *const words[]) {
  static char line[256];
  FILE *file = fopen(path, "r");
  if (!file)
    return NULL;
  const char *found = NULL;
  while (!found && fgets(line, sizeof line, file)) {
    line[strcspn(line, "\n")] = 0;
    for (int i = 0; words[i] && !found; i++)
      if (strstr(line, words[i]))
        found = line;
  }
  fclose(file);
  return found;
}

static const char *by_processor(void) {
  static const char *const others[] = {"vendor_id", "GenuineIntel", "AuthenticAMD", "uarch", NULL};
  const char *line = line_with("/proc/self/comm", (const char *const[]){"qemu", "unicorn", NULL});
  return line ? line : line_with("/proc/cpuinfo", others);
}

const char *emulator(void) {
  static const char *found;
  static char words[96];
  static int known;
  if (known++)
    return found;
  if (!(found = by_program()) && !(found = by_processor())) {
    double ratio = fused_ratio();
    if (ratio > MOST_FUSED) {
      snprintf(words, sizeof words, "(a multiply-add takes as long as %.0f additions)", ratio);
      found = words;
    }
  }
  return found;
}

const char *unverified(void) {
  static const char *const machines[] = {"QEMU",       "linux,dummy-virt", "Android Virtual",
                                         "VirtualBox", "goldfish",         "ranchu", NULL};
  static const char *const places[] = {"/sys/class/dmi/id/sys_vendor",
                                       "/sys/class/dmi/id/product_name",
                                       "/proc/device-tree/compatible", "/proc/device-tree/model"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (line_with(places[i], machines))
      return "the machine is a virtual one";
  if (access("/proc/cpuinfo", R_OK) != 0)
    return "/proc/cpuinfo cannot be read";
  if (!line_with("/proc/cpuinfo", (const char *const[]){"CPU part", NULL}))
    return "/proc/cpuinfo names no part";
  return NULL;
}
