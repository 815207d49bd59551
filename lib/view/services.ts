/** The services of a host, as its agent has them: the rules in each client's namespace are made from the same. */
import { existsSync } from 'node:fs'
import { type Json, memberOf } from '../config/json.ts'
import { jsonOf } from '../config/plain-json.ts'
import { askAgent } from '../overlay/agent-call.ts'
import { messageOf } from '../sys/errors.ts'
import type { ServiceMemberView, ServicePortView, ServiceView } from './model.ts'

const PATIENCE_MS = 3000

/**
 * @param socket the agent's; undefined = nobody is asked
 * @returns `problem` '' also where no agent has ever listened
 */
export function readServices(socket: string | undefined): {
  readonly services: readonly ServiceView[]
  readonly problem: string
} {
  if (socket === undefined || !existsSync(socket)) return { services: [], problem: '' }
  try {
    const answer = askAgent({ socket, milliseconds: PATIENCE_MS }, jsonOf({ do: 'services', members: true }))
    return { services: itemsOf(answer, 'services').map(serviceOf), problem: '' }
  } catch (error) {
    return { services: [], problem: `read services: ${messageOf(error)}` }
  }
}

function serviceOf(answer: Json): ServiceView {
  const record = memberOf(answer, 'service')
  return {
    name: textOf(answer, 'name'),
    network: textOf(record, 'network'),
    alias: textOf(record, 'alias'),
    mode: textOf(record, 'mode') === 'dnsrr' ? 'dnsrr' : 'vip',
    addresses: textsOf(record, 'vips'),
    isSticky: textOf(record, 'sticky') === 'true',
    ports: itemsOf(record, 'publish').map(portOf),
    members: itemsOf(answer, 'members').map(memberView)
  }
}

function portOf(port: Json): ServicePortView {
  const number = (key: string): number => Number(textOf(port, key))
  return { protocol: textOf(port, 'protocol'), hostPort: number('port'), containerPort: number('target') }
}

function memberView(member: Json): ServiceMemberView {
  return {
    host: textOf(member, 'host'),
    containerId: textOf(member, 'containerId'),
    name: textOf(member, 'name'),
    addresses: textsOf(member, 'addresses'),
    isAway: textOf(member, 'away') === 'true'
  }
}

function itemsOf(of: Json | undefined, key: string): readonly Json[] {
  return of === undefined ? [] : (memberOf(of, key)?.items ?? [])
}

function textsOf(of: Json | undefined, key: string): readonly string[] {
  return itemsOf(of, key).map(item => item.text)
}

/** Of a text, a number or a truth; '' of what is not there. */
function textOf(of: Json | undefined, key: string): string {
  return of === undefined ? '' : (memberOf(of, key)?.text ?? '')
}
