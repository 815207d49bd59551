/** Looks for a container among those of the runtimes of this host. */
import { accessSync, constants, existsSync } from 'node:fs'
import { errnoOf } from '../../lib/sys/errors.ts'
import type { RuntimeContainer } from './runtime-container.ts'
import { RuntimeUnknown } from './runtime-container.ts'

export interface Found {
  /** Those that the word names exactly; where there is none, those whose id or name begins so. */
  readonly containers: readonly RuntimeContainer[]
  readonly isExact: boolean
  /** A sentence for each runtime that is there and could not be asked. */
  readonly problems: readonly string[]
}

/** Variables that the runtimes' own commands read. */
export interface RuntimeEnvironment {
  readonly CONTAINERD_ADDRESS?: string | undefined
  readonly CONTAINER_HOST?: string | undefined
  readonly CONTAINERS_STORAGE_CONF?: string | undefined
}

const CONTAINERD_SOCKETS: readonly string[] = ['/run/containerd/containerd.sock', '/run/k3s/containerd/containerd.sock']
const PODMAN_SOCKET = '/run/podman/podman.sock'
const STORAGE_FILES: readonly string[] = ['/etc/containers/storage.conf', '/usr/share/containers/storage.conf']

/** `NAME`, `NAMESPACE/NAME`, `NAMESPACE/POD/NAME`: what no runtime calls a container is not asked for. */
const WORD = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*(\/[a-zA-Z0-9][a-zA-Z0-9_.-]*){0,2}$/

/** Asks every runtime that is there. */
export async function findInRuntimes(word: string, env: RuntimeEnvironment = process.env): Promise<Found> {
  if (!WORD.test(word)) return { containers: [], isExact: false, problems: [] }
  const answers = await Promise.allSettled([...containerd(word, env), podman(env)])
  const all = answers.flatMap(one => (one.status === 'fulfilled' ? one.value : []))
  const problems = answers.flatMap(one => (one.status === 'rejected' ? [messageOf(one.reason)] : []))
  const exact = all.filter(one => one.id === word || one.names.includes(word))
  const begun = all.filter(one => [one.id, ...one.names].some(name => name.startsWith(word)))
  const isExact = exact.length > 0
  return { containers: isExact ? exact : begun, isExact, problems }
}

function messageOf(reason: unknown): string {
  if (reason instanceof RuntimeUnknown) return reason.message
  throw reason
}

function containerd(word: string, env: RuntimeEnvironment): readonly Promise<readonly RuntimeContainer[]>[] {
  const named = env.CONTAINERD_ADDRESS ?? ''
  const sockets = named === '' ? CONTAINERD_SOCKETS.filter(existsSync) : [named.replace(/^unix:\/\//, '')]
  const last = word.split('/').at(-1) ?? ''
  return sockets.map(async socket => {
    requireSocket('containerd', socket)
    const found = await (await import('./containerd.ts')).containerdContainers(socket, last)
    return found.filter(one => [one.id, ...one.names].some(name => name.startsWith(word)))
  })
}

async function podman(env: RuntimeEnvironment): Promise<readonly RuntimeContainer[]> {
  const { servedContainers, storageOf, storedContainers } = await import('./podman.ts')
  const named = env.CONTAINER_HOST ?? ''
  const socket = named.startsWith('unix://') ? named.slice('unix://'.length) : PODMAN_SOCKET
  if (existsSync(socket)) {
    requireSocket('podman', socket)
    return servedContainers(socket)
  }
  const chosen = env.CONTAINERS_STORAGE_CONF ?? ''
  return storedContainers(storageOf(chosen === '' ? STORAGE_FILES : [chosen]))
}

function requireSocket(runtime: string, path: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
  } catch (error) {
    throw new RuntimeUnknown(`ask ${runtime} at ${JSON.stringify(path)}: ${errnoOf(error)}`)
  }
}
