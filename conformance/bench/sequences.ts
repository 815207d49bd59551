/** Scenarios of several calls, as runtimes make them, and of calls side by side. */
import { join } from 'node:path'
import { Chain, ChainFailure, type JsonObject, sum } from './chain.ts'
import { bareNodeCall, outputOf, run, timedCall } from './measure.ts'
import { BANDWIDTH, BRIDGE_NEEDS, bridge, PATH, published, V4, V6, VERSION, vxlan } from './networks.ts'
import type { Scenario, Stage } from './scenario.ts'
import { NODE_OWN_WORK } from './targets.ts'

/**
 * What nerdctl execs for its default network: before the first ADD the whole DEL chain, with neither namespace nor
 * prevResult; after the container's end the DEL chain again, without its namespace.
 */
const NERDCTL: Scenario = {
  id: 'nerdctl',
  title: 'nerdctl: bridge ipMasq + portmap + firewall + tuning',
  group: 'sequences',
  needs: [...BRIDGE_NEEDS, 'portmap', 'firewall', 'tuning'],
  counted: true,
  prepare: stage => {
    const plugins = [
      bridge(stage, { ipMasq: true, hairpinMode: true }),
      published([18080, 80]),
      { type: 'firewall', ingressPolicy: 'same-bridge' },
      { type: 'tuning' }
    ]
    const cniArgs = 'IgnoreUnknown=1;NERDCTL_CNI_DHCP_HOSTNAME=bench'
    const options = { name: 'bridge', cniVersion: VERSION, plugins, env: { PATH }, cniArgs }
    const chain = new Chain(stage.contestant.dir, options)
    const total = (timing: readonly number[]) => sum(timing, chain.all)
    return () => {
      const netns = stage.container('c1')
      const attachment = { containerId: 'default-bench1', ifName: 'eth0', netns }
      const gone = { ...attachment, netns: undefined }
      chain.result = undefined
      const before = total(chain.del(gone))
      const add = total(chain.add(attachment))
      // The container's namespace is gone before nerdctl hears of its end.
      stage.forget('c1')
      const stop = total(chain.del(gone))
      return { start: before + add, 'start: DEL part': before, 'start: ADD part': add, stop }
    }
  }
}

/** What containerd's CRI execs for a pod: loopback, then its list; at the end the whole twice. */
function cri(id: string, title: string, chained: readonly (JsonObject & { readonly type: string })[]): Scenario {
  const prepare = (stage: Stage) => {
    const env = { PATH }
    const cniArgs = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=bench;K8S_POD_UID=1'
    const loopback = { name: 'cni-loopback', cniVersion: '0.3.1', plugins: [{ type: 'loopback' }], env, cniArgs }
    const lo = new Chain(stage.contestant.dir, loopback)
    const plugins = [bridge(stage, { ipMasq: true, promiscMode: true }, [V4, V6]), ...chained]
    const pod = new Chain(stage.contestant.dir, { name: 'containerd-net', cniVersion: VERSION, plugins, env, cniArgs })
    return () => {
      const netns = stage.container('c1')
      const ofLo = { containerId: 'bench1', ifName: 'lo', netns }
      const ofEth = { containerId: 'bench1', ifName: 'eth0', netns }
      const total = (first: readonly number[], rest: readonly number[]) => sum(first, lo.all) + sum(rest, pod.all)
      const start = total(lo.add(ofLo), pod.add(ofEth))
      const stop = total(lo.del(ofLo), pod.del(ofEth))
      const gone = { netns: undefined }
      const again = total(lo.del({ ...ofLo, ...gone }), pod.del({ ...ofEth, ...gone }))
      stage.forget('c1')
      return { 'pod start': start, 'pod stop': stop, 'pod remove': again }
    }
  }
  const needs = [...BRIDGE_NEEDS, 'loopback', ...chained.map(({ type }) => type)]
  return { id, title: `CRI: loopback, ${title}, dual stack`, group: 'sequences', needs, prepare, counted: true }
}

const PORTMAP = { ...published([18080, 80]), type: 'portmap' }

/** A container on an overlay and one on a plain bridge, in turns on one host. */
const VXLAN_BESIDE_BRIDGE: Scenario = {
  id: 'vxlan-beside-bridge',
  title: 'vxlan and bridge, each + host-local, in turns',
  group: 'sequences',
  needs: [...BRIDGE_NEEDS, 'vxlan'],
  kind: 'vxlan',
  counted: false,
  prepare: stage => {
    const chainOf = (name: string, plugin: JsonObject) =>
      new Chain(stage.contestant.dir, { name, cniVersion: VERSION, plugins: [plugin], env: { PATH } })
    const [overlay, plain] = [chainOf('overlay', vxlan(stage)), chainOf('plain', bridge(stage))]
    const attachment = { containerId: 'bench-1', ifName: 'eth0', netns: stage.container('c1') }
    const both = (chain: Chain) => [sum(chain.add(attachment), [0]), sum(chain.del(attachment), [0])] as const
    let overlayFirst = false
    return () => {
      overlayFirst = !overlayFirst
      const first = overlayFirst ? both(overlay) : undefined
      const [bridgeAdd, bridgeDel] = both(plain)
      const [vxlanAdd, vxlanDel] = first ?? both(overlay)
      return { 'vxlan ADD': vxlanAdd, 'bridge ADD': bridgeAdd, 'vxlan DEL': vxlanDel, 'bridge DEL': bridgeDel }
    }
  }
}

/** A plugin started with nothing to do: what every one of a runtime's execs costs at least. */
export const BARE: Scenario = {
  id: 'bare',
  title: 'start with an empty environment (banner only)',
  group: 'start',
  needs: ['host-local'],
  counted: true,
  prepare: stage => {
    const call = timedCall('host-local', [join(stage.contestant.dir, 'host-local')], { PATH }, '')
    return () => {
      const { amount, status } = run(call)
      if (status !== 0) throw new ChainFailure(`host-local: exit ${status}: ${outputOf(call)}`)
      return { start: amount }
    }
  }
}

/** Node with an empty program, and a call of the Node engine, in turns: what is between them is the engine's own. */
export const NODE_START: Scenario = {
  id: NODE_OWN_WORK.scenario,
  title: 'bare Node and a call of the Node engine, in turns',
  group: 'start',
  needs: BRIDGE_NEEDS,
  counted: false,
  onlyFor: 'node',
  prepare: stage => {
    const bare = bareNodeCall()
    const options = { name: 'bench', cniVersion: VERSION, plugins: [bridge(stage)], env: { PATH } }
    const chain = new Chain(stage.contestant.dir, options)
    const attachment = { containerId: 'bench-1', ifName: 'eth0', netns: stage.container('c1') }
    return () => {
      const start = run(bare).amount
      const add = sum(chain.add(attachment), [0])
      chain.del(attachment)
      return { [NODE_OWN_WORK.bare]: start, [NODE_OWN_WORK.call]: add }
    }
  }
}

export const SEQUENCES: readonly Scenario[] = [
  NERDCTL,
  cri('cri', 'bridge ipMasq + portmap', [PORTMAP]),
  cri('cri-bandwidth', 'bridge ipMasq + portmap + bandwidth', [PORTMAP, BANDWIDTH]),
  VXLAN_BESIDE_BRIDGE
]
