/*
 * What happens before the program's first line, on the native engine.
 *
 * A service manager may start a runtime, and so us, with a stack of a few pages. The kernel asks for the limit when the stack
 * grows, so raising it is in time here. Where that is not allowed, running out of stack ends in an answer and not in a signal.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WANTED (8ul << 20)
#define ENOUGH (512ul << 10)

static char other_stack[8192];

static const char answer[] =
    "{\n    \"cniVersion\": \"1.1.0\",\n    \"code\": 999,\n    \"msg\": \"the stack is used up\",\n"
    "    \"details\": \"raise the limit of the runtime's stack (ulimit -s, LimitSTACK=) to 512 KiB at least\"\n}\n";

static void give_up(int signal_number) {
  (void)signal_number;
  /* A runtime that does not read has lost the answer; the exit status remains. */
  if (write(STDOUT_FILENO, answer, sizeof answer - 1) < 0) _exit(1);
  _exit(1);
}

__attribute__((noinline, cold)) static void prepare_for_overflow(void) {
  stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
  struct sigaction action = {.sa_handler = give_up, .sa_flags = SA_ONSTACK};
  if (sigaltstack(&stack, 0) == 0) sigaction(SIGSEGV, &action, 0);
}

__attribute__((constructor)) static void ensure_stack(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= ENOUGH) return;
  struct rlimit wanted = {.rlim_cur = WANTED, .rlim_max = limit.rlim_max < WANTED ? WANTED : limit.rlim_max};
  if (setrlimit(RLIMIT_STACK, &wanted) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur < ENOUGH) prepare_for_overflow();
}
