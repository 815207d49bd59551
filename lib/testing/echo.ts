/**
 * Who reaches whom, and as whom: a server that answers with its own name and the address that it sees the asker under.
 *
 *     const server = EchoServer.start(container, 'c1', ['tcp 80', 'udp 53'])
 *     assert.is(ask(outside, 'tcp 192.0.2.1 8080'), 'c1 192.0.2.9')
 *     server.close()
 */
import { deepEqual } from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Helper } from './helper.ts'
import type { Namespace } from './namespace.ts'
import { type Command, program } from './program.ts'

/**
 * How long an answer that must not come is waited for. One that comes takes no millisecond; TCP sends a SYN that was lost
 * again after one second.
 */
const SILENCE_MS = 1_600
/** How long one that must come is: a link whose carrier the kernel has yet to notice drops the first packets. */
const ANSWER_MS = 20_000

/** The command that starts echo-program.ts. */
export function echoProgram(): Command {
  return program(join(import.meta.dirname, 'echo-program.ts'))
}

export class EchoServer {
  readonly #helper: Helper
  readonly #directory: string

  private constructor(helper: Helper, directory: string) {
    this.#helper = helper
    this.#directory = directory
  }

  /**
   * Starts a server and waits until it listens, on every address of the namespace.
   *
   * @param name what its answers begin with
   * @param places `tcp 80`, `udp 53`
   */
  static start(namespace: Namespace, name: string, places: readonly string[]): EchoServer {
    const directory = mkdtempSync(join(tmpdir(), 'echo-'))
    const ready = join(directory, 'ready')
    const command = ['nsenter', `--net=${namespace.path}`, ...echoProgram(), 'serve', name, ready, ...places]
    return new EchoServer(
      Helper.start('echo server', command, () => existsSync(ready)),
      directory
    )
  }

  close(): void {
    this.#helper.end()
    rmSync(this.#directory, { recursive: true })
  }
}

/**
 * Asks several servers at once, from one namespace.
 *
 * @param places each `tcp 192.0.2.1 8080`, `udp fd00::1 53`, with a third word the own address to ask from
 * @returns the answers in the same order; '' where none came
 */
export function askAll(namespace: Namespace, places: readonly string[]): readonly string[] {
  return answersOf(
    namespace,
    places.map(place => `${SILENCE_MS} ${place}`)
  )
}

/** @param questions each milliseconds to wait, and a place */
function answersOf(namespace: Namespace, questions: readonly string[]): readonly string[] {
  const [node, ...args] = echoProgram()
  const asked = namespace.run(node, [...args, 'ask', ...questions])
  if (asked.status !== 0) throw new Error(`ask: ${asked.stderr}`)
  return asked.stdout.split('\n').slice(0, questions.length)
}

/**
 * Asks, and wants these answers.
 *
 * @param what is told when the answers differ
 * @throws {AssertionError}
 */
export function expectAnswers(
  namespace: Namespace,
  places: readonly string[],
  expected: readonly string[],
  what = ''
): void {
  const questions = places.map((place, i) => `${expected[i] === '' ? SILENCE_MS : ANSWER_MS} ${place}`)
  const answers = answersOf(namespace, questions)
  const shown = (list: readonly string[]) => places.map((place, i) => `${place}: ${list[i] ?? ''}`)
  deepEqual(
    shown(answers),
    shown(expected),
    `${what} ${shown(answers).join(', ')}; wanted ${shown(expected).join(', ')}`
  )
}

/** Asks one server; '' when no answer comes soon. For an answer that must come there is expectAnswers. */
export function ask(namespace: Namespace, place: string): string {
  return askAll(namespace, [place])[0] ?? ''
}
