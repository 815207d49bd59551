/** A program beside a test. Starting and ending it blocks, as the tests on the kernel do: no event is heard meanwhile. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const START_MS = 60_000
const END_MS = 30_000
const PAUSE_MS = 2

export class Helper {
  readonly pid: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, pid: number) {
    this.#child = child
    this.pid = pid
  }

  /**
   * @param what names it when it cannot be started: `echo server`
   * @param isReady tells, from outside, that it does what it is there for
   * @throws Error with what it said when it ends before that, or does not get that far
   */
  static start(what: string, command: readonly string[], isReady: (pid: number) => boolean): Helper {
    const [program = '', ...args] = command
    const directory = mkdtempSync(join(tmpdir(), 'helper-'))
    const said = join(directory, 'stderr')
    const fd = openSync(said, 'w')
    try {
      const child = spawn(program, args, { stdio: ['ignore', 'ignore', fd] })
      if (child.pid === undefined) throw new Error(`start ${what}: ${program} cannot be run`)
      const helper = new Helper(child, child.pid)
      const { pid } = helper
      waited(() => isReady(pid) || hasEnded(pid), START_MS)
      if (isReady(pid)) return helper
      const how = hasEnded(pid) ? 'it has ended' : 'it is not ready after a minute'
      helper.end()
      throw new Error(`start ${what}: ${how}: ${readFileSync(said, 'utf8')}`)
    } finally {
      closeSync(fd)
      rmSync(directory, { recursive: true })
    }
  }

  /**
   * Kills it, and returns when the kernel has closed all that it had open: its port can be listened on again, its lock be
   * taken, its directory be removed.
   */
  end(): void {
    this.#child.kill('SIGKILL')
    waitForEnd(this.pid)
  }
}

/**
 * Whether a program of this network namespace listens on a unix socket: the file is there as soon as it is bound, when nobody is
 * heard yet.
 *
 * @source net/unix/af_unix.c, unix_seq_show: __SO_ACCEPTCON among the flags
 */
export function isListening(path: string): boolean {
  const lines = readFileSync('/proc/net/unix', 'latin1').split('\n')
  return lines.some(line => line.endsWith(` ${path}`) && line.includes(' 00010000 '))
}

/** @throws Error when it does not end */
export function waitForEnd(pid: number): void {
  if (!waited(() => hasEnded(pid), END_MS)) throw new Error(`process ${pid} does not end`)
}

/**
 * Its files are closed by the last of its threads. The first may be a zombie before that, and /proc/PID/exe is gone
 * earlier still.
 *
 * @source Linux, kernel/exit.c: do_exit
 */
function hasEnded(pid: number): boolean {
  try {
    const [, state] = /^[0-9]+ \(.*\) ([A-Z])/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return (state === 'Z' || state === 'X') && readdirSync(`/proc/${pid}/task`).length === 1
  } catch {
    return true
  }
}

/** @returns whether it became so in time */
function waited(isSo: () => boolean, milliseconds: number): boolean {
  const deadline = Date.now() + milliseconds
  const cell = new Int32Array(new SharedArrayBuffer(4))
  while (!isSo()) {
    if (Date.now() > deadline) return false
    Atomics.wait(cell, 0, 0, PAUSE_MS)
  }
  return true
}
