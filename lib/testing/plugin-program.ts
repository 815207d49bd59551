/**
 * One plugin as a program of its own. For tests of what depends on the namespace of the process itself, such as plugins
 * that execute iptables.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { callEnv } from './memory-io.ts'
import type { Namespace } from './namespace.ts'
import { type Command, programFromText } from './program.ts'

/** What a call answered. */
export interface ProgramAnswer {
  readonly status: number
  /** The parsed standard output; undefined when there was none. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it by name
  readonly json: any
  readonly stderr: string
}

/** Calls of one plugin in one namespace, as a runtime makes them. */
export class PluginProgram {
  /** Below it the journal. */
  readonly directory = mkdtempSync(join(tmpdir(), 'patchbay-program-'))
  readonly #host: Namespace
  readonly #command: readonly string[]
  readonly #type: string
  /** More variables; by default a system bus that is not there. */
  env: Readonly<Record<string, string>> = { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' }

  /** @param command the program and its first arguments: an executable, or `PluginProgram.fromSource(…)` */
  constructor(host: Namespace, type: string, command: readonly string[]) {
    this.#host = host
    this.#type = type
    this.#command = command
  }

  /** @param url of the plugin's module, whose export of that name is the factory */
  static fromSource(url: URL, name: string): Command {
    const text = `
      import { processIo } from '../cni/io.ts'
      import { run } from '../cni/run.ts'
      import { LinuxKernel } from '../net/kernel-net.ts'
      import { ${name} } from ${JSON.stringify(fileURLToPath(url))}
      process.exit(run(${name}(new LinuxKernel()), [], processIo()))`
    return programFromText(text, import.meta.dirname)
  }

  /** @param containerId whose interface is eth0 (`env` may say CNI_IFNAME); the empty string for GC and STATUS */
  call(verb: string, containerId: string, config: object, netns = ''): ProgramAnswer {
    const env = { PATH: process.env['PATH'] ?? '', ...callEnv(verb) }
    const ifName = containerId === '' ? '' : 'eth0'
    const own = { CNI_CONTAINERID: containerId, CNI_IFNAME: ifName, CNI_NETNS: netns, CNI_ARGS: '' }
    const stateDir = join(this.directory, 'state')
    const base = { cniVersion: '1.1.0', name: 'net1', type: this.#type, stateDir }
    const [program = '', ...args] = this.#command
    const input = JSON.stringify({ ...base, ...config })
    const done = this.#host.run(program, args, { env: { ...env, ...own, ...this.env }, input })
    return { status: done.status, json: done.stdout === '' ? undefined : JSON.parse(done.stdout), stderr: done.stderr }
  }

  /** Calls and wants success. */
  ok(verb: string, containerId: string, config: object, netns = ''): ProgramAnswer {
    const answer = this.call(verb, containerId, config, netns)
    if (answer.status !== 0) throw new Error(`${verb} failed: ${JSON.stringify(answer.json)} ${answer.stderr}`)
    return answer
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
