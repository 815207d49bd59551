/** A namespace of the real kernel as text, by iproute2, nft and tc: what of it must be the same again after DEL. */
import { must } from './ip-json.ts'
import type { Namespace } from './namespace.ts'

/** One program for all: a sweep asks hundreds of times. */
const SCRIPT = [
  'ip address',
  'tc qdisc show',
  'ip -4 route',
  'ip -6 route',
  'ip -4 rule',
  'ip -6 rule',
  'nft list ruleset'
].join(' && ')

/** What comes and goes by itself: addresses of the loopback and link-local ones, lifetimes, the kernel's own queues and routes. */
const RESTLESS = /link\/ether|scope host|fe80::|ff00::|valid_lft|proto kernel|^qdisc (?!tbf|ingress)/

/** Without numbers, without MAC addresses (the kernel chooses most), and without what comes and goes by itself. */
export function namespaceText(namespace: Namespace): string {
  const lines = must(namespace, 'sh', '-c', SCRIPT)
    .split('\n')
    .filter(line => !RESTLESS.test(line))
    .map(settled)
  return lines.join('\n')
}

function settled(line: string): string {
  return line
    .replace(/^\d+: ([^:@]+)[^:]*:/, '$1:')
    .replace(/,LOWER_UP|NO-CARRIER,/g, '')
    .replace(/ (state|qdisc) \w+/g, '')
    .replace(/^(qdisc \w+) [0-9a-f]+:/, '$1')
}
