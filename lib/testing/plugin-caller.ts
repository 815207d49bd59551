/**
 * Calling one plugin again and again as a runtime would, in this process: with a directory for its journal, an IPAM
 * plugin that remembers its leases, and the result of ADD kept for CHECK.
 */
import { linkSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Plugin, Request } from '../cni/plugin.ts'
import type { Result } from '../cni/result.ts'
import { resultFromJson } from '../cni/result-json.ts'
import { jsonObject } from '../config/json.ts'
import { Kernel } from '../net/kernel.ts'
import { type Connect, connectToKernel, LinuxKernel } from '../net/kernel-net.ts'
import type { Net } from '../net/net.ts'
import type { Nft } from '../nft/nft.ts'
import { callEnv, callInMemory, type MemoryAnswer } from './memory-io.ts'

/** The machine's kernel with another namespace for the host's. */
export class HostedKernel extends Kernel {
  readonly #kernel: LinuxKernel
  readonly #host: string

  /** @param connect a test's may refuse changes on their way to the kernel */
  constructor(host: string, connect: Connect = connectToKernel) {
    super()
    this.#kernel = new LinuxKernel(connect)
    this.#host = host
  }

  override host(): Net {
    return this.#kernel.open(this.#host)
  }

  override open(path: string): Net {
    return this.#kernel.open(path)
  }

  override find(path: string): Net | undefined {
    return this.#kernel.find(path)
  }

  override nft(net: Net): Nft {
    return this.#kernel.nft(net)
  }
}

/** What a call differs in from the usual: container `c1`, interface `eth0`. */
export interface CallOptions {
  readonly containerId?: string
  readonly ifName?: string
  readonly netns?: string
  readonly args?: string
  /** Members laid over those of the configuration. */
  readonly config?: object
}

/** The name of the IPAM plugin: `ipam: { type: 'fixed', result: {…} }` gives that result every time. */
export const FIXED_IPAM = 'fixed'

export class PluginCaller {
  readonly directory: string
  /** `containerID:ifname` of every lease that was taken and not given back. */
  readonly leases = new Set<string>()
  /** Makes the IPAM plugin's ADD fail. */
  failIpam = false
  /** Makes its DEL fail. */
  failIpamDel = false
  /** Told every verb that reaches it. */
  onIpam: (verb: string) => void = () => undefined
  /** The containers that its last GC was told to keep. */
  keptByIpam: readonly string[] = []
  /** Verbs that reached the IPAM plugin. */
  readonly ipamCalls: string[] = []
  readonly #ipamNames: string[] = [FIXED_IPAM]
  readonly #plugin: Plugin
  readonly #netns: string
  readonly #config: object

  /**
   * @param netns of the container
   * @param config without name, type, cniVersion (1.1.0 unless given) and stateDir
   */
  constructor(plugin: Plugin, netns: string, config: object) {
    this.directory = mkdtempSync(join(tmpdir(), 'patchbay-test-'))
    writeFileSync(join(this.directory, FIXED_IPAM), '')
    this.#plugin = plugin
    this.#netns = netns
    this.#config = config
  }

  call(command: string, options: CallOptions = {}): MemoryAnswer {
    const env = callEnv(command, {
      CNI_NETNS: options.netns ?? this.#netns,
      CNI_CONTAINERID: options.containerId ?? 'c1',
      CNI_IFNAME: options.ifName ?? 'eth0',
      CNI_ARGS: options.args ?? '',
      CNI_PATH: this.directory
    })
    const stateDir = join(this.directory, 'state')
    const base = { cniVersion: '1.1.0', name: 'net1', type: this.#plugin.name, stateDir }
    return callInMemory(this.#plugin, {
      env,
      stdin: { ...base, ...this.#config, ...options.config },
      builtins: this.#ipamNames.map(name => this.#ipam(name)),
      executable: join(this.directory, FIXED_IPAM)
    })
  }

  /** Makes the IPAM plugin be found under another name too. */
  installIpam(name: string): void {
    linkSync(join(this.directory, FIXED_IPAM), join(this.directory, name))
    this.#ipamNames.push(name)
  }

  /** Calls and wants success. @returns the parsed standard output, undefined when there is none */
  ok(command: string, options: CallOptions = {}): TestResult {
    const answer = this.call(command, options)
    if (answer.status !== 0) throw new Error(`${command} failed: ${answer.stdout}`)
    return answer.stdout === '' ? { interfaces: [], ips: [], routes: [], dns: {} } : JSON.parse(answer.stdout)
  }

  /** Calls and wants failure. @returns the error object */
  fails(command: string, options: CallOptions = {}): TestError {
    const answer = this.call(command, options)
    if (answer.status === 0) throw new Error(`${command} succeeded: ${answer.stdout}`)
    return JSON.parse(answer.stdout)
  }

  /** GC with these attachments kept. */
  gc(valid: readonly { readonly containerID: string; readonly ifname: string }[]): MemoryAnswer {
    return this.call('GC', { config: { 'cni.dev/valid-attachments': valid } })
  }

  /** The journal's files, sorted. */
  journal(): readonly string[] {
    const stateDir = join(this.directory, 'state')
    try {
      return readdirSync(stateDir, { recursive: true, encoding: 'utf8' })
        .filter(name => name.endsWith('.json'))
        .sort()
    } catch {
      return []
    }
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }

  #note(request: Request): void {
    this.ipamCalls.push(request.command)
    this.onIpam(request.command)
  }

  #ipam(name: string): Plugin {
    const note = (request: Request): void => this.#note(request)
    return {
      name,
      since: '0.1.0',
      givesAddresses: true,
      add: request => this.#lease(request),
      del: request => {
        note(request)
        if (this.failIpamDel) throw new Error('give back address: refused')
        this.leases.delete(`${request.containerId}:${request.ifName}`)
      },
      check: note,
      gc: request => {
        note(request)
        this.keptByIpam = request.validAttachments.map(one => one.containerId)
      },
      status: note
    }
  }

  #lease(request: Request): Result {
    this.#note(request)
    if (this.failIpam) throw new Error('take address: the pool is empty')
    const json = request.config.section('ipam')?.json('result') ?? jsonObject([])
    this.leases.add(`${request.containerId}:${request.ifName}`)
    return resultFromJson(json, '1.1.0', 'test result')
  }
}

/** A result as it is on the wire. */
export interface TestResult {
  readonly cniVersion?: string
  readonly interfaces: readonly {
    readonly name: string
    readonly mac?: string
    readonly mtu?: number
    readonly sandbox?: string
    readonly pciID?: string
  }[]
  readonly ips: readonly { readonly interface?: number; readonly address: string; readonly gateway?: string }[]
  readonly routes: readonly { readonly dst: string; readonly gw?: string }[]
  readonly dns: { readonly nameservers?: readonly string[] }
}

export interface TestError {
  readonly code: number
  readonly msg: string
  readonly details?: string
}
