/** For an agent that is one host's alone: no other host is told anything. */
import { CniError, NOT_AVAILABLE } from '../lib/cni/error.ts'
import type { Registry } from './registry.ts'

const TROUBLE = 'the agent has none'

function none(): CniError {
  return new CniError(
    NOT_AVAILABLE,
    `reach the registry: ${TROUBLE}`,
    'name one in its configuration: "etcd", or "file" with the other hosts'
  )
}

export class AloneRegistry implements Registry {
  readonly learns = true

  start(): void {}

  async stop(): Promise<void> {}

  trouble(): string {
    return TROUBLE
  }

  async whenReady(): Promise<void> {
    throw none()
  }

  follow(): { readonly whenSynced: () => Promise<void>; readonly stop: () => void } {
    return { whenSynced: () => this.whenReady(), stop: () => undefined }
  }

  async put(): Promise<number> {
    throw none()
  }

  forget(): void {}

  async value(): Promise<string | undefined> {
    return undefined
  }

  async claim(): Promise<undefined> {
    throw none()
  }
}
