/** GC and STATUS, since 1.1.0. */
import type { Attachment, Case, Context } from '../case.ts'
import { errorCode, succeeded } from '../plugin-call.ts'
import { difference } from '../world.ts'
import { isSharedFile } from './add.ts'

function gc(context: Context, valid: readonly Attachment[], name?: string) {
  const list = valid.map(one => ({ containerID: one.containerId, ifname: one.ifName }))
  const env = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined }
  const more = name === undefined ? {} : { name }
  const config = { 'cni.dev/valid-attachments': list, 'cni.dev/attachments': list, ...more }
  return context.call('GC', context.attachment(), { env, config })
}

export const GC_AND_STATUS_CASES: readonly Case[] = [
  {
    id: 'gc-keeps-and-removes',
    title: 'GC removes what is not listed and keeps the rest',
    part: 'protocol',
    clauses: ['gc.keeps', 'gc.removes', 'gc.repeat'],
    when: ({ type }) => type !== 'host-device',
    since: '1.1.0',
    run: context => {
      const keeper = context.attachment()
      context.mustAdd(keeper)
      const lost = context.attachment()
      const before = context.world.snapshot()
      context.mustAdd(lost)
      const foreign = gc(context, [], 'othernet')
      context.judgeOutcome('gc.keeps', succeeded(foreign), 'GC of another network succeeds', foreign)
      context.judgeOutcome(
        'gc.keeps',
        succeeded(context.call('CHECK', keeper)),
        'GC of another network touches nothing',
        foreign
      )
      const outcome = gc(context, [keeper])
      context.judgeOutcome('gc.keeps', succeeded(outcome), 'GC succeeds', outcome)
      const check = context.call('CHECK', keeper)
      context.judgeOutcome('gc.keeps', succeeded(check), 'CHECK of the listed attachment succeeds afterwards', check)
      const left = difference(before, context.world.snapshot()).added.filter(
        line => !isSharedFile(line) && !/judgehost/.test(line)
      )
      context.judge('gc.removes', left.length === 0, 'the host is as before the ADD that is not listed', () =>
        left.join('; ')
      )
      const again = gc(context, [keeper])
      context.judgeOutcome('gc.repeat', succeeded(again), 'GC once more succeeds', again)
    }
  },
  {
    id: 'gc-without-list',
    title: 'GC without the list of attachments',
    part: 'protocol',
    clauses: ['gc.no-list'],
    when: ({ type }) => type !== 'host-device',
    since: '1.1.0',
    run: context => {
      const keeper = context.attachment()
      context.mustAdd(keeper)
      const env = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined }
      const outcome = context.call('GC', context.attachment(), { env })
      const check = context.call('CHECK', keeper)
      context.judgeOutcome('gc.no-list', succeeded(check), 'CHECK of an attachment succeeds afterwards', outcome)
    }
  },
  {
    id: 'status-ready',
    title: 'STATUS when everything is there',
    part: 'protocol',
    clauses: ['status.ready'],
    since: '1.1.0',
    run: context => {
      context.requireKernel()
      const env = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined }
      const outcome = context.call('STATUS', context.attachment(), { env })
      context.judgeOutcome('status.ready', succeeded(outcome), 'STATUS succeeds', outcome)
    }
  },
  {
    id: 'status-not-ready',
    title: 'STATUS when ADD could not succeed',
    part: 'protocol',
    clauses: ['status.not-ready'],
    when: ({ type }) => ['macvlan', 'ipvlan', 'vlan', 'host-device', 'host-local'].includes(type),
    since: '1.1.0',
    run: context => {
      context.requireKernel()
      const config = unready(context)
      const outcome = context.call('STATUS', context.attachment(), { config })
      const code = errorCode(outcome) ?? 0
      const holds = !succeeded(outcome) && (code === 50 || code === 51)
      context.judgeOutcome('status.not-ready', holds, 'STATUS fails with code 50 or 51', outcome)
    }
  }
]

/** A configuration that cannot work here and now: no such master or device; a pool with no address left. */
function unready(context: Context) {
  const { type } = context.profile
  if (type === 'host-device') return { device: 'not-there0' }
  if (type !== 'host-local') return { master: 'not-there0' }
  const config = { ipam: { type, ranges: [[{ subnet: '10.78.0.0/30' }]] } }
  context.mustAdd(context.attachment(), { config })
  return config
}
