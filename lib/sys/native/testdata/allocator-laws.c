/* What every allocator promises, asked of ours: prints nothing and ends with 0 when it holds. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

void *memalign(size_t alignment, size_t size);
size_t malloc_usable_size(void *block);

#define HOLDS(what) \
  do { \
    if (!(what)) { \
      fprintf(stderr, "line %d: %s\n", __LINE__, #what); \
      exit(1); \
    } \
  } while (0)

static volatile size_t hidden; /* keeps the compiler from judging sizes by itself */

static size_t hide(size_t size) {
  hidden = size;
  return hidden;
}

static int is_aligned(const void *block, size_t alignment) { return ((uintptr_t)block & (alignment - 1)) == 0; }

static int is_filled(const unsigned char *block, int byte, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (block[i] != byte) return 0;
  return 1;
}

/* Every size up to several classes of each kind: aligned, as large as asked, apart from its neighbours, zeroed by calloc. */
static void sizes(void) {
  enum { STEPS = 4096 };
  static unsigned char *blocks[STEPS];
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < STEPS; i++) {
      size_t size = i < 2000 ? i : (i - 1990) * 97;
      blocks[i] = round == 0 ? malloc(hide(size)) : calloc(1, hide(size));
      HOLDS(blocks[i] != 0 && is_aligned(blocks[i], 16) && malloc_usable_size(blocks[i]) >= size);
      if (round == 1) HOLDS(is_filled(blocks[i], 0, size));
      memset(blocks[i], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < STEPS; i++) {
      size_t size = i < 2000 ? i : (i - 1990) * 97;
      HOLDS(is_filled(blocks[i], (int)(i & 0xff), size));
      free(blocks[i]);
    }
  }
}

static void growth(void) {
  unsigned char *block = 0;
  size_t filled = 0;
  for (size_t size = 1; size < (4u << 20); size = size + size / 3 + 1) {
    block = realloc(block, hide(size));
    HOLDS(block != 0 && is_filled(block, 0x5a, filled));
    memset(block, 0x5a, size);
    filled = size;
  }
  for (size_t size = filled; size > 0; size /= 2) {
    block = realloc(block, hide(size));
    HOLDS(block != 0 && is_filled(block, 0x5a, size));
  }
  free(block);
}

static void alignments(void) {
  for (size_t alignment = sizeof(void *); alignment <= (1u << 20); alignment *= 2) {
    void *block = 0;
    HOLDS(posix_memalign(&block, alignment, hide(1000)) == 0 && is_aligned(block, alignment));
    memset(block, 1, 1000);
    unsigned char *moved = realloc(block, hide(300000));
    HOLDS(moved != 0 && is_filled(moved, 1, 1000));
    free(moved);
    unsigned char *other = memalign(alignment, hide(1));
    HOLDS(other != 0 && is_aligned(other, alignment));
    free(other);
  }
  void *block = 0;
  HOLDS(posix_memalign(&block, 24, 8) == EINVAL && posix_memalign(&block, 2, 8) == EINVAL);
}

static void refusals(void) {
  errno = 0;
  HOLDS(malloc(hide(SIZE_MAX)) == 0 && errno == ENOMEM);
  HOLDS(malloc(hide(SIZE_MAX / 2)) == 0 && calloc(hide(SIZE_MAX / 8), 16) == 0);
  unsigned char *block = malloc(hide(100));
  HOLDS(realloc(block, hide(SIZE_MAX - 100)) == 0);
  free(block);
  free(0);
}

/* What is large goes back to the kernel, what is small is used again. */
static void bounds(void) {
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  for (int i = 0; i < 200; i++) {
    unsigned char *large = malloc(hide(20u << 20));
    HOLDS(large != 0);
    memset(large, 1, 20u << 20);
    free(large);
    for (int k = 0; k < 1000; k++) {
      unsigned char *small = malloc(hide((size_t)(k % 700)));
      if (k % 700 > 0) small[0] = 1;
      free(small);
    }
  }
  getrusage(RUSAGE_SELF, &after);
  HOLDS(after.ru_maxrss - before.ru_maxrss < 24 << 10);
}

static int ends_by_signal(void (*mistake)(void)) {
  pid_t child = fork();
  if (child == 0) {
    mistake();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

static void free_twice(void) {
  void *volatile block = malloc(40);
  free(block);
  free(block);
}

static void free_inside(void) {
  char *volatile block = calloc(1, 400);
  free(block + 16);
}

static void write_over(void) {
  char *volatile first = malloc(40), *volatile second = malloc(40);
  char *volatile lower = first < second ? first : second, *volatile upper = first < second ? second : first;
  memset(lower, 0x41, (size_t)(upper - lower));
  free(upper);
}

int main(void) {
  sizes();
  growth();
  alignments();
  refusals();
  bounds();
  HOLDS(ends_by_signal(free_twice));
  HOLDS(ends_by_signal(free_inside));
  HOLDS(ends_by_signal(write_over));
  return 0;
}
