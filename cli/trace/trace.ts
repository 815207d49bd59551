/** `patchbay trace FROM TO[:PORT]`: one packet, its way, and where it ended and why. */
import { formatAddress, type IpAddress } from '../../lib/ip/address.ts'
import { DEFAULT_STATE_DIR } from '../../lib/state/journal.ts'
import type { LinkView, NamespaceView, View } from '../../lib/view/model.ts'
import { readView } from '../../lib/view/read.ts'
import { visible } from '../../lib/view/visible.ts'
import type { Call } from '../call.ts'
import { CommandError, jsonLine, UsageError } from '../output.ts'
import { stepsOf } from './describe.ts'
import { type End, endOf, splitPort } from './ends.ts'
import { type Plan, travel } from './journey.ts'
import { removeLeftovers } from './mark.ts'
import { nameOf } from './outcome.ts'
import { IP_HEADER, type Protocol } from './probe.ts'
import { report, type WayView } from './report.ts'
import { candidatesOf, connectedTo, Surroundings } from './surroundings.ts'
import { NamespaceGone, openNet } from './watch.ts'
import { outcomeOf } from './why.ts'

const LARGEST_SIZE = 65_535
const MOST_PROBES = 1000

export async function trace(call: Call): Promise<number> {
  const { confDir, cacheDir } = call.place
  const stateDir = call.text('state-dir') ?? DEFAULT_STATE_DIR
  const view = readView({ confDir, cacheDir, stateDir, netns: call.text('netns'), withRoutes: true })
  const plan = await planFor(call, view)
  const sent = {
    from: plan.entry === undefined ? nameOf(plan.from) : `outside, by ${plan.entry.name}`,
    source: formatAddress(plan.source),
    destination: formatAddress(plan.destination),
    protocol: plan.protocol,
    port: plan.port
  }
  const asJson = call.asJson || call.text('output') === 'json'
  if (call.has('dry-run')) {
    call.output.out(asJson ? jsonLine(sent) : `would send: ${visible(titleOf(sent))}\n`)
    return 0
  }
  cleanUp(plan.view)
  const count = wholeNumber(call, 'count', { least: 1, most: MOST_PROBES }) ?? 1
  const ways: WayView[] = []
  for (let i = 0; i < count; i += 1) {
    addWay(ways, await travel(plan, journey => ({ probes: 1, steps: stepsOf(journey), outcome: outcomeOf(journey) })))
  }
  if (asJson) call.output.out(jsonLine({ ...sent, ways }))
  else call.output.out(report(titleOf(sent), ways))
  return ways.every(way => way.outcome.works) ? 0 : 1
}

interface Sent {
  readonly from: string
  readonly source: string
  readonly destination: string
  readonly protocol: Protocol
  readonly port: number
}

function titleOf({ from, source, destination, protocol, port }: Sent): string {
  const what = { icmp: 'ping', tcp: 'TCP SYN', udp: 'UDP' }[protocol]
  return `${what} from ${from}, ${source}, to ${destination}${port === 0 ? '' : ` port ${String(port)}`}`
}

/** Probes with one way are one entry: what differs from one to the next (moments, chosen ports) is in no step. */
function addWay(ways: WayView[], way: WayView): void {
  const key = (one: WayView): string =>
    JSON.stringify([
      one.outcome,
      one.steps.map(step => [step.kind, step.role, step.namespaceId, step.link, step.direction, step.rule])
    ])
  const at = ways.findIndex(one => key(one) === key(way))
  const known = ways[at]
  if (known === undefined) ways.push(way)
  else ways[at] = { ...known, probes: known.probes + 1 }
}

