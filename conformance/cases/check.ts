/** CHECK: it must be content after ADD, and notice each thing that is taken away. */
import { type Attachment, Blocked, type Case, type Context, isInterfaceOf, NotTestable } from '../case.ts'
import { isObject, objects, parsed } from '../json.ts'
import { describeOutcome, succeeded } from '../plugin-call.ts'
import { atLeast } from '../versions.ts'
import { difference } from '../world.ts'
import { type Picture, picture } from './add.ts'

/** A change after which CHECK must fail. */
interface Change {
  readonly id: string
  readonly clause: string
  readonly what: string
  readonly roles: Case['roles']
  readonly make: (context: Context, attachment: Attachment) => void
}

/** Changes the container by `ip`. A plugin that did not make what is to be changed is judged for that elsewhere. */
function inside(context: Context, attachment: Attachment, ...args: readonly string[]): void {
  const done = attachment.netns.inside(() => context.world.try('ip', ...args))
  if (!done) throw new Blocked(`in the container, ip ${args.join(' ')} fails`)
}

/** The first address of the family as the kernel holds it: a plugin may have narrowed the prefix. */
function heldAddress(context: Context, attachment: Attachment, v6: boolean): string {
  const held = attachment.netns.inside(() => context.world.addresses(attachment.ifName))
  const found = held.find(address => address.includes(':') === v6)
  if (found === undefined) throw new NotTestable('the attachment has no address of the family')
  return found
}

const CHANGES: readonly Change[] = [
  {
    id: 'interface-removed',
    clause: 'check.interface',
    what: 'the interface is removed',
    roles: ['interface'],
    make: (context, attachment) => {
      if (context.profile.type === 'host-device')
        inside(context, attachment, 'link', 'set', attachment.ifName, 'down', 'name', 'away0')
      else inside(context, attachment, 'link', 'del', attachment.ifName)
    }
  },
  {
    id: 'interface-down',
    clause: 'check.unreachable',
    what: 'the interface is set down',
    roles: ['interface'],
    make: (context, attachment) => inside(context, attachment, 'link', 'set', attachment.ifName, 'down')
  },
  {
    id: 'address-removed',
    clause: 'check.address',
    what: 'its IPv4 address is removed',
    roles: ['interface'],
    make: (context, attachment) =>
      inside(context, attachment, 'address', 'del', heldAddress(context, attachment, false), 'dev', attachment.ifName)
  },
  {
    id: 'address-v6-removed',
    clause: 'check.address',
    what: 'its IPv6 address is removed',
    roles: ['interface'],
    make: (context, attachment) =>
      inside(context, attachment, 'address', 'del', heldAddress(context, attachment, true), 'dev', attachment.ifName)
  },
  {
    id: 'address-changed',
    clause: 'check.address',
    what: 'its address is replaced by the next one',
    roles: ['interface'],
    make: (context, attachment) => {
      inside(context, attachment, 'address', 'del', heldAddress(context, attachment, false), 'dev', attachment.ifName)
      inside(context, attachment, 'address', 'add', '10.77.0.200/24', 'dev', attachment.ifName)
    }
  },
  {
    id: 'default-route-removed',
    clause: 'check.route',
    what: 'the default route is removed',
    roles: ['interface'],
    make: (context, attachment) => inside(context, attachment, 'route', 'del', 'default')
  },
  {
    id: 'route-removed',
    clause: 'check.route',
    what: 'another route is removed',
    roles: ['interface'],
    make: (context, attachment) => inside(context, attachment, 'route', 'del', '10.99.0.0/16')
  },
  {
    id: 'mac-changed',
    clause: 'check.mac',
    what: 'the hardware address is changed',
    roles: ['interface'],
    make: (context, attachment) => {
      const listed = objects(attachment.result?.['interfaces']).find(one => isInterfaceOf(one, attachment))
      if (listed?.['mac'] === undefined) throw new NotTestable('the result tells no hardware address to compare with')
      const args = ['link', 'set', attachment.ifName, 'address', '02:00:00:aa:bb:cc']
      const done = attachment.netns.inside(() => context.world.try('ip', ...args))
      if (!done) throw new NotTestable('the kernel lets nobody change the hardware address of such a link')
    }
  },
  {
    id: 'netns-gone',
    clause: 'check.netns',
    what: 'the namespace is gone',
    roles: ['interface', 'loopback'],
    make: (_context, attachment) => attachment.netns.remove()
  },
  {
    id: 'netns-of-chain-gone',
    clause: 'check.netns-of-chain',
    what: 'the namespace is gone',
    roles: ['chained'],
    make: (_context, attachment) => attachment.netns.remove()
  },
  {
    id: 'loopback-down',
    clause: 'check.own-work',
    what: 'lo is set down',
    roles: ['loopback'],
    make: (context, attachment) => inside(context, attachment, 'link', 'set', 'lo', 'down')
  },
  {
    id: 'mtu-changed',
    clause: 'check.own-work',
    what: 'the MTU that tuning set is changed',
    roles: ['chained'],
    make: (context, attachment) => {
      if (context.profile.type !== 'tuning') throw new NotTestable('sets no MTU')
      inside(context, attachment, 'link', 'set', attachment.ifName, 'mtu', '1280')
    }
  }
]

