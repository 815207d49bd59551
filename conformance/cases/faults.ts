/** Faults that public reports and attacks have found in plugins: what a container can do to the host, and what others send. */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Attachment, type CallOptions, type Case, type Context, NotTestable } from '../case.ts'
import { isObject, stable } from '../json.ts'
import type { Netns } from '../netns.ts'
import { describeOutcome, type Outcome, succeeded } from '../plugin-call.ts'
import { ask, askOnce, Server } from '../probe.ts'
import { ADVERTISED, advertiseRouter } from '../raw-sockets.ts'
import { selfCommand } from '../self.ts'
import { UPLINK, WIRE } from '../world.ts'

const PAUSE = new Int32Array(new SharedArrayBuffer(4))

/** Whether what the host has of routes and addresses comes from the advertisement. */
function advertised(context: Context): readonly string[] {
  const routes = context.world
    .json('ip', '-j', '-6', 'route', 'show', 'default')
    .filter(one => one['protocol'] === 'ra')
  const addresses = context.world.run('ip', '-6', '-o', 'address', 'show').split('\n')
  return [...routes.map(stable), ...addresses.filter(line => line.includes(ADVERTISED.slice(0, 13)))]
}

/** Advertises from inside until the host shows it, at most so long. */
function advertise(context: Context, netns: Netns, link: string, milliseconds: number): readonly string[] {
  netns.inside(() => context.world.try('ip', 'address', 'add', 'fe80::bad/64', 'dev', link, 'nodad'))
  const index = Number(netns.inside(() => context.world.link(link))?.['ifindex'])
  const until = Date.now() + milliseconds
  for (;;) {
    netns.inside(() => advertiseRouter(index))
    const seen = advertised(context)
    if (seen.length > 0 || Date.now() > until) return seen
    Atomics.wait(PAUSE, 0, 0, 100)
  }
}

const ADVERTISEMENT: Case = {
  id: 'fault-router-advertisement',
  title: 'a container advertises itself as a router',
  part: 'hostile',
  clauses: ['robust.router-advertisement'],
  roles: ['interface', 'meta'],
  when: ({ type }) => type !== 'host-device',
  run: context => {
    const attachment = context.attachment()
    const [first] = attachment.parts.ips
    // The wire stands for the network outside, where others may listen to whom they like.
    for (const name of [UPLINK, WIRE]) context.world.setSysctl(`ipv6/conf/${name}/accept_ra`, '0')
    // Addresses of IPv4 alone: else the plugin makes the host a router, and routers take no advertisements.
    const onlyV4 = {
      ...attachment,
      parts: { ...attachment.parts, ips: first === undefined ? [] : [first], routes: [] }
    }
    context.mustAdd(onlyV4)
    const seen = advertise(context, attachment.netns, attachment.ifName, 1500)
    const expected = 'the host takes neither route nor address from it'
    context.judge('robust.router-advertisement', seen.length === 0, expected, () => seen.join('; '))
    if (seen.length > 0) return
    // On a pair without any plugin the same works: or nothing was shown.
    const plain = context.world.newContainer('plain')
    const name = plain.path.slice('/run/netns/'.length)
    context.world.setSysctl('ipv6/conf/all/forwarding', '0')
    context.world.ipBatch([`link add control0 type veth peer name control1 netns ${name}`, 'link set control0 up'])
    plain.inside(() => context.world.run('ip', 'link', 'set', 'control1', 'up'))
    if (advertise(context, plain, 'control1', 4000).length === 0)
      throw new NotTestable('this host takes no advertisements at all')
  }
}

const LOCAL_PORT = 9998

/** Makes a container send what goes to 127.0.0.1 to its gateway, as one with NET_ADMIN can. */
function aimAtLoopback(context: Context, attachment: Attachment): void {
  attachment.netns.inside(() => {
    context.world.setSysctl('ipv4/conf/all/route_localnet', '1')
    context.world.ipBatch([
      `route add 127.0.0.1/32 via 10.88.0.1 dev ${attachment.ifName} table 7`,
      'rule add pref 100 lookup local',
      'rule add pref 50 to 127.0.0.1 lookup 7',
      'rule del pref 0'
    ])
  })
}

