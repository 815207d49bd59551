/**
 * Which network namespaces there are: those that processes are in, and those that mounts hold (`ip netns`, CNI runtimes).
 * Without root the kernel shows other users' mounts, not their processes.
 */
import { readFileSync } from 'node:fs'
import { namespacePaths } from '../runtime/namespaces.ts'
import type { ProcessesView } from './model.ts'

export interface FoundNamespace {
  readonly id: string
  /** Mount points first, then the path of the first process. */
  readonly paths: readonly string[]
  readonly processes: ProcessesView
  readonly containerId: string
  readonly runtime: string
}

export function findNamespaces(): readonly FoundNamespace[] {
  return [...namespacePaths()].map(([id, paths]) => foundAt(id, paths))
}

function foundAt(id: string, all: readonly string[]): FoundNamespace {
  const pids = all.flatMap(path => /^\/proc\/([0-9]+)\/ns\/net$/.exec(path)?.[1] ?? []).map(Number)
  const pid = pids.length === 0 ? 0 : pids.reduce((least, one) => Math.min(least, one))
  const mounts = all.filter(path => !/^\/proc\/[0-9]+\/ns\/net$/.test(path))
  const paths = [...new Set(mounts), ...(pid === 0 ? [] : [`/proc/${String(pid)}/ns/net`])]
  const command = pid === 0 ? '' : procFile(pid, 'comm').replace(/\n$/, '')
  return {
    id,
    paths,
    processes: { count: pids.length, pid, command },
    ...containerIn(pid === 0 ? '' : procFile(pid, 'cgroup'))
  }
}

/** '' when the process has ended. */
function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${String(pid)}/${name}`, 'utf8')
  } catch {
    return ''
  }
}

/** How runtimes name the cgroup of a container: `docker-<id>.scope` under systemd, `/docker/<id>` without. */
const CGROUPS: readonly (readonly [string, RegExp])[] = [
  ['docker', /[/-]docker[/-]([0-9a-f]{64})/],
  ['containerd', /cri-containerd[-:]([0-9a-f]{64})/],
  ['cri-o', /crio-(?:conmon-)?([0-9a-f]{64})/],
  ['podman', /libpod-(?:conmon-)?([0-9a-f]{64})/],
  ['containerd', /nerdctl-([0-9a-f]{64})/],
  ['', /\/([0-9a-f]{64})(?:\.scope)?$/m]
]

/** Whose cgroup it is. @source man 7 cgroups, /proc/PID/cgroup */
export function containerIn(cgroup: string): { readonly runtime: string; readonly containerId: string } {
  for (const [runtime, pattern] of CGROUPS) {
    const id = pattern.exec(cgroup)?.[1]
    if (id !== undefined) return { runtime, containerId: id }
  }
  return { runtime: '', containerId: '' }
}
