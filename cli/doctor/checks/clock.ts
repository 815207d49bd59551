/** A clock that is wrong: leases of etcd, certificates and the age of records are judged by it. */
import { readdirSync, statSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { parseConfig } from '../../../agent/config.ts'
import { readText } from '../../../lib/sys/files.ts'
import type { Facts } from '../facts.ts'
import type { Check, Finding } from '../finding.ts'

/** A header tells whole seconds, and the way takes time. */
const TOLERATED_SECONDS = 5
/** A file system in the network has a clock of its own. */
const TOLERATED_FUTURE_SECONDS = 60
const TIMEOUT_MS = 2000
const REMEDY = 'set it, and have it kept right: timedatectl set-ntp true, or chronyc makestep'

export const clock: Check = {
  name: 'clock',
  title: "the host's clock is right: that of etcd, and none of the records is from the future",
  find: async facts => [...fromTheFuture(facts), ...(await apartFromEtcd(facts))]
}

function fromTheFuture({ places }: Facts): readonly Finding[] {
  const all = [...filesBelow(places.stateDir), ...filesBelow(join(places.cacheDir, 'results'))]
  const latest = all.sort((a, b) => b.at - a.at)[0]
  const ahead = latest === undefined ? 0 : Math.round((latest.at - Date.now()) / 1000)
  if (latest === undefined || ahead <= TOLERATED_FUTURE_SECONDS) return []
  return [
    {
      severity: 'warning',
      what: `the clock has gone back: records are ${String(ahead)} seconds ahead of it`,
      evidence: [
        `${latest.path} is of ${new Date(latest.at).toISOString()}`,
        `the clock says ${new Date().toISOString()}`
      ],
      remedy: REMEDY
    }
  ]
}

/** One level of folders: a folder for each network. */
function filesBelow(directory: string): readonly { readonly path: string; readonly at: number }[] {
  return [directory, ...namesIn(directory).map(name => join(directory, name))].flatMap(folder =>
    namesIn(folder).flatMap(name => {
      const path = join(folder, name)
      const status = statSync(path, { throwIfNoEntry: false })
      return status?.isFile() === true ? [{ path, at: status.mtimeMs }] : []
    })
  )
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return [] // not there, or no directory
  }
}

/** Every answer by HTTP has a date. That etcd does not answer is another check's matter. */
async function apartFromEtcd({ places }: Facts): Promise<readonly Finding[]> {
  const found = await Promise.all(
    endpointsIn(places.agentConfig).map(async ({ url, files }) => ({ url, date: await dateAt(url, files) }))
  )
  const apart = found.flatMap(({ url, date }) => {
    const seconds = date === undefined ? 0 : Math.round((Date.now() - date) / 1000)
    return Math.abs(seconds) > TOLERATED_SECONDS ? [{ url, seconds }] : []
  })
  if (apart.length === 0) return []
  return [
    {
      severity: 'warning',
      what: 'the clocks of this host and of etcd differ',
      evidence: apart.map(
        ({ url, seconds }) =>
          `${url}: ${String(Math.abs(seconds))} seconds ${seconds > 0 ? 'behind' : 'ahead of'} this host`
      ),
      remedy: REMEDY
    }
  ]
}

interface TlsFiles {
  readonly cert: string
  readonly key: string
}

/** None where the agent uses no etcd, or its configuration is wrong: the check of etcd tells it. */
function endpointsIn(path: string): readonly { readonly url: string; readonly files: TlsFiles }[] {
  const text = readText(path)
  if (text === undefined) return []
  try {
    const { etcd } = parseConfig(text)
    return (etcd?.endpoints ?? []).map(url => ({ url, files: etcd ?? { cert: '', key: '' } }))
  } catch {
    return []
  }
}

/** Milliseconds since 1970 at the other side; undefined when it says nothing. */
function dateAt(url: string, files: TlsFiles): Promise<number | undefined> {
  const read = (path: string): string | undefined => (path === '' ? undefined : readText(path))
  const target = new URL('/version', url)
  return new Promise(resolve => {
    const send = target.protocol === 'https:' ? httpsRequest : httpRequest
    // Its date is not worth more for a valid certificate, which a wrong clock takes for expired.
    const options = {
      method: 'HEAD',
      timeout: TIMEOUT_MS,
      rejectUnauthorized: false,
      cert: read(files.cert),
      key: read(files.key)
    }
    const sent = send(target, options, answer => {
      const date = Date.parse(answer.headers.date ?? '')
      answer.resume()
      resolve(Number.isNaN(date) ? undefined : date)
    })
    sent.on('timeout', () => sent.destroy())
    sent.on('error', () => resolve(undefined))
    sent.end()
  })
}
