/**
 * All endpoints of one overlay network, and what follows from them for this host. Pure: what has to be done in the kernel
 * comes out as sets of what changed.
 *
 *     registry: c1 02:..:01 10.42.0.7 on B     ->   frames for 02:..:01 go to host B
 *                                                   10.42.0.7 is at 02:..:01
 *                                                   frames for all go to host B, too
 */

/** An endpoint with its place. */
export interface Placed {
  readonly host: string
  readonly mac: string
  readonly ips: readonly string[]
  readonly vtep: string
  /** The registry's revision: of two endpoints with one address, the later one counts. */
  readonly revision: number
}

/** Of what an earlier registry told. */
const OLDEST = -1

export interface Changes {
  readonly macs: ReadonlySet<string>
  readonly ips: ReadonlySet<string>
  readonly vteps: ReadonlySet<string>
}

export class EndpointTable {
  readonly #host: string
  #vtep: string
  readonly #byKey = new Map<string, Placed>()
  readonly #byMac = new Map<string, Placed[]>()
  readonly #byIp = new Map<string, Placed[]>()
  readonly #perVtep = new Map<string, number>()
  #macs = new Set<string>()
  #ips = new Set<string>()
  #vteps = new Set<string>()

  /**
   * @param host this host's name
   * @param vtep and its address on the underlay: a registry of hosts alone knows no other name
   */
  constructor(host: string, vtep: string) {
    this.#host = host
    this.#vtep = vtep
  }

  get size(): number {
    return this.#byKey.size
  }

  get(key: string): Placed | undefined {
    return this.#byKey.get(key)
  }

  set(key: string, placed: Placed): void {
    const before = this.#byKey.get(key)
    // The answer to a put and the watch's event of it come in any order.
    if (before !== undefined && before.revision > placed.revision) return
    if (before !== undefined) this.remove(key)
    this.#byKey.set(key, placed)
    if (placed.mac !== '') addTo(this.#byMac, placed.mac, placed)
    for (const ip of placed.ips) addTo(this.#byIp, ip, placed)
    if (!this.#isOwn(placed)) this.#perVtep.set(placed.vtep, (this.#perVtep.get(placed.vtep) ?? 0) + 1)
    this.#touch(placed)
  }

  remove(key: string): void {
    const placed = this.#byKey.get(key)
    if (placed === undefined) return
    this.#byKey.delete(key)
    takeFrom(this.#byMac, placed.mac, placed)
    for (const ip of placed.ips) takeFrom(this.#byIp, ip, placed)
    if (!this.#isOwn(placed)) {
      const left = (this.#perVtep.get(placed.vtep) ?? 1) - 1
      if (left > 0) this.#perVtep.set(placed.vtep, left)
      else this.#perVtep.delete(placed.vtep)
    }
    this.#touch(placed)
  }

  /**
   * Makes this the content, whatever the revisions: a registry that was set up anew begins to count from one.
   *
   * @param keepRest what is not among the entries stays, and is older than they are
   */
  reset(entries: ReadonlyMap<string, Placed>, keepRest = false): void {
    for (const [key, placed] of [...this.#byKey]) {
      if (entries.has(key)) continue
      this.remove(key)
      if (keepRest) this.set(key, { ...placed, revision: OLDEST })
    }
    for (const [key, placed] of entries) {
      const before = this.#byKey.get(key)
      if (before !== undefined && isSamePlace(before, placed)) continue
      this.remove(key)
      this.set(key, placed)
    }
  }

  /** The host that frames for this MAC go to; undefined when it is on this host, or nowhere. */
  vtepOf(mac: string): string | undefined {
    const latest = this.latestWithMac(mac)
    return latest === undefined || this.#isOwn(latest) ? undefined : latest.vtep
  }

  /** This host has another address on the underlay now, which a registry of hosts knows it by. */
  moveTo(vtep: string): void {
    const all = new Map(this.#byKey)
    for (const key of all.keys()) this.remove(key)
    this.#vtep = vtep
    for (const [key, placed] of all) this.set(key, placed)
  }

  /** Of several endpoints with one MAC, or one address, the one that counts. */
  latestWithMac(mac: string): Placed | undefined {
    return latestOf(this.#byMac.get(mac))
  }

  latestWithIp(ip: string): Placed | undefined {
    return latestOf(this.#byIp.get(ip))
  }

  /** The MAC that has the address, on whatever host. */
  macOf(ip: string): string | undefined {
    const mac = this.latestWithIp(ip)?.mac
    return mac === '' ? undefined : mac
  }

  isPeer(vtep: string): boolean {
    return this.#perVtep.has(vtep)
  }

  macs(): Iterable<string> {
    return this.#byMac.keys()
  }

  ips(): Iterable<string> {
    return this.#byIp.keys()
  }

  vteps(): Iterable<string> {
    return this.#perVtep.keys()
  }

  /** What may have changed since the last time. */
  takeChanges(): Changes {
    const changes: Changes = { macs: this.#macs, ips: this.#ips, vteps: this.#vteps }
    this.#macs = new Set()
    this.#ips = new Set()
    this.#vteps = new Set()
    return changes
  }

  hasChanges(): boolean {
    return this.#macs.size + this.#ips.size + this.#vteps.size > 0
  }

  /** Has the kernel's entries for these looked at again. */
  touch(mac: string | undefined, ip: string | undefined, vtep: string | undefined): void {
    if (mac !== undefined) this.#macs.add(mac)
    if (ip !== undefined) this.#ips.add(ip)
    if (vtep !== undefined) this.#vteps.add(vtep)
  }

  #touch(placed: Placed): void {
    if (placed.mac !== '') this.#macs.add(placed.mac)
    for (const ip of placed.ips) this.#ips.add(ip)
    if (!this.#isOwn(placed)) this.#vteps.add(placed.vtep)
  }

  #isOwn(placed: Placed): boolean {
    return placed.host === this.#host || placed.vtep === this.#vtep
  }
}

function isSamePlace(a: Placed, b: Placed): boolean {
  const isSame = a.revision === b.revision && a.host === b.host && a.mac === b.mac && a.vtep === b.vtep
  return isSame && a.ips.join() === b.ips.join()
}

function addTo(map: Map<string, Placed[]>, key: string, placed: Placed): void {
  const list = map.get(key)
  if (list === undefined) map.set(key, [placed])
  else list.push(placed)
}

function takeFrom(map: Map<string, Placed[]>, key: string, placed: Placed): void {
  const list = map.get(key)?.filter(one => one !== placed) ?? []
  if (list.length > 0) map.set(key, list)
  else map.delete(key)
}

function latestOf(list: readonly Placed[] | undefined): Placed | undefined {
  let latest: Placed | undefined
  for (const one of list ?? []) if (latest === undefined || one.revision > latest.revision) latest = one
  return latest
}
