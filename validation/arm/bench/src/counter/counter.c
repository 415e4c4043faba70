/* Counts what the emulated program does, operator by operator; runs on the host, called by unicorn.
 *
 * Between roi_begin and roi_end each basic block's executions and each memory access are counted, and
 * the accesses go through a two-level cache model: set associative, least recently used, write back,
 * write allocate.  Misses that a prefetcher foresees are counted apart; they are misses all the same.
 * Nothing is counted elsewhere, and the caches keep their contents. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct cache_shape {
  uint32_t sets, ways, line_bits;
};

struct cache {
  struct cache_shape shape;
  uint64_t *tags;  /* line + 1; 0: empty */
  uint64_t *used;  /* when last touched */
  uint8_t *dirty;
};

enum { STREAMS = 16, PAGE_BITS = 12 };

struct stream { /* what a prefetcher remembers of a page */
  uint64_t page, line, used; /* page + 1; 0: empty */
  int64_t step;
};

struct totals { /* of one operator; Python reads this layout */
  uint64_t accesses_read, accesses_written, bytes_read, bytes_written;
  uint64_t l1_misses, l2_misses, l2_writebacks, l2_streamed;
  uint64_t first_block, n_blocks; /* its part of the list of blocks */
};

struct block {
  uint64_t address, executions;
  uint32_t bytes, padding;
};

struct counter {
  uint64_t begin, end, text, words;
  uint64_t time;
  int active, failed; /* failed: 1 two blocks at one address, 2 no memory, 3 code outside the text */
  struct cache l1, l2;
  struct stream streams[STREAMS];
  uint64_t *executions; /* by instruction word */
  uint32_t *bytes, *touched;
  uint64_t n_touched;
  struct totals current, *totals;
  uint64_t n_totals, room_totals;
  struct block *blocks;
  uint64_t n_blocks, room_blocks;
};

static int make_cache(struct cache *cache, struct cache_shape shape) {
  size_t lines = (size_t)shape.sets * shape.ways;
  cache->shape = shape;
  cache->tags = calloc(lines, sizeof *cache->tags);
  cache->used = calloc(lines, sizeof *cache->used);
  cache->dirty = calloc(lines, 1);
  return cache->tags && cache->used && cache->dirty;
}

static void free_cache(struct cache *cache) {
  free(cache->tags);
  free(cache->used);
  free(cache->dirty);
}

void counter_free(struct counter *c) {
  free_cache(&c->l1);
  free_cache(&c->l2);
  free(c->executions);
  free(c->bytes);
  free(c->touched);
  free(c->totals);
  free(c->blocks);
  free(c);
}

struct counter *counter_new(uint64_t begin, uint64_t end, uint64_t text, uint64_t words,
                            struct cache_shape l1, struct cache_shape l2) {
  struct counter *c = calloc(1, sizeof *c);
  if (!c)
    return NULL;
  c->begin = begin, c->end = end, c->text = text, c->words = words;
  c->executions = calloc(words, sizeof *c->executions);
  c->bytes = calloc(words, sizeof *c->bytes);
  c->touched = calloc(words, sizeof *c->touched);
  if (!make_cache(&c->l1, l1) || !make_cache(&c->l2, l2) || !c->executions || !c->bytes || !c->touched) {
    counter_free(c);
    return NULL;
  }
  return c;
}

/* Looks a line up and brings it in.  Returns 1 on a hit; else 0, and the line thrown out (+ 1, or 0
 * when none was or it was clean) in *evicted. */
static int touch(struct counter *c, struct cache *cache, uint64_t line, int write, uint64_t *evicted) {
  struct cache_shape s = cache->shape;
  size_t first = (size_t)(line % s.sets) * s.ways, victim = first;
  *evicted = 0;
  c->time++;
  for (size_t i = first; i < first + s.ways; i++) {
    if (cache->tags[i] == line + 1) {
      cache->used[i] = c->time;
      cache->dirty[i] |= (uint8_t)write;
      return 1;
    }
    if (cache->used[i] < cache->used[victim])
      victim = i;
  }
  if (cache->dirty[victim])
    *evicted = cache->tags[victim];
  cache->tags[victim] = line + 1;
  cache->used[victim] = c->time;
  cache->dirty[victim] = (uint8_t)write;
  return 0;
}

/* Whether a prefetcher asks for a line before the program does: the third and later lines of one page
 * at one distance, and of loads, which are followed by virtual address, the next page's as well. */
