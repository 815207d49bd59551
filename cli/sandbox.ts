/** A container's network namespace as the command prepares it, before any plugin sees it. */
import { closeSync } from 'node:fs'
import { LinuxKernel } from '../lib/net/kernel-net.ts'
import { NetnsError, openNetns, ownNetns, sameNetns } from '../lib/sys/netns.ts'
import { WHAT_TO_NAME } from './container.ts'
import { CommandError } from './output.ts'

const LOOPBACK = 'lo'

/**
 * Sets `lo` up, which every runtime does first: without it a program does not reach itself by 127.0.0.1. It stays up when the
 * container leaves its last network.
 *
 * @throws CommandError when the container has an interface of this name. Asked before any plugin is called, because the DEL
 * after a failed ADD takes away by name what it finds, and that would be somebody else's interface.
 */
export function prepareSandbox(netns: string, ifName: string): void {
  const sandbox = new LinuxKernel().open(netns)
  try {
    if (ifName !== LOOPBACK && namesOf(sandbox.links.list()).includes(ifName)) {
      throw new CommandError(
        `attach ${JSON.stringify(netns)}: it has an interface ${JSON.stringify(ifName)} already`,
        'choose another --ifname, or detach the network that it belongs to'
      )
    }
    const lo = sandbox.links.get(LOOPBACK)
    if (!lo.isUp) sandbox.links.set(lo.index, { up: true })
  } finally {
    sandbox.close()
  }
}

/** eth0, eth1 …: the first that is free in the namespace, whoever made those that are there. */
export function freeIfName(netns: string): string {
  const sandbox = new LinuxKernel().open(netns)
  try {
    const taken = namesOf(sandbox.links.list())
    for (let i = 0; ; i += 1) if (!taken.includes(`eth${String(i)}`)) return `eth${String(i)}`
  } finally {
    sandbox.close()
  }
}

/** A link is found by its alternative names as by its own. */
function namesOf(links: readonly { readonly name: string; readonly altNames: readonly string[] }[]): readonly string[] {
  return links.flatMap(link => [link.name, ...link.altNames])
}

/** @throws CommandError when the path leads to no network namespace, or to the host's own: its interfaces are not a container's */
export function refuseHostNamespace(netns: string): void {
  const fd = opened(netns)
  try {
    if (!sameNetns(fd, ownNetns())) return
  } finally {
    closeSync(fd)
  }
  throw new CommandError(
    `attach ${JSON.stringify(netns)}: it is the network namespace of this host itself`,
    'name a container: a process or a namespace of its own (ip netns add NAME makes one)'
  )
}

function opened(netns: string): number {
  try {
    return openNetns(netns)
  } catch (error) {
    if (error instanceof NetnsError && error.reason === 'not-a-namespace')
      throw new CommandError(error.message, WHAT_TO_NAME)
    throw error
  }
}
