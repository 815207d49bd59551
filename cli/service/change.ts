/** `patchbay service create`, `update` and `rm`. */
import { jsonText } from '../../lib/config/json.ts'
import { jsonOf, type Plain, type PlainObject } from '../../lib/config/plain-json.ts'
import type { Call } from '../call.ts'
import { jsonLine, reportError, UsageError } from '../output.ts'
import { parsePorts } from '../run/ports.ts'
import { ask, type Summary } from './ask.ts'
import { rowOf } from './show.ts'

/** `service create NAME` */
export async function create(call: Call): Promise<number> {
  const name = newName(call)
  const network = call.text('network')
  if (network === undefined) {
    const advice = 'it says whose containers the members are: patchbay network ls shows them'
    throw new UsageError(`create service ${JSON.stringify(name)}: --network is required`, advice)
  }
  if (call.text('mode') === 'dnsrr') {
    const option = ['vip', 'publish', 'sticky'].find(one => call.has(one))
    if (option !== undefined) {
      const advice = 'the name stands for the members themselves: there is no address in between'
      throw new UsageError(
        `create service ${JSON.stringify(name)}: --${option} and --mode dnsrr exclude each other`,
        advice
      )
    }
  }
  const vips = call.texts('vip')
  const service = {
    network,
    alias: call.text('alias'),
    mode: call.text('mode'),
    vips: vips.length === 0 ? undefined : vips,
    sticky: stickyOf(call),
    publish: publishedOf(call)
  }
  return change(call, 'service-create', { name, service })
}

/** NAME, or as Docker has it `--name`. @throws UsageError */
function newName(call: Call): string {
  const [word] = call.words
  const name = call.text('name') ?? word
  if (name === undefined) {
    throw new UsageError('create service: the name is missing', 'patchbay service create web --network blue')
  }
  if (word === undefined || word === name) return name
  throw new UsageError(
    `create service ${JSON.stringify(name)}: ${JSON.stringify(word)} is one word too many`,
    'a service has no image: its members are the containers called so, whoever starts them'
  )
}

/** `service update SERVICE` */
export async function update(call: Call): Promise<number> {
  const name = call.word(0)
  if (call.has('publish') && call.has('no-publish'))
    throw new UsageError(`update service ${JSON.stringify(name)}: --publish and --no-publish exclude each other`)
  if (!['alias', 'publish', 'no-publish', 'publish-add', 'publish-rm', 'sticky'].some(one => call.has(one)))
    throw new UsageError(`update service ${JSON.stringify(name)}: nothing to change is given`)
  return change(call, 'service-update', {
    name,
    alias: call.text('alias'),
    sticky: stickyOf(call),
    publish: call.has('no-publish') ? [] : publishedOf(call),
    publishAdd: publishedOf(call, 'publish-add'),
    publishRemove: targetsOf(call)
  })
}

/** Asks the agent, or shows what would be asked. */
function change(call: Call, what: string, members: PlainObject): number {
  if (call.has('dry-run')) {
    call.output.out(`${jsonText(jsonOf(members), 2)}\n`)
    return 0
  }
  const made = ask<Summary>(call, what, members)
  call.output.out(call.asJson ? jsonLine(rowOf(made)) : `${made.name}\n`)
  return 0
}

/** `service rm SERVICE…`: goes on after a failure, and fails in the end. */
export async function remove(call: Call): Promise<number> {
  const removed: string[] = []
  for (const name of call.words) {
    try {
      const isDry = call.has('dry-run')
      ask(call, isDry ? 'service-inspect' : 'service-remove', { name })
      removed.push(name)
      if (!call.asJson) call.output.out(`${isDry ? 'would remove ' : ''}${name}\n`)
    } catch (error) {
      reportError(call.output, error, call.asJson)
    }
  }
  if (call.asJson) call.output.out(jsonLine({ removed }))
  return removed.length === call.words.length ? 0 : 1
}

function stickyOf(call: Call): boolean | undefined {
  const by = call.text('sticky')
  return by === undefined ? undefined : by === 'source'
}

/** `published=8001,target=80,protocol=udp` is `8001:80/udp`. @throws UsageError for a key that says something else */
function shortForm(text: string): string {
  if (!text.includes('=')) return text
  const pairs = new Map(text.split(',').map(pair => pair.split(/=(.*)/s).slice(0, 2) as [string, string]))
  const { published, target, protocol = 'tcp', mode = 'ingress', ...others } = Object.fromEntries(pairs)
  const [strange] = Object.keys(others)
  if (strange === undefined && published !== undefined && target !== undefined && mode === 'ingress')
    return `${published}:${target}/${protocol}`
  const why =
    mode === 'ingress' ? 'published and target are needed, and protocol may be given' : 'every host publishes it'
  throw new UsageError(`read the port ${JSON.stringify(text)}: ${why}`, 'as in published=8001,target=80,protocol=udp')
}

/** @throws UsageError */
function publishedOf(call: Call, option = 'publish'): readonly Plain[] | undefined {
  const ports = call.texts(option).flatMap(text => {
    const parsed = parsePorts(shortForm(text), option)
    const strange = parsed.find(one => one.hostIP !== '' || one.hostPort === 0)
    if (strange === undefined) return parsed
    const why = strange.hostIP === '' ? 'the port of the hosts is missing' : 'it is every address of every host'
    throw new UsageError(`read --${option} ${JSON.stringify(text)}: ${why}`, 'as in 8001:80, 53:53/udp')
  })
  if (ports.length === 0) return undefined
  return ports.map(({ hostPort, containerPort, protocol }) => ({ port: hostPort, target: containerPort, protocol }))
}

/** As Docker has it: the members' port, `80` or `53/udp`, alone or as it was published. */
function targetsOf(call: Call): readonly Plain[] | undefined {
  const targets = call.texts('publish-rm').flatMap(text => parsePorts(shortForm(text), 'publish-rm'))
  if (targets.length === 0) return undefined
  return targets.map(({ containerPort, protocol }) => ({ target: containerPort, protocol }))
}