const LOOPBACK: Case = {
  id: 'fault-loopback-exposure',
  title: "a container sends to the host's 127.0.0.1 by way of its gateway",
  part: 'hostile',
  clauses: ['robust.loopback-exposure'],
  plugins: ['portmap'],
  run: context => {
    const victim = context.attachment()
    const attacker = context.attachment()
    context.world.setSysctl('ipv4/ip_forward', '1')
    aimAtLoopback(context, attacker)
    const server = Server.start(context.world, context.world.host, 'tcp', LOCAL_PORT)
    const attack = () => attacker.netns.inside(() => askOnce('tcp', '127.0.0.1', LOCAL_PORT))
    const judge = (when: string) => {
      const seen = attack()
      const expected = `${when}: no answer from 127.0.0.1:${LOCAL_PORT} of the host`
      return context.judge('robust.loopback-exposure', seen === undefined, expected, () => `an answer to ${seen}`)
    }
    context.mustAdd(victim)
    const closed = judge('while ports are published')
    context.must('DEL', victim)
    if (judge('after DEL of a neighbour') && closed) {
      // With the door opened by hand the same attack comes through: or nothing was shown.
      context.world.run('nft', 'flush', 'ruleset')
      context.world.setSysctl('ipv4/conf/judgebr/route_localnet', '1')
      const open = attacker.netns.inside(() => ask('tcp', '127.0.0.1', LOCAL_PORT))
      if (open === undefined) throw new NotTestable('the attack does not work here even with the door open')
    }
    server.stop()
  }
}

/** An interface that another runtime made: of the kind that the plugin makes where that can be made by hand. */
function foreignLink(context: Context, netns: Netns, name: string, n: number): void {
  const box = netns.path.slice('/run/netns/'.length)
  const line =
    context.profile.kernelKind === 'macvlan'
      ? `link add link uplink name foreign${n} type macvlan mode bridge`
      : `link add foreign${n} type veth peer name other${n}`
  context.world.ipBatch([line, `link set foreign${n} netns ${box} name ${name}`])
}

const FOREIGN: Case = {
  id: 'fault-foreign-link',
  title: 'the container has an interface of that name, which somebody else made',
  part: 'hostile',
  clauses: ['robust.foreign-link'],
  roles: ['interface'],
  run: context => {
    context.requireKernel()
    const judge = (netns: Netns, index: unknown, what: string, outcome: Outcome) => {
      const left = netns.inside(() => context.world.link('eth0'))
      const seen = () => `${stable(left ?? null)}; ${describeOutcome(outcome)}`
      context.judge(
        'robust.foreign-link',
        left?.['ifindex'] === index,
        `${what}: the foreign eth0 is still there`,
        seen
      )
    }
    const indexIn = (netns: Netns) => netns.inside(() => context.world.link('eth0'))?.['ifindex']
    const attachment = context.attachment()
    foreignLink(context, attachment.netns, 'eth0', 0)
    const index = indexIn(attachment.netns)
    const add = context.call('ADD', attachment)
    judge(attachment.netns, index, 'after ADD, which has to fail', add)
    const del = context.call('DEL', attachment, { noPrevResult: true })
    judge(attachment.netns, index, 'after the DEL that follows', del)
    // The path of a namespace that is gone may be another container's by now, as /proc/PID/ns/net.
    const gone = context.attachment()
    context.mustAdd(gone)
    const stranger = context.world.newContainer('stranger')
    foreignLink(context, stranger, 'eth0', 1)
    const strangers = indexIn(stranger)
    gone.netns.remove()
    const recycled = context.call('DEL', gone, { env: { CNI_NETNS: stranger.path } })
    judge(stranger, strangers, "after DEL with another container's namespace", recycled)
  }
}

