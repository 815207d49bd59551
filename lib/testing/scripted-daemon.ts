/** A daemon that gives prepared answers, in a process of its own: the call of a plugin in memory blocks this one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './lab-agent.ts'

/** Answers each request with the answer for its `do`, or not at all; every request is printed. */
const PROGRAM = `
const answers = JSON.parse(process.argv[2])
require('node:net').createServer({ allowHalfOpen: true }, socket => {
  let text = ''
  socket.on('error', () => undefined)
  socket.on('data', chunk => {
    text += chunk
    if (!text.includes('\\n')) return
    process.stdout.write(text)
    const answer = answers[JSON.parse(text).do]
    if (answer !== undefined) socket.end(JSON.stringify(answer) + '\\n')
  })
}).listen(process.argv[1], () => process.stdout.write('ready\\n'))
`

export class ScriptedDaemon {
  readonly directory = mkdtempSync(join(tmpdir(), 'patchbay-daemon-'))
  readonly socket = join(this.directory, 'daemon.sock')
  #said = ''
  #process: ChildProcess | undefined

  /** Runs `body` beside the daemon; without answers there is none, only the place of its socket. */
  async during<D extends ScriptedDaemon>(
    this: D,
    answers: object | undefined,
    body: (daemon: D) => void | Promise<void>
  ): Promise<void> {
    try {
      if (answers !== undefined) await this.start(answers)
      await body(this)
    } finally {
      this.close()
    }
  }

  async start(answers: object): Promise<void> {
    const child = spawn(process.execPath, ['-e', PROGRAM, this.socket, JSON.stringify(answers)], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    this.#process = child
    await new Promise<void>(resolve =>
      child.stdout.on('data', chunk => {
        this.#said += String(chunk)
        if (this.#said.startsWith('ready')) resolve()
      })
    )
  }

  /** What it was asked, once that many requests have come. */
  async requests(count: number): Promise<readonly Record<string, unknown>[]> {
    const lines = (): readonly string[] => this.#said.split('\n').slice(1, -1)
    await until(`${count} requests`, () => lines().length >= count)
    return lines().map(line => JSON.parse(line))
  }

  close(): void {
    this.#process?.kill('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }
}
