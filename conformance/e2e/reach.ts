/** Who reaches whom, from which network namespace, and as whom. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { echoProgram } from '../../lib/testing/echo.ts'
import { runIn, until } from './command.ts'
import { SCRATCH } from './host.ts'

/** The network namespace of this process: the host's. */
export const HERE = '/proc/self/ns/net'

const PATIENCE_MS = 2000

/** `host:port` with brackets around IPv6. */
export function authority(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** A container's name and the address that it sees the asker under. */
export interface Answer {
  readonly name: string
  readonly seenAs: string
}

/** Asks a container's web server who it is; undefined when no answer comes. */
export function who(from: string, address: string, port: number): Answer | undefined {
  const url = `http://${authority(address, port)}/cgi-bin/who`
  return answerOf(runIn(from, 'busybox', ['wget', '-qO-', url], { timeout: PATIENCE_MS }).stdout)
}

/** Reads what the web server's script printed. */
export function answerOf(text: string): Answer | undefined {
  const [name, seen] = text.trim().split(' ')
  if (name === undefined || seen === undefined) return undefined
  // The server listens for both families: IPv4 comes mapped, IPv6 in brackets, both perhaps with a port.
  const bare = seen.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^::ffff:/, '')
  return { name, seenAs: /^[\d.]+:\d+$/.test(bare) ? bare.replace(/:\d+$/, '') : bare }
}

/** One datagram there, one back; '' when none comes, else `NAME SEEN-ADDRESS`. */
export function askUdp(from: string, address: string, port: number): string {
  const [node, ...args] = echoProgram()
  return runIn(from, node, [...args, 'ask', `${PATIENCE_MS} udp ${address} ${port}`]).stdout.trim()
}

/** Starts a server that answers datagrams, inside a container's network namespace. */
export async function serveUdp(netns: string, name: string, port: number): Promise<ChildProcess> {
  const ready = join(SCRATCH, `echo-${name}-${port}`)
  rmSync(ready, { force: true })
  const args = [`--net=${netns}`, ...echoProgram(), 'serve', name, ready, `udp ${port}`]
  const child = spawn('nsenter', args, { stdio: 'ignore' })
  await until(`the server of ${name}`, 10_000, () => existsSync(ready) || undefined)
  return child
}

/** Whether a ping is answered. */
export function pings(from: string, address: string): boolean {
  return runIn(from, 'ping', ['-c1', '-W1', address]).status === 0
}
