/**
 * Reads the host again and again as long as somebody looks, and tells everybody what changed. One reading serves all of them.
 */
import { messageOf } from '../../lib/sys/errors.ts'
import type { ClusterHostView, View } from '../../lib/view/model.ts'
import { type Reading, ratedBetween, readingOf } from '../top/reading.ts'
import { mergePatch } from './merge-patch.ts'
import { type Health, type HealthFinding, keyedTraffic, keyedView, type Model, NO_HEALTH } from './model.ts'

/** Checks look at more than a reading does, and start plugins: so often at most, ms. */
const HEALTH_MS = 30_000
/** Reading takes this share of a processor at most. */
const SHARE = 1 / 4
/** Between two readings of the cluster, ms; more where they take long. */
const CLUSTER_MS = 2000

export interface Source {
  readonly read: () => View
  readonly check: () => Promise<Health['findings']>
  /** Undefined where nobody has asked for other hosts. */
  readonly readCluster: (() => Promise<readonly ClusterHostView[]>) | undefined
  /** Between two readings, ms; more where reading takes long. */
  readonly interval: number
}

/** Somebody who looks: gets an event's name and its data in one line. */
export type Looker = (event: 'model' | 'patch', data: string) => void

export class Watch {
  readonly #source: Source
  readonly #lookers = new Set<Looker>()
  #model: Model | undefined
  #reading: Reading | undefined
  #health = NO_HEALTH
  #checkedAt = Number.NEGATIVE_INFINITY
  #isChecking = false
  /** What was read last of the cluster, and why that was the last time. */
  #cluster: readonly ClusterHostView[] = []
  #clusterTrouble = ''
  #nextCluster = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(source: Source) {
    this.#source = source
  }

  /** @returns takes it out again */
  add(looker: Looker): () => void {
    this.#lookers.add(looker)
    if (this.#timer !== undefined && this.#model !== undefined) looker('model', JSON.stringify(this.#model))
    else this.#begin()
    return () => {
      this.#lookers.delete(looker)
      if (this.#lookers.size === 0) this.close()
    }
  }

  /** What was read is forgotten: whoever looks next must not see it for new. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#model = undefined
    this.#reading = undefined
  }

  #begin(): void {
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#look(), 0)
  }

  #look(): void {
    const began = performance.now()
    this.#become(this.#next())
    const took = performance.now() - began
    this.#timer = setTimeout(() => this.#look(), Math.max(this.#source.interval, took / SHARE) - took)
    if (began - this.#checkedAt >= HEALTH_MS) this.#check()
    if (began >= this.#nextCluster) this.#readCluster()
  }

  /** The next reading of the host has it. */
  #readCluster(): void {
    const { readCluster } = this.#source
    if (readCluster === undefined) return
    const began = performance.now()
    this.#nextCluster = Number.POSITIVE_INFINITY
    readCluster()
      .then(
        hosts => {
          this.#cluster = hosts
          this.#clusterTrouble = ''
        },
        error => {
          this.#clusterTrouble = `read the cluster: ${messageOf(error)}`
        }
      )
      .finally(() => {
        const took = performance.now() - began
        this.#nextCluster = began + Math.max(CLUSTER_MS, took / SHARE)
      })
  }

  #withCluster(view: View): View {
    if (this.#source.readCluster === undefined) return view
    const problems = this.#clusterTrouble === '' ? view.problems : [...view.problems, this.#clusterTrouble]
    return { ...view, cluster: this.#cluster, problems }
  }

  #next(): Model {
    try {
      const view = this.#withCluster(this.#source.read())
      const reading = readingOf(view)
      const before = this.#reading ?? reading
      this.#reading = reading
      const traffic = keyedTraffic(by => ratedBetween(before, reading, by))
      return { view: keyedView(view), traffic, health: this.#health, trouble: '' }
    } catch (error) {
      const trouble = messageOf(error)
      return this.#model === undefined ? { ...NOTHING, trouble } : { ...this.#model, trouble }
    }
  }

  #become(next: Model): void {
    if (this.#model === undefined) {
      this.#tell('model', next)
    } else {
      const patch = mergePatch(this.#model, next)
      if (patch !== undefined) this.#tell('patch', patch)
    }
    this.#model = next
  }

  #tell(event: 'model' | 'patch', data: unknown): void {
    const line = JSON.stringify(data)
    for (const looker of this.#lookers) looker(event, line)
  }

  #check(): void {
    if (this.#isChecking) return
    this.#isChecking = true
    this.#checkedAt = performance.now()
    this.#source
      .check()
      .then(
        findings => {
          this.#health = { checkedAt: new Date().toISOString(), findings }
        },
        error => {
          this.#health = { checkedAt: new Date().toISOString(), findings: [failure(error)] }
        }
      )
      .finally(() => {
        this.#isChecking = false
        if (this.#model !== undefined) this.#become({ ...this.#model, health: this.#health })
      })
  }
}

/** Before the first reading that succeeds. */
const NOTHING: Model = {
  view: {
    version: 1,
    host: '',
    readAt: '',
    namespaces: {},
    networks: {},
    services: {},
    cluster: undefined,
    problems: []
  },
  traffic: { container: {}, network: {}, port: {} },
  health: NO_HEALTH,
  trouble: ''
}

function failure(error: unknown): HealthFinding {
  return {
    check: 'doctor',
    severity: 'warning',
    what: 'the checks could not be made',
    evidence: [messageOf(error)],
    remedy: 'run patchbay ui as root'
  }
}
