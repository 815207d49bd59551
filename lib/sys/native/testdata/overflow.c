/* Mistakes that the native engine's switches must end the process for: `overflow NUMBER`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile size_t length = 4000;

/* Past an array whose size the compiler knows: found by the check of the call. */
__attribute__((noinline)) static int copies_too_much(const char *source) {
  char target[64];
  memcpy(target, source, length);
  return target[3];
}

__attribute__((noinline)) static int prints_too_much(const char *source) {
  char target[64];
  snprintf(target, length, "%s", source);
  return target[3];
}

__attribute__((noinline)) static int reads_too_much(void) {
  char target[64];
  return (int)read(0, target, length) + target[3];
}

/* Eight bytes past an array by a loop, where nothing lies but what guards the return address: found on return. */
__attribute__((noinline)) static int writes_past(const char *source) {
  char target[64];
  char *volatile at = target;
  for (size_t i = 0; i < 72; i++) at[i] = source[i];
  return target[3];
}

int main(int count, char **words) {
  static char source[4096];
  memset(source, 'x', sizeof source - 1);
  int which = count > 1 ? atoi(words[1]) : 0;
  if (which == 0) return 0;
  if (which == 1) return copies_too_much(source) & 1;
  if (which == 2) return prints_too_much(source) & 1;
  if (which == 3) return reads_too_much() & 1;
  return writes_past(source) & 1;
}
