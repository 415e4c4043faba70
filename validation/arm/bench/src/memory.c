/* Memory of networks: all of one is given back at once, also where reading it fails half way. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static struct allocation {
  float *memory;
  const struct network *owner;
} *allocations;
static size_t used, room;
static const struct network *owner_now;

void own_memory(const struct network *owner) { owner_now = owner; }

float *allocate_floats(size_t count) {
  size_t bytes = (count * sizeof(float) + 64 + 63) / 64 * 64; /* room for one vector read too many */
  if (used == room) {
    size_t wanted = room ? 2 * room : 1024;
    struct allocation *more = realloc(allocations, wanted * sizeof *more);
    if (!more)
      fail(EXIT_NO_MEMORY, 0, "no memory for the tables");
    allocations = more;
    room = wanted;
  }
  float *memory = aligned_alloc(64, bytes);
  if (!memory)
    fail(EXIT_NO_MEMORY, 0, "no memory for %zu bytes", bytes);
  memset(memory, 0, bytes);
  allocations[used++] = (struct allocation){memory, owner_now};
  return memory;
}

static void release_at(size_t i) {
  free(allocations[i].memory);
  allocations[i] = allocations[--used];
}

void release_floats(float *memory) {
  for (size_t i = used; i-- > 0;)
    if (allocations[i].memory == memory) {
      release_at(i);
      return;
    }
}

void release_memory(const struct network *owner) {
  for (size_t i = used; i-- > 0;)
    if (allocations[i].owner == owner)
      release_at(i);
}
