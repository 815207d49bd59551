/** The agent of this host, as far as the command asks it: by the socket that plugins use, in their one-line requests. */
import { existsSync } from 'node:fs'
import type { NetworkContainer } from '../agent/networks/containers.ts'
import { CniError } from '../lib/cni/error.ts'
import { type Json, jsonText } from '../lib/config/json.ts'
import { jsonOf, type PlainObject } from '../lib/config/plain-json.ts'
import { askAgent, DEFAULT_SOCKET } from '../lib/overlay/agent-call.ts'
import { CommandError } from './output.ts'

/** A network of the cluster, as the agent answers. */
export interface AgentNetwork {
  readonly name: string
  /** Its file on this host. */
  readonly path: string
  /** Why runtimes of this host do not find it; '' when they do. */
  readonly problem: string
  readonly network: {
    readonly id: string
    readonly vni: number
    readonly created: string
    readonly ranges: readonly { readonly subnet: string }[]
    readonly internal: boolean
    readonly labels: Readonly<Record<string, string>>
  }
}

/** What a look may take, and what a change, ms. */
const LOOK_MS = 3000
const CHANGE_MS = 15_000

export class AgentClient {
  readonly #socket: string

  constructor(socket: string | undefined) {
    this.#socket = socket ?? DEFAULT_SOCKET
  }

  /** Whether an agent has ever listened: what must be quick asks no one else. */
  get isThere(): boolean {
    return existsSync(this.#socket)
  }

  /** @throws {CommandError} as all of these: the agent's own reason, or that no agent is there */
  networks(): readonly AgentNetwork[] {
    const answer: { readonly networks: readonly AgentNetwork[] } = this.ask('networks', {}, LOOK_MS)
    return answer.networks
  }

  /** The same for whoever can do without: none where no agent answers. */
  networksIfThere(): readonly AgentNetwork[] {
    if (!this.isThere) return []
    try {
      return this.networks()
    } catch (error) {
      if (error instanceof CommandError) return []
      throw error
    }
  }

  /** On all hosts. */
  containers(name: string): readonly NetworkContainer[] {
    const answer: { readonly containers: readonly NetworkContainer[] } = this.ask(
      'network-containers',
      { name },
      LOOK_MS
    )
    return answer.containers
  }

  /** @param network a record without what the agent gives it (agent/networks/record.ts) */
  create(name: string, network: Json): AgentNetwork & { readonly isAlone: boolean } {
    return this.ask('network-create', { name, network }, CHANGE_MS)
  }

  remove(name: string): void {
    this.ask('network-remove', { name }, CHANGE_MS)
  }

  /** Any request of its. @throws {CommandError} */
  ask<T>(what: string, members: PlainObject, milliseconds: number): T {
    const request = jsonOf({ do: what, ...members })
    try {
      return JSON.parse(jsonText(askAgent({ socket: this.#socket, milliseconds }, request)))
    } catch (error) {
      if (error instanceof CniError) throw new CommandError(error.message, error.details)
      throw error
    }
  }
}
