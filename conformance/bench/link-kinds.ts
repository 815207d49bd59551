/** Kinds of network interfaces that not every kernel has. */
import { messageOf } from './failure.ts'
import { command, Stage } from './scenario.ts'

/** What follows `ip` to make an interface of a kind on a stage's host. */
const PROBES: Readonly<Record<string, readonly string[]>> = {
  vlan: ['link', 'add', 'link', 'uplink', 'name', 'probe', 'type', 'vlan', 'id', '7'],
  ipvlan: ['link', 'add', 'link', 'uplink', 'name', 'probe', 'type', 'ipvlan'],
  macvlan: ['link', 'add', 'link', 'uplink', 'name', 'probe', 'type', 'macvlan'],
  vxlan: ['link', 'add', 'probe', 'type', 'vxlan', 'id', '7', 'dev', 'uplink', 'dstport', '4789'],
  dummy: ['link', 'add', 'probe', 'type', 'dummy'],
  vrf: ['link', 'add', 'probe', 'type', 'vrf', 'table', '7'],
  tap: ['tuntap', 'add', 'probe', 'mode', 'tap']
}

const known = new Map<string, string | undefined>()

/** Why no interface of this kind can be made on this machine; undefined when one can. */
export function whyNoKind(kind: string): string | undefined {
  if (known.has(kind)) return known.get(kind)
  const why = probe(kind)
  known.set(kind, why)
  return why
}

function probe(kind: string): string | undefined {
  const stage = new Stage({ name: 'probe', dir: '' })
  try {
    stage.inside(() => command('ip', ...(PROBES[kind] ?? [])))
    return undefined
  } catch (error) {
    return `this kernel makes no interface of kind ${kind} (${messageOf(error).replace(/^.*exit \d+: /s, '')})`
  } finally {
    stage.close()
  }
}
