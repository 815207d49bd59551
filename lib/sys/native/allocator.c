/*
 * The C library's allocator of the native engine, for a process that lives a few milliseconds, has one thread and makes
 * many small objects.
 *
 * Blocks have a size class; freed ones wait in a list of their class, and new ones are cut from an arena, which begins in
 * .bss: most calls never ask the kernel for memory. Large blocks are mappings of their own, which are given back, so that a
 * list that grows to megabytes leaves nothing behind.
 *
 *     | tag, 8 bytes | what the caller gets, a multiple of 16 ...
 *
 * The tag holds the class and a number that is different in every process (the kernel's AT_RANDOM), and the class is taken
 * out of it by free: a block freed twice, an address that is none of ours and a tag that something wrote over end the process
 * before the list is damaged.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#define STEP 16u              /* alignment of every block */
#define TAG sizeof(uint64_t)
#define SMALL 512u            /* up to here classes are STEP apart, above there are two for every doubling */
#define SMALL_CLASSES (SMALL / STEP)
#define CLASSES (SMALL_CLASSES + 16u)
#define LARGEST_CLASS 0x20000u /* above: a mapping */
#define MAPPED 0x7eu           /* kinds beside the classes */
#define FREED 0x7fu
#define MAPPING_HEAD 32u
#define FIRST_ARENA (160u << 10)
#define NEXT_ARENA (1u << 20)
#define PAGE 4096u

struct freed {
  struct freed *next;
};

struct step {
  uint64_t words[2];
};

static _Alignas(PAGE) char first_arena[FIRST_ARENA];
static char *arena = first_arena + STEP - TAG;
static char *arena_end = first_arena + FIRST_ARENA;
static struct freed *lists[CLASSES];
static uint64_t secret;
/* For cycles.c: more than one further arena was asked for. */
int patchbay_memory_has_grown;
static unsigned further_arenas;

__attribute__((noinline, cold)) static uint64_t make_secret(void) {
  const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
  /* Zero in the class's byte and never zero as a whole. */
  secret = 0x100;
  if (random != 0) {
    uint64_t bits;
    __builtin_memcpy(&bits, random + TAG, sizeof bits);
    secret |= bits & ~(uint64_t)0xff;
  }
  return secret;
}

static inline uint64_t tag_of(unsigned kind) { return (secret != 0 ? secret : make_secret()) | kind; }

static inline uint64_t *tag_at(void *block) { return (uint64_t *)block - 1; }

/* The kind of a block; the process ends when the address is not that of a block in use. */
static inline unsigned kind_of(void *block) {
  uint64_t tag = *tag_at(block);
  unsigned kind = (unsigned)(tag & 0xff);
  if (__builtin_expect(((tag ^ secret) >> 8) != 0 || kind == FREED, 0)) __builtin_trap();
  return kind;
}

/* What the caller can use of a block of this class: its share of the arena without the tag. */
static inline size_t size_of(unsigned class) {
  if (class < SMALL_CLASSES) return (class + 1) * STEP - TAG;
  unsigned step = class - SMALL_CLASSES;
  return ((size_t)(3 + (step & 1)) << (step / 2 + 8)) - TAG;
}

static inline unsigned class_of(size_t size) {
  if (size <= SMALL - TAG) return (unsigned)((size + TAG - 1) / STEP);
  unsigned top = 63 - (unsigned)__builtin_clzl(size + TAG - 1);
  return SMALL_CLASSES + (top - 9) * 2 + (unsigned)(((size + TAG - 1) >> (top - 1)) & 1);
}

static void *no_memory(void) {
  errno = ENOMEM;
  return 0;
}

static size_t whole_pages(size_t size) { return (size + PAGE - 1) & ~(size_t)(PAGE - 1); }

/*
 * A block of a mapping of its own, for large sizes and alignments:
 *
 *     | ... | bytes from the mapping's beginning to the block | the mapping's length | tag | block ...
 */
