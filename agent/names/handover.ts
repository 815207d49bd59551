/** The agent's side of what plugins hand over: see lib/names/handover.ts. */
import { rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Attachment } from '../../lib/attachment.ts'
import { type HandedOver, handoverFromBytes, handoverPath, waitingDirectory } from '../../lib/names/handover.ts'
import { messageOf } from '../../lib/sys/errors.ts'
import { closeDescriptor, ensureDirectory, removeFile } from '../../lib/sys/files.ts'
import { HandedSockets } from '../../lib/sys/handed-sockets-queue.ts'
import type { SocketPair } from '../../lib/sys/loopback-sockets.ts'
import type { Zone } from './zone.ts'

export interface HandedResolver extends HandedOver {
  readonly sockets: SocketPair
}

export class Handover {
  readonly #stateDir: string
  readonly #zone: Zone
  readonly #log: (message: string) => void
  #queue: HandedSockets | undefined
  #isTried = false

  constructor(stateDir: string, zone: Zone, log: (message: string) => void) {
    this.#stateDir = stateDir
    this.#zone = zone
    this.#log = log
  }

  /** From now on plugins hand over. Where that cannot be, they ask. */
  open(): void {
    if (this.#isTried) return
    this.#isTried = true
    const path = handoverPath(this.#stateDir)
    try {
      // What an agent left that was killed.
      rmSync(dirname(path), { recursive: true, force: true })
      ensureDirectory(waitingDirectory(this.#stateDir), 0o700)
      for (const network of this.#zone.servedNetworks()) this.#mark(network, true)
      this.#zone.served = (network, isServed) => this.#mark(network, isServed)
      this.#queue = new HandedSockets(path)
    } catch (error) {
      this.#log(`take sockets from plugins: ${messageOf(error)}; they ask instead`)
    }
  }

  get isOpen(): boolean {
    return this.#queue !== undefined
  }

  /** What has been handed over since, oldest first, for the caller to close. */
  take(): readonly HandedResolver[] {
    const all: HandedResolver[] = []
    for (let one = this.#queue?.take(); one !== undefined; one = this.#queue?.take()) {
      const about = handoverFromBytes(one.bytes)
      if (about !== undefined && one.sockets.udp >= 0 && one.sockets.tcp >= 0)
        all.push({ ...about, sockets: one.sockets })
      else closeAll(one.sockets)
    }
    return all
  }

  close(): void {
    this.#zone.served = () => undefined
    this.#queue?.close()
    if (this.#queue !== undefined) rmSync(dirname(handoverPath(this.#stateDir)), { recursive: true, force: true })
    this.#queue = undefined
  }

  /** A plugin that finds the mark asks, and waits until services are reached from the container. */
  #mark(network: string, isServed: boolean): void {
    const path = `${waitingDirectory(this.#stateDir)}/${network}`
    try {
      if (isServed) writeFileSync(path, '', { mode: 0o600 })
      else removeFile(path)
    } catch (error) {
      this.#log(`have plugins of network ${JSON.stringify(network)} wait for services: ${messageOf(error)}`)
    }
  }
}

export function closeAll({ udp, tcp }: SocketPair): void {
  for (const fd of [udp, tcp]) if (fd >= 0) closeDescriptor(fd)
}

/** Of which attachment. */
export function attachmentOf({ network, containerId, ifName }: HandedOver): Attachment {
  return { network, containerId, ifName }
}
