/** From where to where: containers, the host, addresses, as a person names them. */
import { statSync } from 'node:fs'
import { type IpAddress, parseAddress } from '../../lib/ip/address.ts'
import type { NamespaceView, View } from '../../lib/view/model.ts'
import type { Call } from '../call.ts'
import { Containers, WHAT_TO_NAME } from '../container.ts'
import { CommandError, UsageError } from '../output.ts'
import { runtimeAt } from '../place.ts'

/** A namespace, an address of it or both; without a namespace it is outside, or nobody's. */
export interface End {
  readonly namespace: NamespaceView | undefined
  readonly address: IpAddress | undefined
}

/** `TO[:PORT]`; an IPv6 address with a port is in brackets. @throws UsageError */
export function splitPort(text: string): { readonly word: string; readonly port: number | undefined } {
  const bracketed = /^\[([^\]]+)\](?::([0-9]+))?$/.exec(text)
  const plain = bracketed ?? /^([^:]+):([0-9]+)$/.exec(text)
  if (plain === null) return { word: text, port: undefined }
  const [, word = '', digits] = plain
  if (digits === undefined) return { word, port: undefined }
  const port = Number(digits)
  if (port < 1 || port > 65_535) throw new UsageError(`read port ${JSON.stringify(digits)}: must be from 1 to 65535`)
  return { word, port }
}

/**
 * @param near the namespaces that hang together with the host
 * @param view all of them: a container may be on no network
 * @throws UsageError for a name of several, which it lists
 * @throws CommandError for one that nobody has
 */
export async function endOf(word: string, near: View, view: View, call: Call): Promise<End> {
  if (word === '') throw new UsageError('find container "": a name is missing', WHAT_TO_NAME)
  const address = parseAddress(word)
  if (address !== undefined) return { namespace: onlyOwner(near, word), address }
  const host = near.namespaces.find(one => one.isHost)
  if (word === 'host') return { namespace: host, address: undefined }
  const named = near.namespaces.filter(one => isCalled(one, word, near))
  const [only, second] = named
  if (second !== undefined) {
    const all = named.map(
      one => `${JSON.stringify(one.name).slice(1, -1)} (${one.containerId === '' ? one.id : one.containerId})`
    )
    throw new UsageError(
      `find container ${JSON.stringify(word)}: ${all.join(', ')} are called so`,
      'name one by its id'
    )
  }
  if (only !== undefined) return { namespace: only, address: undefined }
  const { netns } = await new Containers(runtimeAt(call.place, call.output).cache, call.runDir).living(word, undefined)
  const id = String(statSync(netns).ino)
  const found = view.namespaces.find(one => one.id === id)
  if (found === undefined) throw new CommandError(`find container ${JSON.stringify(word)}: it has gone meanwhile`)
  return { namespace: found, address: undefined }
}

/** By its own name, its id, a name on a network, or that of its namespace. */
function isCalled(one: NamespaceView, word: string, view: View): boolean {
  if (one.name === word || one.containerId === word || one.id === word) return true
  if (one.paths.includes(word) || one.paths.includes(`/run/netns/${word}`)) return true
  return view.networks.some(network =>
    network.attachments.some(
      ({ namespace, names, containerId }) => namespace === one.id && (names.includes(word) || containerId === word)
    )
  )
}

/** Two that have one address are no answer to whom it belongs. */
function onlyOwner(view: View, address: string): NamespaceView | undefined {
  const owners = view.namespaces.filter(one =>
    one.links.some(link => link.addresses.some(own => own.split('/')[0] === address))
  )
  return owners.length === 1 ? owners[0] : owners.find(one => one.isHost)
}
