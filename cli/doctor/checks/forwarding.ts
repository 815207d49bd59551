/** The host routes for containers only while the kernel forwards. */
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

const SYSCTLS = [
  { family: 4, path: 'ipv4/ip_forward', words: 'net.ipv4.ip_forward' },
  { family: 6, path: 'ipv6/conf/all/forwarding', words: 'net.ipv6.conf.all.forwarding' }
] as const

export const forwarding: Check = {
  name: 'forwarding',
  title: 'the host forwards what containers send',
  find: facts => SYSCTLS.flatMap(one => findingFor(one, facts))
}

function findingFor({ family, path, words }: (typeof SYSCTLS)[number], facts: Facts): readonly Finding[] {
  const routed = facts.routed
    .map(({ member }) => member.namespace)
    .filter(one => one.routes.some(route => route.family === family && route.dst === 'default' && route.gateway !== ''))
  if (routed.length === 0 || facts.sysctl(path) !== '0') return []
  return [
    {
      severity: 'error',
      what: `the host does not forward IPv${String(family)}, so containers reach nothing beyond it`,
      evidence: [`${words} = 0`, `${String(routed.length)} containers have a default route over the host`],
      remedy: `sysctl -w ${words}=1, and in /etc/sysctl.d so that it stays`,
      fix: { words: `sysctl -w ${words}=1`, apply: () => facts.host.sysctls.write(path, '1') }
    }
  ]
}