/** @throws UsageError for what makes no sense; CommandError where an end is not to be found */
async function planFor(call: Call, view: View): Promise<Plan> {
  const { word, port } = splitPort(call.word(1))
  const isUdp = call.has('udp')
  if (isUdp && port === undefined) throw new UsageError('trace by UDP: it needs a port', 'write TO:PORT')
  const host = view.namespaces.find(one => one.isHost)
  // Others may have the same names and addresses, and have nothing to do with it.
  const near = connectedTo(view, [host])
  const [start, target] = [await endOf(call.word(0), near, view, call), await endOf(word, near, view, call)]
  const from = start.namespace ?? host
  if (from === undefined || from.problem !== '')
    throw new CommandError(`enter the namespace of ${JSON.stringify(call.word(0))}: EPERM`, 'run as root')
  const destination = target.address ?? chosenAddress(from, target, start.address)
  const entry = start.namespace === undefined ? entryFor(call, from, start) : undefined
  const source = start.address ?? sourceFor(from, destination)
  if (source.family !== destination.family) {
    const [a, b] = [formatAddress(source), formatAddress(destination)]
    throw new UsageError(`trace from ${a} to ${b}: they are of two families`)
  }
  return {
    view: connectedTo(view, [host, from, target.namespace]),
    from,
    entry,
    source,
    destination,
    protocol: port === undefined ? 'icmp' : isUdp ? 'udp' : 'tcp',
    port: port ?? 0,
    size: wholeNumber(call, 'size', { least: IP_HEADER[source.family], most: LARGEST_SIZE }) ?? 0,
    patience: secondsOf(call.text('wait')) * 1000
  }
}

/** The first of the target's addresses that is a neighbour; else the first that a way leads to; else the first. */
function chosenAddress(from: NamespaceView, { namespace }: End, source: IpAddress | undefined): IpAddress {
  const all = namespace === undefined ? [] : candidatesOf(namespace)
  const fitting = source === undefined ? all : all.filter(one => one.family === source.family)
  const [first] = fitting
  if (first === undefined)
    throw new CommandError(
      `trace to ${JSON.stringify(namespace?.name ?? '')}: it has no address`,
      'name an address, or attach it to a network'
    )
  return inside(from, place => {
    const led = fitting.map(address => ({ address, way: place.wayTo(address) })).filter(one => one.way.errno === '')
    return (led.find(one => one.way.gateway === undefined) ?? led[0])?.address ?? first
  })
}

/** As a program there would have it; without a way any, so that the trace can say so. */
function sourceFor(from: NamespaceView, destination: IpAddress): IpAddress {
  const chosen = inside(from, place => place.wayTo(destination).source)
  const own = chosen ?? candidatesOf(from).find(one => one.family === destination.family)
  if (own !== undefined) return own
  return { family: destination.family, bytes: new Uint8Array(destination.bytes.length) }
}

/** The interface that something from this address comes in by. */
function entryFor(call: Call, host: NamespaceView, { address }: End): LinkView {
  const name = call.text('in')
  const named = host.links.find(one => one.name === name)
  if (name !== undefined && named === undefined)
    throw new UsageError(`read --in ${JSON.stringify(name)}: the host has no such interface`)
  const link = named ?? (address === undefined ? undefined : inside(host, place => place.wayTo(address).link))
  if (link !== undefined && link.mac !== '' && link.name !== 'lo') return link
  throw new CommandError(
    `trace from ${address === undefined ? '' : formatAddress(address)}: no interface of Ethernet leads there`,
    'name the one that it comes in by: --in INTERFACE'
  )
}

function inside<T>(namespace: NamespaceView, work: (place: Surroundings) => T): T {
  const net = openNet(namespace)
  try {
    return work(new Surroundings(namespace, net))
  } finally {
    net.close()
  }
}

/** What traces have left that were killed on kernels which do not do that themselves. */
function cleanUp(view: View): void {
  for (const namespace of view.namespaces) {
    if (namespace.problem !== '') continue
    try {
      inside(namespace, place => removeLeftovers(place.namespaceFd))
    } catch (error) {
      if (!(error instanceof NamespaceGone)) throw error
    }
  }
}

function secondsOf(text: string | undefined): number {
  const seconds = Number(text ?? '1')
  if (seconds >= 0.1 && seconds <= 60) return seconds
  throw new UsageError(`read --wait ${JSON.stringify(text)}: must be seconds, from 0.1 to 60`)
}

function wholeNumber(
  call: Call,
  option: string,
  { least, most }: { readonly least: number; readonly most: number }
): number | undefined {
  const text = call.text(option)
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^[0-9]+$/.test(text) && number >= least && number <= most) return number
  throw new UsageError(
    `read --${option} ${JSON.stringify(text)}: must be a whole number from ${String(least)} to ${String(most)}`
  )
}
