/** Network namespaces made and entered by this thread itself: a millisecond each, no helper process. */
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { CLONE_NEWNET, enterNetns, MS_BIND, mount, unmount, unshare } from './libc.ts'

const OWN = '/proc/thread-self/ns/net'

/** A network namespace with a path. */
export class Netns {
  readonly path: string
  readonly #fd: number
  #removed = false

  private constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  /** Makes a namespace at /run/netns/NAME, with loopback down, as runtimes hand them over. */
  static make(name: string): Netns {
    const path = `/run/netns/${name}`
    writeFileSync(path, '', { flag: 'wx' })
    const back = openSync(OWN, 'r')
    try {
      unshare(CLONE_NEWNET)
      mount('none', path, { source: OWN, flags: MS_BIND })
      return new Netns(path, openSync(OWN, 'r'))
    } finally {
      enterNetns(back)
      closeSync(back)
    }
  }

  /** Runs `body`, and whatever programs it starts, inside. */
  inside<T>(body: () => T): T {
    const back = openSync(OWN, 'r')
    try {
      enterNetns(this.#fd)
      return body()
    } finally {
      enterNetns(back)
      closeSync(back)
    }
  }

  /** Moves this thread in for good. */
  enter(): void {
    enterNetns(this.#fd)
  }

  /** Takes the path away, as a runtime does that forgets a container; the kernel removes the rest in its own time. */
  remove(): void {
    this.#removed = true
    unmount(this.path)
    rmSync(this.path)
    closeSync(this.#fd)
  }

  isRemoved(): boolean {
    return this.#removed
  }
}
