/* Errors and memory: every failure is one JSON object on standard output and an exit code. */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void print_json_string(const char *text) {
  putchar('"');
  for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
    if (*p == '"' || *p == '\\')
      printf("\\%c", *p);
    else if (*p < 0x20 || *p >= 0x7f)
      printf("\\u%04x", *p);
    else
      putchar(*p);
  }
  putchar('"');
}

void fail(int code, int line, const char *format, ...) {
  char message[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  printf("{\"error\": ");
  print_json_string(message);
  printf(", \"code\": %d", code);
  if (line > 0)
    printf(", \"line\": %d", line);
  printf("}\n");
  fflush(stdout);
  exit(code);
}

float *allocate_floats(size_t count) {
  size_t bytes = (count * sizeof(float) + 64 + 63) / 64 * 64; /* room for one vector read too many */
  float *memory = aligned_alloc(64, bytes);
  if (!memory)
    fail(EXIT_NO_MEMORY, 0, "no memory for %zu bytes", bytes);
  memset(memory, 0, bytes);
  return memory;
}
