/** A namespace of the real kernel as text, by iproute2, nft and tc: what of it must be the same again after DEL. */
import { ipAddresses, ipLinks, ipRoutes, must } from './ip-json.ts'
import type { Namespace } from './namespace.ts'

/** Without numbers, and without addresses that the kernel chooses: those differ from run to run. */
export function namespaceText(namespace: Namespace): string {
  const lines: string[] = []
  for (const link of ipLinks(namespace)) {
    const words = [link.ifname, link.linkinfo?.info_kind ?? 'device', `mtu ${String(link.mtu)}`]
    if (link.flags.includes('UP')) words.push('up')
    if (link.flags.includes('PROMISC')) words.push('promisc')
    if (link.master !== undefined) words.push(`master ${link.master}`)
    if (link.ifalias !== undefined) words.push(`alias ${JSON.stringify(link.ifalias)}`)
    lines.push(words.join(' '))
    for (const address of ipAddresses(namespace, link.ifname)) {
      if (address.scope === 'global') lines.push(`  ${address.local}/${String(address.prefixlen)}`)
    }
    lines.push(...must(namespace, 'tc', 'qdisc', 'show', 'dev', link.ifname).split('\n').filter(isConfigured).map(text))
  }
  for (const family of [4, 6] as const) {
    for (const route of ipRoutes(namespace, family)) {
      if (route.protocol === 'kernel' || route.dst.startsWith('fe80')) continue
      lines.push(
        `route ${route.dst} via ${route.gateway ?? ''} dev ${route.dev ?? ''} metric ${String(route.metric ?? 0)}`
      )
    }
    lines.push(...must(namespace, 'ip', `-${String(family)}`, 'rule').split('\n'))
  }
  lines.push(must(namespace, 'nft', 'list', 'ruleset'))
  return lines.join('\n')
}

/** Not the queues that every link is born with. */
function isConfigured(line: string): boolean {
  return /^qdisc (tbf|ingress)/.test(line)
}

function text(line: string): string {
  return `  ${line.trim().replace(/ [0-9a-f]+:/, '')}`
}
