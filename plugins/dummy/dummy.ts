/**
 * dummy: an interface that leads nowhere and holds addresses, for services that must listen on an address of their own.
 *
 *     container
 *       eth0 (dummy, 10.9.0.2/24)
 */
import { requireIpam } from '../../lib/attach/ipam.ts'
import { readMtu } from '../../lib/attach/parent.ts'
import { addSingleLink, checkSingleLink, delSingleLink, gcSingleLinks } from '../../lib/attach/single-link.ts'
import type { Plugin, Request } from '../../lib/cni/plugin.ts'
import type { Result } from '../../lib/cni/result.ts'
import type { Kernel } from '../../lib/net/kernel.ts'

interface Config {
  /** bytes */
  readonly mtu: number | undefined
}

export function dummy(kernel: Kernel): Plugin {
  return {
    name: 'dummy',
    since: '0.1.0',
    add: request => add(kernel, request),
    check: request => check(kernel, request),
    del: request => delSingleLink(kernel, request, 'dummy', 'dummy'),
    gc: request => gcSingleLinks(kernel, request, 'dummy', 'dummy'),
    status: request => status(request)
  }
}

function readConfig(request: Request): Config {
  const mtu = readMtu(request.config)
  requireIpam(request)
  request.config.finish()
  return { mtu }
}

function add(kernel: Kernel, request: Request): Result {
  const config = readConfig(request)
  return addSingleLink(kernel, request, {
    plugin: 'dummy',
    kind: 'dummy',
    make: (_host, container) => container.addLink({ name: request.ifName, kind: { kind: 'dummy' }, mtu: config.mtu }),
    adoptsAddresses: false,
    options: {}
  })
}

/** A dummy has nothing of its own to compare. */
function noProblems(): readonly string[] {
  return []
}

function check(kernel: Kernel, request: Request): void {
  readConfig(request)
  checkSingleLink(kernel, request, 'dummy', noProblems)
}

function status(request: Request): void {
  readConfig(request)
  request.ipam.status()
}
