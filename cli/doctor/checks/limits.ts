/** Tables of the kernel that are nearly full: it then drops packets without a word but in its log. */
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

const NEARLY = 0.8

export const limits: Check = {
  name: 'limits',
  title: 'tables of connections and neighbours have room',
  find: facts => [...connections(facts), ...[4, 6].flatMap(family => neighbours(facts, family))]
}

function connections(facts: Facts): readonly Finding[] {
  const count = Number(facts.sysctl('netfilter/nf_conntrack_count'))
  // Of all namespaces, and to be set in the first one only; there is none where nobody tracks connections.
  const most = Number(facts.sysctl('netfilter/nf_conntrack_max'))
  if (!(most > 0) || count < most * NEARLY) return []
  return [
    {
      severity: count >= most ? 'error' : 'warning',
      what: 'the table of connections is nearly full: new ones will be dropped',
      evidence: [
        `net.netfilter.nf_conntrack_count = ${String(count)}`,
        `net.netfilter.nf_conntrack_max = ${String(most)}`
      ],
      remedy: `sysctl -w net.netfilter.nf_conntrack_max=${String(most * 2)}, and shorter nf_conntrack_*_timeout`
    }
  ]
}

/** @source Documentation/networking/ip-sysctl.rst neigh/default/gc_thresh3 */
function neighbours(facts: Facts, family: number): readonly Finding[] {
  const name = `net.ipv${String(family)}.neigh.default.gc_thresh3`
  const most = Number(facts.sysctl(`ipv${String(family)}/neigh/default/gc_thresh3`))
  if (!(most > 0)) return []
  const known = facts.host.neighbours.list().filter(one => one.address.family === family && one.state !== 'permanent')
  if (known.length < most * NEARLY) return []
  return [
    {
      severity: 'warning',
      what: `the table of IPv${String(family)} neighbours is nearly full: new ones will not be found`,
      evidence: [`${String(known.length)} neighbours on this host alone`, `${name} = ${String(most)}`],
      remedy: `sysctl -w ${name}=${String(most * 4)}, with gc_thresh1 and gc_thresh2 below it`
    }
  ]
}
