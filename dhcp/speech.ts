/**
 * Both versions of the protocol, as the daemon and the keeper of a lease use them.
 *
 *     take      an interface without an address     -> what a server gives
 *     extend    what is held                        -> the same for longer
 *     giveBack  what is held
 */
import { NO_DNS, type Result } from '../lib/cni/result.ts'
import { resultToJson } from '../lib/cni/result-json.ts'
import type { Json } from '../lib/config/json.ts'
import type { IpAddress } from '../lib/ip/address.ts'
import type { IpPrefix } from '../lib/ip/prefix.ts'
import type { Link } from '../lib/net/links.ts'
import type { Patience } from './acquisition.ts'
import type { ContainerLink } from './container-link.ts'
import { acquire, type Client, type Granted, type Held, release, renew } from './exchange.ts'
import { RESULT_VERSION, type Times } from './grant.ts'
import { pause } from './time.ts'
import { acquire6, type Client6, type Granted6, type Held6, release6, renew6 } from './v6/exchange.ts'

/** Who asks, in one version of the protocol. */
export type Asker = { readonly family: 4; readonly client: Client } | { readonly family: 6; readonly client: Client6 }

/** The same, and whom it has the address from. */
export type Terms =
  | { readonly family: 4; readonly client: Client; readonly held: Held }
  | { readonly family: 6; readonly client: Client6; readonly held: Held6 }

/** Moments of `clock()`. */
interface Moments {
  readonly renewAt: number
  readonly rebindAt: number
  readonly expireAt: number
}

/** What a server gives. */
export interface Given {
  readonly address: IpPrefix
  readonly terms: Terms
  readonly moments: Moments
  /** For the runtime, in the form of cniVersion 1.1.0. */
  readonly result: Json
}

/** Where it is spoken: an interface that is up. */
export interface Place {
  readonly link: ContainerLink
  readonly found: Link
  readonly signal: AbortSignal
  /** Hears what of a server's messages cannot be used, and why. */
  readonly log: (message: string) => void
}

const SEND_TRIES = 5
const SEND_AGAIN = 20
const AFTER_COMING_UP = 300

/**
 * @param wanted the address to ask for, when it was this client's before
 * @throws {NoLease} when the time is over
 */
export async function take(place: Place, asker: Asker, patience: Patience, wanted?: IpAddress): Promise<Given> {
  if (asker.family === 6) {
    const { client } = asker
    return given6(client, await inTalk6(place, client, talk => acquire6(talk, patience, wanted)))
  }
  const { client } = asker
  return given4(client, await inTalk4(place, client, talk => acquire(talk, patience, wanted)))
}

/** @returns undefined when nobody answered until then, 'refused' when the address must be given up */
export async function extend(
  place: Place,
  terms: Terms,
  everybody: boolean,
  until: number
): Promise<Given | 'refused' | undefined> {
  if (terms.family === 6) {
    const { client, held } = terms
    const outcome = await inTalk6(place, client, talk => renew6(talk, held, everybody, until))
    return outcome === undefined || outcome === 'refused' ? outcome : given6(client, outcome)
  }
  const { client, held } = terms
  const outcome = await inTalk4(place, client, talk => renew(talk, held, everybody, until))
  return outcome === undefined || outcome === 'refused' ? outcome : given4(client, outcome)
}

/** @param wasDown the interface has only just come up */
export async function giveBack(place: Place, terms: Terms, wasDown: boolean): Promise<void> {
  if (terms.family === 6) {
    const { client, held } = terms
    await inTalk6(place, client, talk => release6(talk, held))
    return
  }
  const { client, held } = terms
  await inTalk4(place, client, async ({ socket }) => {
    const send = (): void => release(socket, client, held)
    await surely(send, place.signal)
    if (!wasDown) return
    // A switch or bridge at the other end may have heard nothing yet, and nobody says so.
    await pause(AFTER_COMING_UP, place.signal)
    await surely(send, place.signal)
  })
}

/** A queue starts a moment after its interface. */
async function surely(send: () => void, signal: AbortSignal): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      send()
      return
    } catch (error) {
      if (tries === SEND_TRIES) throw error
      await pause(SEND_AGAIN, signal)
    }
  }
}

async function inTalk4<T>(
  { link, found, signal, log }: Place,
  client: Client,
  work: (talk: Parameters<typeof acquire>[0]) => Promise<T>
): Promise<T> {
  const socket = link.openSocket(found)
  try {
    return await work({ socket, client, signal, log })
  } finally {
    socket.close()
  }
}

async function inTalk6<T>(
  { link, found, signal, log }: Place,
  client: Client6,
  work: (talk: Parameters<typeof acquire6>[0]) => Promise<T>
): Promise<T> {
  const socket = await link.openSocket6(found, client.duid, signal)
  try {
    return await work({ socket, client, signal, log })
  } finally {
    socket.close()
  }
}

function given4(client: Client, { address, server, serverMac, askedAt, times, result }: Granted): Given {
  const held = { address: address.address, server, serverMac }
  return { address, terms: { family: 4, client, held }, moments: momentsOf(askedAt, times), result }
}

/** Neither gateway nor routes: in IPv6 those are routers' to tell. */
function given6(client: Client6, { address, server, askedAt, times, dns }: Granted6): Given {
  const held = { address: address.address, server }
  const result: Result = { interfaces: [], ips: [{ address }], routes: [], dns: { ...NO_DNS, ...dns } }
  const moments = momentsOf(askedAt, times)
  return { address, terms: { family: 6, client, held }, moments, result: resultToJson(result, RESULT_VERSION) }
}

/** A lease is renewed somewhat earlier or later than at half its time, so that not all of a host's come at once. */
function momentsOf(askedAt: number, times: Times): Moments {
  const renewAfter = Number.isFinite(times.renew) ? times.renew * (0.95 + 0.1 * Math.random()) : Infinity
  return {
    renewAt: askedAt + Math.min(renewAfter, times.rebind) * 1000,
    rebindAt: askedAt + times.rebind * 1000,
    expireAt: askedAt + times.expire * 1000
  }
}