static int foreseen(struct counter *c, uint64_t line, int write) {
  uint64_t page = (line >> (PAGE_BITS - c->l1.shape.line_bits)) + 1;
  struct stream *oldest = c->streams, *found = NULL;
  for (struct stream *s = c->streams; s < c->streams + STREAMS; s++) {
    int continues = !write && s->page && s->step && s->line + (uint64_t)s->step == line;
    if (s->page == page || (!found && continues))
      found = s;
    if (s->used < oldest->used)
      oldest = s;
    if (s->page == page)
      break;
  }
  int64_t step = found ? (int64_t)(line - found->line) : 0;
  if (found && !step) { /* the same line again teaches nothing: the two ways of its set are contended */
    found->used = ++c->time;
    return 0;
  }
  int same = found && step == found->step;
  struct stream *at = found ? found : oldest;
  *at = (struct stream){page, line, ++c->time, step};
  return same;
}

static void access_line(struct counter *c, uint64_t line, int write) {
  uint64_t from_l1, from_l2;
  if (touch(c, &c->l1, line, write, &from_l1))
    return;
  c->current.l1_misses++;
  int streamed = foreseen(c, line, write);
  if (!touch(c, &c->l2, line, 0, &from_l2)) {
    c->current.l2_misses++;
    c->current.l2_streamed += (uint64_t)streamed;
    c->current.l2_writebacks += from_l2 != 0;
  }
  if (from_l1) { /* the dirty line goes down one level */
    touch(c, &c->l2, from_l1 - 1, 1, &from_l2);
    c->current.l2_writebacks += from_l2 != 0;
  }
}

/* unicorn's callback for memory accesses: type 16 reads, 17 writes */
void counter_memory(void *uc, int type, uint64_t address, int size, int64_t value, void *user) {
  struct counter *c = user;
  (void)uc, (void)value;
  if (!c->active)
    return;
  int write = type == 17;
  if (write) {
    c->current.accesses_written++;
    c->current.bytes_written += (uint64_t)size;
  } else {
    c->current.accesses_read++;
    c->current.bytes_read += (uint64_t)size;
  }
  uint64_t first = address >> c->l1.shape.line_bits;
  uint64_t last = (address + (uint64_t)size - 1) >> c->l1.shape.line_bits;
  for (uint64_t line = first; line <= last; line++)
    access_line(c, line, write);
}

static void *grow(void *list, uint64_t used, uint64_t *room, size_t size) {
  if (used < *room)
    return list;
  *room = *room ? 2 * *room : 1024;
  return realloc(list, *room * size);
}

static void close_operator(struct counter *c) {
  c->current.first_block = c->n_blocks;
  c->current.n_blocks = c->n_touched;
  for (uint64_t i = 0; i < c->n_touched; i++) {
    uint32_t word = c->touched[i];
    struct block *blocks = grow(c->blocks, c->n_blocks, &c->room_blocks, sizeof *blocks);
    if (!blocks) {
      c->failed = 2;
      return;
    }
    c->blocks = blocks;
    blocks[c->n_blocks++] =
        (struct block){c->text + 4 * (uint64_t)word, c->executions[word], c->bytes[word], 0};
    c->executions[word] = 0;
  }
  c->n_touched = 0;
  struct totals *totals = grow(c->totals, c->n_totals, &c->room_totals, sizeof *totals);
  if (!totals) {
    c->failed = 2;
    return;
  }
  c->totals = totals;
  totals[c->n_totals++] = c->current;
}

/* unicorn's callback for basic blocks */
void counter_block(void *uc, uint64_t address, uint32_t size, void *user) {
  struct counter *c = user;
  (void)uc;
  if (address == c->begin) {
    c->active = 1;
    memset(&c->current, 0, sizeof c->current);
    return;
  }
  if (!c->active)
    return;
  if (address == c->end) {
    c->active = 0;
    close_operator(c);
    return;
  }
  uint64_t word = (address - c->text) / 4;
  if (word >= c->words) {
    c->failed = 3;
    return;
  }
  if (c->executions[word]++ == 0) {
    c->touched[c->n_touched++] = (uint32_t)word;
    c->bytes[word] = size;
  } else if (c->bytes[word] != size) {
    c->failed = 1;
  }
}

int counter_failed(const struct counter *c) { return c->failed; }
uint64_t counter_operators(const struct counter *c) { return c->n_totals; }
const struct totals *counter_totals(const struct counter *c) { return c->totals; }
const struct block *counter_blocks(const struct counter *c) { return c->blocks; }
uint64_t counter_n_blocks(const struct counter *c) { return c->n_blocks; }
