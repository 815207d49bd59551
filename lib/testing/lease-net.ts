/** Calls of host-local and static, in this process or of the built ones, with the leases in a scratch directory. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { callEnv } from './memory-io.ts'
import { assert } from './suite.ts'

export interface LeaseAnswer {
  readonly status: number
  readonly code: number | undefined
  readonly message: string
  readonly addresses: readonly string[]
  readonly gateways: readonly (string | undefined)[]
  readonly result: { readonly ips?: readonly { readonly address: string; readonly gateway?: string }[] }
}

/** How a plugin of that type is called. */
export interface IpamProgram {
  readonly type: string
  readonly call: (call: { readonly env: Readonly<Record<string, string>>; readonly stdin: object }) => {
    readonly status: number
    readonly stdout: string
  }
}

/** Calls on one network whose leases are in a scratch directory. */
export class LeaseNet {
  readonly dataDir: string
  readonly path: string
  readonly #program: IpamProgram
  readonly #network: string

  /** CNI_ARGS of the calls that follow. */
  args = ''

  constructor(program: IpamProgram, dataDir = mkdtempSync(join(tmpdir(), 'leases-')), network = 'net') {
    this.#program = program
    this.#network = network
    this.dataDir = dataDir
    this.path = join(dataDir, network)
  }

  call(command: string, id: string, ipam: object | undefined, more: object = {}): LeaseAnswer {
    const env = callEnv(command, { CNI_CONTAINERID: id, CNI_ARGS: this.args })
    const config = { cniVersion: '1.1.0', name: this.#network, type: 'bridge', ...more }
    const full = ipam === undefined ? {} : { ipam: { type: this.#program.type, dataDir: this.dataDir, ...ipam } }
    const { status, stdout } = this.#program.call({ env, stdin: { ...config, ...full } })
    const parsed = stdout === '' ? {} : JSON.parse(stdout)
    const ips: LeaseAnswer['result']['ips'] = parsed.ips ?? []
    return {
      status,
      code: parsed.code,
      message: parsed.msg ?? '',
      addresses: ips?.map(ip => ip.address) ?? [],
      gateways: ips?.map(ip => ip.gateway) ?? [],
      result: parsed
    }
  }

  /** The addresses that an ADD gives. */
  add(id: string, ipam: object, more: object = {}): readonly string[] {
    const answer = this.call('ADD', id, ipam, more)
    assert.is(answer.status, 0, answer.message)
    return answer.addresses
  }

  leases(): readonly string[] {
    if (!existsSync(this.path)) return []
    return readdirSync(this.path)
      .filter(name => name !== 'lock' && !name.startsWith('last_reserved_ip.'))
      .sort()
  }
}

export function withLeases(program: IpamProgram, body: (net: LeaseNet) => void): void {
  const net = new LeaseNet(program)
  try {
    body(net)
  } finally {
    rmSync(net.dataDir, { recursive: true })
  }
}