const HOSTS_OWN: Case = {
  id: 'fault-host-interface',
  title: "the host has an interface of the container's interface name",
  part: 'hostile',
  clauses: ['robust.host-interface'],
  roles: ['interface', 'meta'],
  run: context => {
    context.requireKernel()
    const attachment = context.attachment()
    const name = attachment.ifName
    context.world.ipBatch([`link add ${name} type veth peer name wire1`, `link set ${name} up`])
    const index = context.world.link(name)?.['ifindex']
    const judge = (what: string, outcome: Outcome) => {
      const left = context.world.link(name)
      const holds = left?.['ifindex'] === index && Array.isArray(left?.['flags']) && left['flags'].includes('UP')
      const seen = () => `${stable(left ?? null)}; ${describeOutcome(outcome)}`
      context.judge('robust.host-interface', holds, `${what}: ${name} of the host is as it was`, seen)
    }
    judge('after ADD', context.call('ADD', attachment))
    judge('after DEL', context.call('DEL', attachment))
    judge('after DEL without CNI_NETNS', context.call('DEL', attachment, { env: { CNI_NETNS: undefined } }))
    const empty = context.call('DEL', attachment, { env: { CNI_NETNS: '' }, noPrevResult: true })
    judge('after DEL with CNI_NETNS empty', empty)
    const gone = context.call('DEL', attachment, { env: { CNI_NETNS: '/run/netns/gone' }, noPrevResult: true })
    judge('after DEL with a namespace that is gone', gone)
  }
}

const FORGED: Case = {
  id: 'fault-forged-netlink',
  title: 'a program of the container answers the plugin in the place of the kernel',
  part: 'hostile',
  clauses: ['robust.forged-netlink'],
  roles: ['interface', 'chained', 'loopback'],
  run: context => {
    context.requireKernel()
    const attachment = context.attachment()
    // What fails in peace, at the first time or the second, is no sign of forgery.
    const all = context.supports('0.4.0') ? ['ADD', 'CHECK', 'DEL'] : ['ADD', 'DEL']
    const fine = () => all.filter(verb => succeeded(context.call(verb, attachment)))
    const first = fine()
    const second = fine()
    const verbs = first.filter(verb => second.includes(verb))
    if (!verbs.includes('ADD')) throw new NotTestable('it cannot be added again after DEL')
    const ready = join(context.world.folder, 'forger')
    const [command, ...args] = selfCommand(['--probe', 'forge', ready])
    const forger = attachment.netns.inside(() => spawn(command, args, { stdio: 'ignore' }))
    const until = Date.now() + 20_000
    while (!existsSync(ready) && Date.now() < until) Atomics.wait(PAUSE, 0, 0, 5)
    try {
      for (let round = 1; round <= 6; round += 1) {
        for (const verb of verbs) {
          const outcome = context.call(verb, attachment)
          const expected = `round ${round}: ${verb} succeeds`
          if (!context.judgeOutcome('robust.forged-netlink', succeeded(outcome), expected, outcome)) return
        }
      }
    } finally {
      forger.kill('SIGKILL')
    }
  }
}

const WITHOUT_RIGHTS = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin']

const FAILED_DEL: Case = {
  id: 'fault-failed-del',
  title: 'the kernel refuses to remove the interface',
  part: 'hostile',
  clauses: ['robust.failed-del'],
  roles: ['interface'],
  run: context => {
    if (!context.world.try('setpriv', '--version')) throw new NotTestable('needs the command setpriv (util-linux)')
    const ways: readonly (readonly [string, CallOptions])[] = [
      ['DEL', {}],
      ['DEL without CNI_NETNS', { env: { CNI_NETNS: '' }, noPrevResult: true }]
    ]
    for (const [what, options] of ways) {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      context.ipam.forget()
      const outcome = context.call('DEL', attachment, { ...options, wrapper: WITHOUT_RIGHTS })
      const there = attachment.netns.inside(() => context.world.link(attachment.ifName)) !== undefined
      const released = context.ipam.calls().some(({ verb }) => verb === 'DEL')
      const seen = () => `IPAM was ${released ? '' : 'not '}asked to DEL; ${describeOutcome(outcome)}`
      const expected = `${what} that leaves ${attachment.ifName} fails, and the address is kept`
      context.judge('robust.failed-del', !there || (!succeeded(outcome) && !released), expected, seen)
      const again = context.call('DEL', attachment)
      context.judgeOutcome('robust.failed-del', succeeded(again), 'DEL with all rights succeeds afterwards', again)
    }
  }
}

