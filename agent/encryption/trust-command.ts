/** `patchbay agent trust`: who the agent of this host has the keys of, and who it is to believe. */
import { parseArgs } from 'node:util'
import { type Json, jsonText, memberOf } from '../../lib/config/json.ts'
import { jsonOf } from '../../lib/config/plain-json.ts'
import { askAgent } from '../../lib/overlay/agent-call.ts'
import { textOf } from '../../lib/overlay/tunnel-json.ts'

export const TRUST_USAGE = `       patchbay agent trust [HOST] [--key KEY] [--json] [--config FILE]

Without HOST, lists the hosts of encrypted networks with their public keys. With it, believes the key that HOST presents now, or
KEY alone, in place of the one that it was known by. Each host keeps a list of its own.
`

const MILLISECONDS = 10_000

export interface TrustCall {
  readonly host: string
  /** '' = whichever it presents */
  readonly key: string
  readonly asJson: boolean
  readonly config: string | undefined
}

/** @throws Error for arguments that are none */
export function parseTrust(args: readonly string[]): TrustCall {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { key: { type: 'string' }, json: { type: 'boolean' }, config: { type: 'string' } },
    allowPositionals: true
  })
  const [host = '', ...more] = positionals
  if (more.length > 0) throw new Error(`trust one host at a time, not ${positionals.join(', ')}`)
  if (host === '' && values.key !== undefined) throw new Error('--key needs the host whose key it is')
  return { host, key: values.key ?? '', asJson: values.json === true, config: values.config }
}

/**
 * Asks the agent of this host.
 *
 * @returns what to print
 * @throws {CniError} the agent's reason, or why it cannot be asked
 */
export function trustHosts({ host, key, asJson }: TrustCall, socket: string): string {
  const agent = { socket, milliseconds: MILLISECONDS }
  const call = jsonOf({ do: host === '' ? 'host-keys' : 'trust', host: given(host), key: given(key) })
  const answer = askAgent(agent, call)
  if (asJson) return `${jsonText(answer, 2)}\n`
  if (host === '') return listText(answer)
  const before = textOf(answer, 'before')
  const trusted = textOf(answer, 'key')
  if (before === trusted) return `${host} is known by ${trusted} already\n`
  return `${host} is known by ${trusted} from now on${before === '' ? '' : `, no longer by ${before}`}\n`
}

function listText(answer: Json): string {
  const own = textOf(answer, 'own')
  const hosts = memberOf(answer, 'hosts')?.items ?? []
  const rows = [
    ['HOST', 'KEY', 'ENDPOINT', 'STATE'],
    ['(this host)', own === '' ? 'none yet' : own, '', ''],
    ...hosts.map(one => [textOf(one, 'host'), textOf(one, 'key'), textOf(one, 'endpoint'), stateOf(one)])
  ]
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => (row[column] ?? '').length)))
  const line = (row: readonly string[]): string =>
    row
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
  return `${rows.map(line).join('\n')}\n`
}

function stateOf(host: Json): string {
  const refused = textOf(host, 'refused')
  if (refused !== '') return `not believed: it ${refused}`
  const seconds = Number(textOf(host, 'lastHandshake'))
  return seconds > 0 ? `heard of ${new Date(seconds * 1000).toISOString()}` : 'never heard of yet'
}

function given(text: string): string | undefined {
  return text === '' ? undefined : text
}
