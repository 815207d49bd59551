/** Control groups are the one thing of the real machine that containers of the suites use: they must not stay. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

const MOUNT = '/sys/fs/cgroup'

/** The groups that runtimes put their containers' into: of the pods, of containerd's namespace, of podman. Inner ones first. */
const PARENTS: readonly string[] = ['patchbay-e2e', 'default', 'k8s.io', 'libpod_parent/conmon', 'libpod_parent']

/** Each of them in each hierarchy, whether it exists or not. */
function places(): readonly string[] {
  if (!existsSync(MOUNT)) return []
  const hierarchies = readdirSync(MOUNT, { withFileTypes: true }).filter(entry => entry.isDirectory())
  const roots = [MOUNT, ...hierarchies.map(entry => join(MOUNT, entry.name))]
  return roots.flatMap(root => PARENTS.map(parent => join(root, parent)))
}

export function presentGroups(): readonly string[] {
  return places().filter(existsSync)
}

/** Removes those that were not there before. One that is in use by now stays: the kernel refuses. */
export function removeNewGroups(before: readonly string[]): void {
  for (const place of presentGroups()) {
    if (before.includes(place)) continue
    try {
      rmdirSync(place)
    } catch {
      // somebody else's container is in it
    }
  }
}
