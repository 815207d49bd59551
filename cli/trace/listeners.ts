/** The packet arrived, and the kernel there says that no program wants it: which one may have been meant. */
import { formatAddress, isLoopback, isUnspecified } from '../../lib/ip/address.ts'
import type { NamespaceView } from '../../lib/view/model.ts'
import { type Journey, lost, nameOf, type Outcome, placeOf } from './outcome.ts'
import type { Listener } from './surroundings.ts'

export function nobodyListens(journey: Journey): Outcome {
  const { probe } = journey
  const last = journey.steps.findLast(step => step.kind === 'seen' && step.packet.role === 'request')
  const where = last === undefined ? formatAddress(probe.destination) : nameOf(last.namespace)
  const port = last?.packet.destinationPort ?? probe.port
  const what = `reached, but nobody listens on ${probe.protocol} port ${String(port)} of ${where}`
  if (last === undefined || probe.protocol === 'icmp') return lost(what, [], 'start the service')
  const listeners = placeOf(journey, last.namespace).listeners(probe.protocol, port)
  const to = formatAddress(last.packet.destination)
  return (
    publishedElsewhere(journey, last.namespace) ??
    refusedAll(listeners, to, `${probe.protocol} port ${String(port)} of ${where}`) ??
    listensElsewhere(listeners, `port ${String(port)} of ${where}`) ??
    lost(what, [], 'start the service there, or name the port that it has')
  )
}

/** A port of the host that is published on one address, and asked for on another. */
function publishedElsewhere({ probe, view }: Journey, target: NamespaceView): Outcome | undefined {
  const all = view.networks.flatMap(network =>
    network.attachments.flatMap(one => one.ports.map(port => ({ ...port, containerId: one.containerId })))
  )
  const found = all.find(
    one => one.hostPort <= probe.port && probe.port < one.hostPort + one.count && one.protocol === probe.protocol
  )
  if (!target.isHost || found === undefined || found.hostAddress === '') return undefined
  const { hostAddress, containerId } = found
  return lost(
    `port ${String(probe.port)} is published on ${hostAddress} only`,
    [
      `container ${containerId} publishes ${hostAddress}:${String(probe.port)}`,
      `asked for: ${formatAddress(probe.destination)}`
    ],
    `publish it on every address (without ${hostAddress}: in front), or ask at ${hostAddress}`
  )
}

/** Somebody refused it in the place of a program that would have had it. */
function refusedAll(listeners: readonly Listener[], to: string, port: string): Outcome | undefined {
  const open = listeners.filter(one => isUnspecified(one.address) || formatAddress(one.address) === to)
  if (open.length === 0) return undefined
  return lost(
    `reached and refused, though a program listens on ${port}`,
    open.map(socketText),
    'look for what refuses it there: filters of tc, eBPF; ss -lnt'
  )
}

function listensElsewhere(listeners: readonly Listener[], port: string): Outcome | undefined {
  const other = listeners.find(one => isLoopback(one.address)) ?? listeners[0]
  if (other === undefined) return undefined
  return lost(
    `the service on ${port} listens on ${formatAddress(other.address)} only`,
    listeners.map(socketText),
    'have the program listen on 0.0.0.0 or :: inside the container'
  )
}

export function socketText({ address, port }: Listener): string {
  return `a socket of ${formatAddress(address)}:${String(port)}`
}