function changeCase(change: Change): Case {
  return {
    id: `check-${change.id}`,
    title: `CHECK when ${change.what}`,
    part: 'protocol',
    clauses: [change.clause],
    ...(change.roles === undefined ? {} : { roles: change.roles }),
    ...(change.id === 'mtu-changed' ? { when: ({ type }) => type === 'tuning' } : {}),
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      context.must('CHECK', attachment)
      change.make(context, attachment)
      const outcome = context.call('CHECK', attachment)
      context.judgeOutcome(change.clause, !succeeded(outcome), `CHECK fails when ${change.what}`, outcome)
    }
  }
}

function judgeUnchanged(context: Context, before: Picture, after: Picture): void {
  const changed = [difference(before.host, after.host), difference(before.container, after.container)]
  const lines = changed.flatMap(({ added, removed }) => [...added, ...removed])
  context.judge('check.changes-nothing', lines.length === 0, 'CHECK changes nothing', () => lines.join('; '))
}

export const CHECK_CASES: readonly Case[] = [
  {
    id: 'check-after-add',
    title: 'CHECK right after ADD, and nothing changes',
    part: 'protocol',
    clauses: ['check.holds', 'check.changes-nothing'],
    since: '0.4.0',
    run: context => {
      for (const version of context.versions().filter(one => atLeast(one, '0.4.0'))) {
        const attachment = context.attachment()
        context.mustAdd(attachment, { version })
        // What it changes it changes in every version: once is enough to look at everything.
        const before = version === context.newest() ? picture(context, attachment) : undefined
        const outcome = context.call('CHECK', attachment, { version })
        context.judgeOutcome('check.holds', succeeded(outcome), `CHECK in ${version} succeeds`, outcome)
        if (before !== undefined) judgeUnchanged(context, before, picture(context, attachment))
        context.call('DEL', attachment, { version })
      }
    }
  },
  {
    id: 'check-needs-prev',
    title: 'CHECK without prevResult',
    part: 'protocol',
    clauses: ['check.needs-prev'],
    roles: ['interface'],
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      const outcome = context.call('CHECK', attachment, { noPrevResult: true })
      context.judgeOutcome('check.needs-prev', !succeeded(outcome), 'CHECK fails', outcome)
    }
  },
  ...CHANGES.map(changeCase),
  {
    id: 'check-reservation-gone',
    title: 'CHECK of an IPAM plugin when what it reserved was given back',
    part: 'protocol',
    clauses: ['check.own-work'],
    roles: ['ipam'],
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      const before = context.world.snapshot()
      const prevResult = context.mustAdd(attachment)
      const made = difference(before, context.world.snapshot()).added
      if (!made.some(line => line.includes(attachment.containerId)))
        throw new NotTestable('it writes down no reservation that could go')
      context.must('CHECK', attachment)
      context.must('DEL', attachment)
      const outcome = context.call('CHECK', attachment, { prevResult })
      context.judgeOutcome('check.own-work', !succeeded(outcome), 'CHECK fails when the reservation is gone', outcome)
    }
  },
  {
    id: 'check-consults-prev',
    title: 'CHECK with a prevResult that names an address that is not there',
    part: 'protocol',
    clauses: ['check.consults'],
    roles: ['interface'],
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      const result = context.mustAdd(attachment)
      context.must('CHECK', attachment)
      const other = parsed(JSON.stringify(result).replaceAll('10.77.0.5/24', '10.77.0.222/24'))
      const outcome = context.call('CHECK', attachment, { prevResult: isObject(other) ? other : {} })
      const expected = 'CHECK with 10.77.0.222 in prevResult fails'
      context.judgeOutcome('check.consults', !succeeded(outcome), expected, outcome)
    }
  },
  {
    id: 'check-later-mac',
    title: 'CHECK after a later plugin of the chain has changed the hardware address and said so in the result',
    part: 'protocol',
    clauses: ['check.tolerates'],
    roles: ['interface'],
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      const result = context.mustAdd(attachment)
      context.must('CHECK', attachment)
      const mac = '02:00:00:aa:bb:cc'
      const args = ['link', 'set', attachment.ifName, 'address', mac]
      if (!attachment.netns.inside(() => context.world.try('ip', ...args)))
        throw new NotTestable('the kernel lets nobody change the hardware address of such a link')
      const interfaces = objects(result['interfaces']).map(one =>
        isInterfaceOf(one, attachment) ? { ...one, mac } : one
      )
      // The permanent neighbour entries and routes that go with the old address are the later plugin's to mend.
      const outcome = context.call('CHECK', attachment, { prevResult: { ...result, interfaces } })
      context.judgeOutcome('check.tolerates', succeeded(outcome), `CHECK with ${mac} in prevResult succeeds`, outcome)
    }
  },
  {
    id: 'check-later-routes',
    title: 'CHECK after a later plugin of the chain has taken routes out, put one in, and said so in the result',
    part: 'protocol',
    clauses: ['check.tolerates'],
    roles: ['interface'],
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      const result = context.mustAdd(attachment)
      context.must('CHECK', attachment)
      inside(context, attachment, 'route', 'del', '10.99.0.0/16')
      inside(context, attachment, 'route', 'del', 'default')
      inside(context, attachment, 'route', 'add', '10.98.0.0/16', 'via', '10.77.0.1')
      const kept = objects(result['routes']).filter(({ dst }) => dst !== '10.99.0.0/16' && dst !== '0.0.0.0/0')
      const routes = [...kept, { dst: '10.98.0.0/16', gw: '10.77.0.1' }]
      const outcome = context.call('CHECK', attachment, { prevResult: { ...result, routes } })
      context.judgeOutcome(
        'check.tolerates',
        succeeded(outcome),
        'CHECK with the routes that are left succeeds',
        outcome
      )
    }
  },
  {
    id: 'check-host-side',
    title: 'CHECK when the host side was taken apart',
    part: 'protocol',
    clauses: ['check.host-side'],
    roles: ['interface'],
    when: ({ sabotage }) => sabotage !== undefined,
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      context.must('CHECK', attachment)
      context.profile.sabotage?.(context.world)
      const outcome = context.call('CHECK', attachment)
      context.judgeOutcome('check.host-side', !succeeded(outcome), 'CHECK fails', outcome)
    }
  },
  {
    id: 'check-own-work',
    title: 'CHECK of a plugin in the chain whose work was removed',
    part: 'protocol',
    clauses: ['check.own-work'],
    roles: ['chained'],
    when: ({ sabotage }) => sabotage !== undefined,
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      const before = context.world.networkLines()
      context.mustAdd(attachment)
      const made = difference(before, context.world.networkLines()).added
      if (made.length === 0) throw new NotTestable('it made nothing on the host that could be removed')
      context.must('CHECK', attachment)
      context.profile.sabotage?.(context.world)
      const outcome = context.call('CHECK', attachment)
      context.judgeOutcome('check.own-work', !succeeded(outcome), 'CHECK fails', outcome)
    }
  },
  {
    id: 'check-tolerates',
    title: 'CHECK when others added something beside the attachment',
    part: 'protocol',
    clauses: ['check.tolerates'],
    roles: ['interface'],
    since: '0.4.0',
    run: context => {
      const attachment = context.attachment()
      context.mustAdd(attachment)
      context.must('CHECK', attachment)
      attachment.netns.inside(() =>
        context.world.ipBatch([
          `address add 10.55.0.9/24 dev ${attachment.ifName}`,
          `route add 10.66.0.0/16 dev ${attachment.ifName}`,
          'link add other0 type bridge'
        ])
      )
      const outcome = context.call('CHECK', attachment)
      context.judge('check.tolerates', succeeded(outcome), 'CHECK succeeds', () => describeOutcome(outcome))
    }
  }
]
