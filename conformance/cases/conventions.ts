/** Conventions beside the specification: hardware addresses, capability arguments. */
import type { CallOptions, Case, Context } from '../case.ts'

const MACS = { CNI_ARGS: '02:aa:00:00:00:01', args: '02:aa:00:00:00:02', runtimeConfig: '02:aa:00:00:00:03' }

type Source = keyof typeof MACS

/** A call that asks for a hardware address in all the given ways at once. */
function asking(sources: readonly Source[]): CallOptions {
  const config = {
    ...(sources.includes('args') ? { args: { cni: { mac: MACS.args } } } : {}),
    ...(sources.includes('runtimeConfig') ? { runtimeConfig: { mac: MACS.runtimeConfig } } : {})
  }
  return { config, env: sources.includes('CNI_ARGS') ? { CNI_ARGS: `IgnoreUnknown=1;MAC=${MACS.CNI_ARGS}` } : {} }
}

function judgeMac(context: Context, sources: readonly Source[]): void {
  const attachment = context.attachment()
  context.mustAdd(attachment, asking(sources))
  const link = attachment.netns.inside(() => context.world.link(attachment.ifName))
  const winner = sources.at(-1) ?? 'CNI_ARGS'
  const expected = `asked by ${sources.join(' and ')}: ${MACS[winner]}`
  context.judge('mac.sources', link?.['address'] === MACS[winner], expected, () => String(link?.['address']))
  context.call('DEL', attachment, asking(sources))
}

export const CONVENTION_CASES: readonly Case[] = [
  {
    id: 'mac-sources',
    title: 'hardware addresses on demand',
    part: 'protocol',
    clauses: ['mac.sources'],
    when: ({ macFrom }) => macFrom !== undefined,
    run: context => {
      const sources = context.profile.macFrom ?? []
      for (const source of sources) judgeMac(context, [source])
      judgeMac(context, sources)
    }
  },
  {
    id: 'runtime-config-case',
    title: 'capability arguments as Go runtimes spell them',
    part: 'protocol',
    clauses: ['runtime-config.case'],
    plugins: ['portmap', 'bandwidth'],
    run: context => {
      const portMappings = [{ HostPort: 18080, ContainerPort: 80, Protocol: 'TCP', HostIP: '' }]
      const bandwidth = { IngressRate: 8000000, IngressBurst: 4294967295, EgressRate: 8000000, EgressBurst: 4294967295 }
      const own = { ingressRate: undefined, ingressBurst: undefined, egressRate: undefined, egressBurst: undefined }
      const config =
        context.profile.type === 'portmap'
          ? { runtimeConfig: { portMappings } }
          : { ...own, runtimeConfig: { bandwidth } }
      const before = context.world.networkLines().length
      const attachment = context.attachment()
      const wired = context.world.networkLines().length
      context.mustAdd(attachment, { config })
      const after = context.world.networkLines().length
      const expected = 'the host has the rules or qdiscs that were asked for'
      context.judge(
        'runtime-config.case',
        after > wired,
        expected,
        () => `${before}, ${wired}, ${after} things on the host`
      )
    }
  }
]
