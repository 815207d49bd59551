/*
 * Checks for what writes to memory whose size the compiler knows, as glibc has them under _FORTIFY_SOURCE and musl has not:
 * a copy that would not fit ends the process. Included before every C file of the native engine that is linked with musl.
 */
#ifndef PATCHBAY_FORTIFY_H
#define PATCHBAY_FORTIFY_H

#include <stddef.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATCHBAY_CHECKED static inline __attribute__((always_inline, overloadable, unused))
#define PATCHBAY_ROOM(pointer) pointer __attribute__((pass_dynamic_object_size(0)))
#define PATCHBAY_FITS(target, size) \
  do { \
    if (__builtin_dynamic_object_size(target, 0) < (size_t)(size)) __builtin_trap(); \
  } while (0)

PATCHBAY_CHECKED void *patchbay_memcpy(PATCHBAY_ROOM(void *const target), const void *source, size_t size) {
  PATCHBAY_FITS(target, size);
  return __builtin_memcpy(target, source, size);
}

PATCHBAY_CHECKED void *patchbay_memmove(PATCHBAY_ROOM(void *const target), const void *source, size_t size) {
  PATCHBAY_FITS(target, size);
  return __builtin_memmove(target, source, size);
}

PATCHBAY_CHECKED void *patchbay_memset(PATCHBAY_ROOM(void *const target), int byte, size_t size) {
  PATCHBAY_FITS(target, size);
  return __builtin_memset(target, byte, size);
}

PATCHBAY_CHECKED char *patchbay_strcpy(PATCHBAY_ROOM(char *const target), const char *source) {
  PATCHBAY_FITS(target, __builtin_strlen(source) + 1);
  return __builtin_strcpy(target, source);
}

PATCHBAY_CHECKED ssize_t patchbay_read(int fd, PATCHBAY_ROOM(void *const target), size_t size) {
  PATCHBAY_FITS(target, size);
  return read(fd, target, size);
}

PATCHBAY_CHECKED ssize_t patchbay_readlink(const char *path, PATCHBAY_ROOM(char *const target), size_t size) {
  PATCHBAY_FITS(target, size);
  return readlink(path, target, size);
}

PATCHBAY_CHECKED int patchbay_vsnprintf(PATCHBAY_ROOM(char *const target), size_t size, const char *form, va_list words) {
  PATCHBAY_FITS(target, size);
  return vsnprintf(target, size, form, words);
}

#define memcpy(target, source, size) patchbay_memcpy(target, source, size)
#define memmove(target, source, size) patchbay_memmove(target, source, size)
#define memset(target, byte, size) patchbay_memset(target, byte, size)
#define strcpy(target, source) patchbay_strcpy(target, source)
#define read(fd, target, size) patchbay_read(fd, target, size)
#define readlink(path, target, size) patchbay_readlink(path, target, size)
/* Variadic functions cannot be inlined: the size is checked where they are called. */
#define snprintf(target, size, ...) \
  ((__builtin_dynamic_object_size(target, 0) < (size_t)(size) ? __builtin_trap() : (void)0), \
   snprintf(target, size, __VA_ARGS__))

#endif
