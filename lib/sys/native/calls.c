/*
 * What foreign functions of scriptc cannot express: they have no 64-bit integers, no variable arguments, no two texts without
 * their lengths, and read no pointers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ftruncate for files below 2 GiB. */
int patchbay_ftruncate(int fd, int length) { return ftruncate(fd, length); }

/* Paths are in UTF-8 with a NUL behind them, which is not counted. A raw call, since musl's open sets close-on-exec once more. */
static int open_file(const char *path, int flags) {
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC | O_LARGEFILE);
}

/* Without waiting for whoever writes to a FIFO. */
int patchbay_open_to_read(const char *path, size_t size) {
  (void)size;
  return open_file(path, O_RDONLY | O_NONBLOCK);
}

int patchbay_open_to_write(const char *path, size_t size) {
  (void)size;
  return open_file(path, O_WRONLY);
}

int patchbay_mkdir(const char *path, size_t size, int mode) {
  (void)size;
  return mkdir(path, (mode_t)mode);
}

/* Renames a file unless the new name is taken. */
int patchbay_rename_new(const char *from, size_t from_size, const char *to, size_t to_size) {
  (void)from_size;
  (void)to_size;
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1 /* RENAME_NOREPLACE, linux/fs.h */);
}

static int file_status(int fd, const char *path, int flags, void *buffer, size_t size) {
  if (size < 256) {
    errno = EINVAL;
    return -1;
  }
  return (int)syscall(SYS_statx, fd, path, flags, 0x11b /* STATX_TYPE, _MODE, _UID, _GID, _INO */, buffer);
}

/* Type, mode, owner and inode of a path, as struct statx. */
int patchbay_statx(const char *path, size_t path_size, int flags, void *buffer, size_t size) {
  (void)path_size;
  return file_status(AT_FDCWD, path, flags, buffer, size);
}

/* The same of an open file. */
int patchbay_fstatx(int fd, void *buffer, size_t size) {
  return file_status(fd, "", 0x1000 /* AT_EMPTY_PATH, linux/fcntl.h */, buffer, size);
}

/* Times of access and modification, two struct timespec. */
int patchbay_utimens(const char *path, size_t path_size, const void *times, size_t size) {
  (void)path_size;
  if (size != 2 * sizeof(struct timespec)) {
    errno = EINVAL;
    return -1;
  }
  return utimensat(AT_FDCWD, path, times, 0);
}

/* A datagram with two descriptors beside it, without waiting. @source man 7 unix, man 3 cmsg */
int patchbay_send_descriptors(int fd, const void *bytes, size_t size, int first, int second) {
  const int descriptors[] = {first, second};
  union {
    struct cmsghdr aligned;
    char room[CMSG_SPACE(sizeof descriptors)];
  } control = {0};
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
  control.aligned.cmsg_level = SOL_SOCKET;
  control.aligned.cmsg_type = SCM_RIGHTS;
  control.aligned.cmsg_len = CMSG_LEN(sizeof descriptors);
  memcpy(CMSG_DATA(&control.aligned), descriptors, sizeof descriptors);
  return (int)sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ioctl for requests whose argument is a number. */
int patchbay_ioctl_number(int fd, int request, int argument) {
  return ioctl(fd, (unsigned int)request, (unsigned long)(unsigned int)argument);
}

/* ioctl for requests whose argument is a pointer. */
int patchbay_ioctl(int fd, int request, void *argument, size_t length) {
  (void)length;
  return ioctl(fd, (unsigned int)request, argument);
}

/* Rows of characters, not of pointers: those would have to be relocated at every start. @source asm-generic/errno.h */
#define NAME(symbol) [symbol] = #symbol
static const char names[][16] = {
    NAME(EPERM), NAME(ENOENT), NAME(ESRCH), NAME(EINTR), NAME(EIO), NAME(ENXIO), NAME(E2BIG), NAME(ENOEXEC), NAME(EBADF),
    NAME(ECHILD), NAME(EAGAIN), NAME(ENOMEM), NAME(EACCES), NAME(EFAULT), NAME(ENOTBLK), NAME(EBUSY), NAME(EEXIST),
    NAME(EXDEV), NAME(ENODEV), NAME(ENOTDIR), NAME(EISDIR), NAME(EINVAL), NAME(ENFILE), NAME(EMFILE), NAME(ENOTTY),
    NAME(ETXTBSY), NAME(EFBIG), NAME(ENOSPC), NAME(ESPIPE), NAME(EROFS), NAME(EMLINK), NAME(EPIPE), NAME(EDOM),
    NAME(ERANGE), NAME(EDEADLK), NAME(ENAMETOOLONG), NAME(ENOLCK), NAME(ENOSYS), NAME(ENOTEMPTY), NAME(ELOOP),
    NAME(EOVERFLOW), NAME(EILSEQ), NAME(EUSERS), NAME(ENOTSOCK), NAME(EDESTADDRREQ), NAME(EMSGSIZE), NAME(EPROTOTYPE),
    NAME(ENOPROTOOPT), NAME(EPROTONOSUPPORT), NAME(ESOCKTNOSUPPORT), NAME(EOPNOTSUPP), NAME(EPFNOSUPPORT),
    NAME(EAFNOSUPPORT), NAME(EADDRINUSE), NAME(EADDRNOTAVAIL), NAME(ENETDOWN), NAME(ENETUNREACH), NAME(ENETRESET),
    NAME(ECONNABORTED), NAME(ECONNRESET), NAME(ENOBUFS), NAME(EISCONN), NAME(ENOTCONN), NAME(ESHUTDOWN),
    NAME(ETIMEDOUT), NAME(ECONNREFUSED), NAME(EHOSTDOWN), NAME(EHOSTUNREACH), NAME(EALREADY), NAME(EINPROGRESS),
    NAME(ESTALE), NAME(EUCLEAN), NAME(EREMOTEIO), NAME(EDQUOT), NAME(ENOMEDIUM), NAME(ECANCELED), NAME(EPROTO),
    NAME(EBADMSG), NAME(ENODATA), NAME(ENOLINK), NAME(ENOTUNIQ), NAME(EREMCHG), NAME(ERESTART), NAME(ETIME),
};

/*
 * Writes the symbol of errno, which is what a pointer leads to in C, or `errno` and its number, without a NUL.
 * @return the bytes written
 */
int patchbay_errno_name(char *buffer, size_t size) {
  int number = errno;
  const char *name = number > 0 && (size_t)number < sizeof names / sizeof names[0] ? names[number] : "";
  char text[16];
  int length = name[0] != '\0' ? (int)strnlen(name, sizeof names[0]) : snprintf(text, sizeof text, "errno %d", number);
  if (length < 0 || (size_t)length > size) return 0;
  memcpy(buffer, name[0] != '\0' ? name : text, (size_t)length);
  return length;
}
