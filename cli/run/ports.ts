/** `-p` of `run`, in all of Docker's forms. */
import { parseAddress } from '../../lib/ip/address.ts'
import { UsageError } from '../output.ts'

export interface Port {
  /** '' is every address. */
  readonly hostIP: string
  /** 0 is any that is free. */
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: string
}

const FORMS = 'as in 80, 8080:80, 127.0.0.1:8080:80, [::1]:8080:80, 8000-8003:80-83, 53:53/udp'
const PROTOCOLS = ['tcp', 'udp', 'sctp']

/** `[[ADDRESS:]HOSTPORT[-END]:]PORT[-END][/PROTOCOL]` @param option that it is the value of @throws UsageError */
export function parsePorts(text: string, option = 'publish'): readonly Port[] {
  const about = `--${option} ${JSON.stringify(text)}`
  const match = /^(?:(?:(\[[^\]]*\]|[0-9.]+):)?([0-9]*(?:-[0-9]+)?):)?([0-9]+(?:-[0-9]+)?)(?:\/([a-z]+))?$/.exec(text)
  if (match === null) throw wrong(about, `must be ${FORMS}`)
  const [, address = '', hostText = '', containerText = '', protocol = 'tcp'] = match
  const hostIP = address.replace(/^\[(.*)\]$/, '$1')
  if (hostIP !== '' && parseAddress(hostIP) === undefined) throw wrong(about, `${hostIP} is no address`)
  if (!PROTOCOLS.includes(protocol)) throw wrong(about, `the protocol must be one of ${PROTOCOLS.join(', ')}`)
  const inside = rangeOf(about, containerText)
  const outside = hostText === '' ? inside.map(() => 0) : rangeOf(about, hostText)
  if (outside.length !== inside.length) throw wrong(about, 'both ranges must have as many ports')
  return inside.map((containerPort, i) => ({ hostIP, hostPort: outside[i] ?? 0, containerPort, protocol }))
}

function rangeOf(about: string, range: string): readonly number[] {
  const [first = 0, last = first] = range.split('-').map(Number)
  if (first < 1 || last > 65535 || last < first) throw wrong(about, `${range} is no port, or no range of ports`)
  return Array.from({ length: last - first + 1 }, (_none, i) => first + i)
}

/** @param about the option and its value */
function wrong(about: string, why: string): UsageError {
  return new UsageError(`read ${about}: ${why}`)
}

/** `0.0.0.0:8080->80/tcp` */
export function portText(port: Port): string {
  return `${hostText(port)}->${String(port.containerPort)}/${port.protocol}`
}

/** `127.0.0.1:8080` */
export function hostText({ hostIP, hostPort }: Port): string {
  const address = hostIP === '' ? '0.0.0.0' : hostIP
  return `${address.includes(':') ? `[${address}]` : address}:${String(hostPort)}`
}
