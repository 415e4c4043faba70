/* Errors: every failure is one JSON object on standard output and an exit code. */
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

sigjmp_buf *served;

void begin_reply(void) {
  if (served)
    printf("\n@costmodel ");
}

void fail(int code, int line, const char *format, ...) {
  char message[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  begin_reply();
  printf("{\"error\": ");
  print_json_string(message);
  printf(", \"code\": %d", code);
  if (line > 0)
    printf(", \"line\": %d", line);
  printf("}\n");
  fflush(stdout);
  if (served)
    siglongjmp(*served, 1);
  exit(code);
}
