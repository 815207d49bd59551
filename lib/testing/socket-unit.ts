/** A socket that systemd opens for a service, and the service's starts: systemd's own tool stands for it. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './lab-agent.ts'
import type { LabHost, OverlayLab } from './overlay-lab.ts'
import { patchbayProgram } from './program.ts'

/**
 * Stands for systemd between two starts of a service: systemd's own tool has opened the socket as descriptor 3, nobody
 * accepts; for each line read, the service is started with it, and LISTEN_PID is what `$1` makes of it.
 * The service ends with the lab: one that stayed would hold the pipe that a test's process waits for.
 */
const STARTER = `
listen_pid=$1
shift
while read -r line; do
  sh -c "LISTEN_PID=$listen_pid"' exec setpriv --pdeathsig KILL "$@"' sh "$@" </dev/null &
  echo started $!
  wait $!
  echo ended
done
`

export interface UnitOptions {
  readonly socket: string
  /** The service's program and its arguments. */
  readonly command: readonly string[]
  /** What LISTEN_PID says; a shell's expression. Its own process when it is absent. */
  readonly listenPid?: string
}

export class SocketUnit {
  readonly socket: string
  said = ''
  readonly #child: ChildProcess
  #starts = 0

  constructor(lab: OverlayLab, host: LabHost, { socket, command, listenPid = '$$' }: UnitOptions) {
    this.socket = socket
    const args = [`--listen=${socket}`, 'sh', '-c', STARTER, 'sh', listenPid, ...command]
    this.#child = lab.run(host.namespace, 'systemd-socket-activate', args, 'pipe')
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', chunk => {
        this.said += String(chunk)
      })
    }
  }

  async whenSaid(pattern: RegExp): Promise<void> {
    await until(String(pattern), () => pattern.test(this.said)).catch(error => {
      throw new Error(`${error.message}\n${this.said}`)
    })
  }

  /** @returns the service's process */
  async start(): Promise<number> {
    this.#child.stdin?.write('start\n')
    this.#starts += 1
    const all = (): readonly RegExpMatchArray[] => [...this.said.matchAll(/^started ([0-9]+)$/gm)]
    await until('the service is started', () => all().length === this.#starts)
    return Number(all().at(-1)?.[1])
  }
}

/**
 * `patchbay agent` with a file as the registry, which names no other hosts.
 *
 * @param program what starts `patchbay`; its source when it is absent
 */
export function agentUnit(
  lab: OverlayLab,
  host: LabHost,
  { program = patchbayProgram(), listenPid }: { readonly program?: readonly string[]; readonly listenPid?: string } = {}
): SocketUnit {
  const file = join(lab.directory, 'hosts.json')
  const config = join(host.directory, 'agent.json')
  const socket = join(host.directory, 'agent.sock')
  mkdirSync(host.directory, { recursive: true })
  writeFileSync(file, '{"hosts": []}')
  const stateDir = join(host.directory, 'agent')
  writeFileSync(config, JSON.stringify({ host: 'h0', socket, stateDir, confDir: stateDir, file }))
  const command = [...program, 'agent', '--config', config]
  return new SocketUnit(lab, host, { socket, command, ...(listenPid === undefined ? {} : { listenPid }) })
}
