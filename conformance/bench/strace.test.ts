import { assert, suite } from '../../lib/testing/suite.ts'
import { countKernelCalls } from './strace.ts'

const test = suite('conformance/bench/strace')

// As strace 6.1 writes it for `sh -c 'nonsense; true & wait'` and the like.
const LOG = String.raw`101 execve("/bin/sh", ["/bin/sh", "-c", "..."], 0x7ffc8f6d0b58 /* 3 vars */) = 0
101 brk(NULL)                         = 0x55d0c2a5b000
101 read(3, "execve(\"/no\") = 0\n", 64) = 17
101 vfork( <unfinished ...>
102 execve("/usr/local/bin/iptables", ["iptables", "-S"], 0x5581 /* 3 vars */) = -1 ENOENT (No such file or directory)
102 execve("/usr/sbin/iptables", ["iptables", "-S"], 0x5581 /* 3 vars */ <unfinished ...>
101 <... vfork resumed>)              = 102
101 wait4(-1,  <unfinished ...>
102 <... execve resumed>)             = 0
102 exit_group(0)                     = ?
102 +++ exited with 0 +++
101 <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL) = 102
101 --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=102} ---
101 exit_group(0)                     = ?
`

test('countKernelCalls: a call that was interrupted counts once, signals and ends not at all', () => {
  assert.is(countKernelCalls(LOG).systemCalls, 9)
})

test('countKernelCalls: programs that were started, not those that were looked for', () => {
  assert.is(countKernelCalls(LOG).programs, 2)
})

test('countKernelCalls: an empty log has nothing', () => {
  assert.equal(countKernelCalls(''), { systemCalls: 0, programs: 0 })
})

test.run()
