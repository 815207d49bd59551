/** Connections over which nothing is said, and how they end. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Namespace } from './namespace.ts'
import { programFromText } from './program.ts'

const PORT = 7000

export interface HeldConnection {
  readonly child: ChildProcess
  /** What the server said, and the errno that the connection ended with. */
  readonly said: () => string
}

/** Connects to a server of `serveSilently`, and ends with the connection. */
export function hold(machine: Namespace, host: string): HeldConnection {
  const text = `
    import { connect } from 'node:net'
    const socket = connect({ host: '${host}', port: ${PORT} })
    socket.on('data', chunk => process.stdout.write(String(chunk)))
    socket.on('error', error => process.stdout.write((error as NodeJS.ErrnoException).code ?? ''))
    socket.on('close', () => process.exit(0))`
  const [node, ...args] = programFromText(text, import.meta.dirname)
  const child = spawn('nsenter', [`--net=${machine.path}`, node, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', chunk => {
    said += String(chunk)
  })
  return { child, said: () => said }
}

/** A server that says its name and waits. */
export function serveSilently(machine: Namespace, name: string): ChildProcess {
  const text = `
    import { createServer } from 'node:net'
    createServer(socket => { socket.on('error', () => undefined); socket.write('${name} ') }).listen(${PORT}, '::')`
  const [node, ...args] = programFromText(text, import.meta.dirname)
  return spawn('nsenter', [`--net=${machine.path}`, node, ...args], { stdio: 'ignore' })
}