static void *map_block(size_t size, size_t alignment) {
  size_t ahead = alignment > MAPPING_HEAD ? alignment : MAPPING_HEAD;
  if (ahead > PTRDIFF_MAX / 4 || size > PTRDIFF_MAX / 4) return no_memory();
  size_t length = whole_pages(ahead + size + (alignment > PAGE ? alignment : 0));
  char *memory = mmap(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return no_memory();
  char *block = (char *)(((uintptr_t)memory + ahead + alignment - 1) & ~(uintptr_t)(alignment - 1));
  if (alignment <= PAGE) block = memory + ahead;
  uint64_t *words = (uint64_t *)block;
  words[-1] = tag_of(MAPPED);
  words[-2] = length;
  words[-3] = (uint64_t)(block - memory);
  return block;
}

static char *mapping_of(void *block) { return (char *)block - ((uint64_t *)block)[-3]; }

static size_t mapped_length(void *block) { return ((uint64_t *)block)[-2]; }

/* A block that nobody has had: its bytes are zero. */
__attribute__((noinline)) static void *cut(unsigned class) {
  size_t share = size_of(class) + TAG;
  if (share > (size_t)(arena_end - arena)) {
    char *memory = mmap(0, NEXT_ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return no_memory();
    arena = memory + STEP - TAG;
    arena_end = memory + NEXT_ARENA;
    further_arenas++;
    patchbay_memory_has_grown = further_arenas > 1;
  }
  char *at = arena;
  arena += share;
  *(uint64_t *)at = tag_of(class);
  return at + TAG;
}

static inline void *reuse(unsigned class) {
  struct freed *block = lists[class];
  if (block == 0) return 0;
  lists[class] = block->next;
  /* There is a secret already: the block had a tag when it was cut. */
  *tag_at(block) = secret | class;
  return block;
}

void *malloc(size_t size) {
  if (__builtin_expect(size > LARGEST_CLASS - TAG, 0)) return map_block(size, STEP);
  unsigned class = class_of(size);
  void *block = reuse(class);
  return block != 0 ? block : cut(class);
}

void *calloc(size_t count, size_t each) {
  size_t size;
  if (__builtin_mul_overflow(count, each, &size)) return no_memory();
  if (__builtin_expect(size > LARGEST_CLASS - TAG, 0)) return map_block(size, STEP);
  unsigned class = class_of(size);
  void *block = reuse(class);
  if (block == 0) return cut(class);
  if (class >= SMALL_CLASSES) return memset(block, 0, size);
  /* All of it, step by step: most are of a few steps, for which memset is a call too many. */
  struct step *steps = block;
  for (unsigned i = 0; i < class; i++) steps[i] = (struct step){{0, 0}};
  steps[class].words[0] = 0;
  return block;
}

__attribute__((noinline)) static void unmap_block(void *block, unsigned kind) {
  if (kind != MAPPED) __builtin_trap();
  int kept = errno;
  munmap(mapping_of(block), mapped_length(block));
  errno = kept;
}

void free(void *block) {
  if (block == 0) return;
  unsigned kind = kind_of(block);
  if (__builtin_expect(kind >= CLASSES, 0)) {
    unmap_block(block, kind);
    return;
  }
  *tag_at(block) = secret | FREED;
  ((struct freed *)block)->next = lists[kind];
  lists[kind] = block;
}

size_t malloc_usable_size(void *block) {
  if (block == 0) return 0;
  unsigned kind = kind_of(block);
  return kind < CLASSES ? size_of(kind) : mapped_length(block) - ((uint64_t *)block)[-3];
}

static void *remap(void *block, size_t size) {
  size_t ahead = ((uint64_t *)block)[-3];
  if (size > PTRDIFF_MAX / 4) return no_memory();
  size_t length = whole_pages(ahead + size);
  char *memory = mremap(mapping_of(block), mapped_length(block), length, MREMAP_MAYMOVE);
  if (memory == MAP_FAILED) return no_memory();
  ((uint64_t *)(memory + ahead))[-2] = length;
  return memory + ahead;
}

void *realloc(void *block, size_t size) {
  if (block == 0) return malloc(size);
  if (kind_of(block) == MAPPED && size > LARGEST_CLASS - TAG) return remap(block, size);
  size_t usable = malloc_usable_size(block);
  if (size <= usable && kind_of(block) != MAPPED) return block;
  void *larger = malloc(size);
  if (larger == 0) return 0;
  memcpy(larger, block, usable < size ? usable : size);
  free(block);
  return larger;
}

/* Alignments above STEP come from mappings: nothing in the plugins asks for one often. */
int posix_memalign(void **block, size_t alignment, size_t size) {
  if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
  int kept = errno;
  void *made = alignment <= STEP ? malloc(size) : map_block(size, alignment);
  errno = kept;
  if (made == 0) return ENOMEM;
  *block = made;
  return 0;
}

void *aligned_alloc(size_t alignment, size_t size) {
  void *block = 0;
  int fault = posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment, size);
  if (fault != 0) errno = fault;
  return block;
}

void *memalign(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }
