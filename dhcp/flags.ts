/**
 * The daemon's command line: the reference daemon's flags, in the form that Go programs take (`-flag value`,
 * `-flag=value`, one dash or two; durations such as `1m30s`), and one of its own.
 */

export interface Flags {
  readonly pidfile: string
  readonly hostprefix: string
  readonly socketpath: string
  readonly statedir: string
  readonly broadcast: boolean
  /** Milliseconds. */
  readonly timeout: number
  readonly resendmax: number
  readonly resendtimeout: number
}

export const USAGE = `usage: patchbay dhcp [flags]      (also: dhcp daemon [flags])

Gets and keeps the addresses of containers on networks with ipam "dhcp". ipam/dhcp/README.md explains it.

  -socketpath PATH         where plugins ask (default /run/cni/dhcp.sock, or systemd's socket)
  -statedir DIR            what must outlive a restart (default /run/patchbay/dhcp)
  -pidfile PATH            write the process id there
  -hostprefix DIR          put before the paths of namespaces, for a daemon in a container
  -broadcast               have servers answer by broadcast
  -timeout DURATION        the longest wait for the answer to one message (default 10s)
  -resendmax DURATION      the longest pause between two messages (default 62s)
  -resendtimeout DURATION  when to give an ADD up, if its network doesn't say less (default 208s)
`

/** @throws Error for a flag that is none, or a wrong value */
export function parseFlags(args: readonly string[]): Flags {
  const given = new Map<string, string>()
  for (let i = 0; i < args.length; i += 1) {
    const [, name, inline] = /^--?([a-z]+)(?:=(.*))?$/s.exec(args[i] ?? '') ?? []
    if (name === undefined || !KNOWN.includes(name)) throw new Error(`read flags: unknown ${JSON.stringify(args[i])}`)
    if (inline !== undefined) given.set(name, inline)
    else if (name === 'broadcast') given.set(name, 'true')
    else {
      i += 1
      const value = args[i]
      if (value === undefined) throw new Error(`read flags: -${name} needs a value`)
      given.set(name, value)
    }
  }
  return {
    pidfile: given.get('pidfile') ?? '',
    hostprefix: given.get('hostprefix') ?? '',
    socketpath: absolute(given, 'socketpath', '/run/cni/dhcp.sock'),
    statedir: absolute(given, 'statedir', '/run/patchbay/dhcp'),
    broadcast: truth(given.get('broadcast') ?? 'false'),
    timeout: duration(given, 'timeout', '10s'),
    resendmax: duration(given, 'resendmax', '62s'),
    resendtimeout: duration(given, 'resendtimeout', '208s')
  }
}

const KNOWN: readonly string[] = [
  'pidfile',
  'hostprefix',
  'socketpath',
  'statedir',
  'broadcast',
  'timeout',
  'resendmax',
  'resendtimeout'
]

function absolute(given: ReadonlyMap<string, string>, name: string, fallback: string): string {
  const path = given.get(name) ?? fallback
  if (path.startsWith('/')) return path
  throw new Error(`read flags: -${name} must be an absolute path, got ${JSON.stringify(path)}`)
}

function truth(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false
  throw new Error(`read flags: -broadcast must be true or false, got ${JSON.stringify(text)}`)
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000]
])

function duration(given: ReadonlyMap<string, string>, name: string, fallback: string): number {
  const text = given.get(name) ?? fallback
  let milliseconds = 0
  if (/^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$/.test(text)) {
    for (const [, count = '', , unit = ''] of text.matchAll(/([0-9]+(\.[0-9]+)?)(ms|s|m|h)/g)) {
      milliseconds += Number(count) * (UNITS.get(unit) ?? 0)
    }
  }
  if (milliseconds > 0) return milliseconds
  throw new Error(`read flags: -${name} must be a duration above 0 such as 10s, got ${JSON.stringify(text)}`)
}