/** ADD that has to succeed although what it is given is unusual, and DEL after it. */
function liberal(clause: string, context: Context, attachment: Attachment, options: CallOptions): void {
  const add = context.call('ADD', attachment, options)
  context.judgeOutcome(clause, succeeded(add), 'ADD succeeds', add)
  const del = context.call('DEL', attachment, options)
  context.judgeOutcome(clause, succeeded(del), 'DEL succeeds', del)
}

const NEGATIVE: Case = {
  id: 'fault-negative-index',
  title: 'results of others with interface -1',
  part: 'hostile',
  clauses: ['robust.negative-index'],
  roles: ['interface', 'chained'],
  since: '0.3.0',
  run: context => {
    context.requireKernel()
    const attachment = context.attachment()
    const ips = attachment.parts.ips.map(ip => ({ ...ip, interface: -1 }))
    const parts = { ...attachment.parts, ips }
    liberal('robust.negative-index', context, { ...attachment, parts }, {})
  }
}

const WRAPPED: Case = {
  id: 'fault-wrapped',
  title: 'the plugin lies behind a wrapper, under another name',
  part: 'hostile',
  clauses: ['robust.wrapped'],
  run: context => {
    context.requireKernel()
    const { type } = context.profile
    const folder = join(context.world.folder, 'wrapped')
    mkdirSync(folder)
    symlinkSync(context.path, join(folder, `${type}.real`))
    const wrapper = join(folder, type)
    writeFileSync(wrapper, `#!/bin/sh\nexec ${folder}/${type}.real\n`)
    chmodSync(wrapper, 0o755)
    liberal('robust.wrapped', context, context.attachment(), { wrapper: [wrapper] })
  }
}

const GATEWAY_ZERO: Case = {
  id: 'fault-gateway-zero',
  title: 'a route of IPAM with gateway 0.0.0.0',
  part: 'hostile',
  clauses: ['robust.gateway-zero'],
  roles: ['interface'],
  since: '0.3.0',
  run: context => {
    context.requireKernel()
    const attachment = context.attachment()
    const parts = { ...attachment.parts, routes: [{ dst: '10.9.0.0/24', gw: '0.0.0.0' }] }
    const add = context.call('ADD', { ...attachment, parts })
    context.judgeOutcome('robust.gateway-zero', succeeded(add), 'ADD succeeds', add)
    if (!succeeded(add)) return
    const routes = attachment.netns.inside(() => context.world.routes())
    const found = routes.find(route => route['dst'] === '10.9.0.0/24')
    const onLink = isObject(found) && found['gateway'] === undefined && found['dev'] === attachment.ifName
    context.judge('robust.gateway-zero', onLink, 'a route to 10.9.0.0/24 on the link', () => stable(routes))
  }
}

const MANY_ROUTES = 2000

const SIZES: Case = {
  id: 'fault-sizes',
  title: `${MANY_ROUTES} routes from IPAM`,
  part: 'hostile',
  clauses: ['robust.sizes'],
  roles: ['interface'],
  since: '0.3.0',
  run: context => {
    context.requireKernel()
    const attachment = context.attachment()
    const routes = Array.from({ length: MANY_ROUTES }, (_none, i) => ({
      dst: `10.${100 + Math.floor(i / 256)}.${i % 256}.0/24`,
      gw: '10.77.0.1'
    }))
    const add = context.call('ADD', { ...attachment, parts: { ...attachment.parts, routes } })
    context.judgeOutcome('robust.sizes', succeeded(add), 'ADD succeeds', add)
    if (!succeeded(add)) return
    const held = attachment.netns.inside(() => context.world.routes())
    const made = held.filter(route => /^10\.1\d\d\./.test(String(route['dst']))).length
    context.judge('robust.sizes', made === MANY_ROUTES, `${MANY_ROUTES} routes are set`, () => String(made))
    const del = context.call('DEL', attachment)
    context.judgeOutcome('robust.sizes', succeeded(del), 'DEL succeeds', del)
  }
}

export const FAULT_CASES: readonly Case[] = [
  ADVERTISEMENT,
  LOOPBACK,
  FOREIGN,
  HOSTS_OWN,
  FORGED,
  FAILED_DEL,
  NEGATIVE,
  WRAPPED,
  GATEWAY_ZERO,
  SIZES
]
