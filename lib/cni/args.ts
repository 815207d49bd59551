/**
 * CNI_ARGS: `KEY=value;KEY=value`, the oldest of the three ways to pass arguments.
 * @source CNI CONVENTIONS.md, "CNI_ARGS"
 */
import { CniError, INVALID_ENVIRONMENT } from './error.ts'

/** The keys that some plugin of this set reads, or that orchestrators put there for everybody. */
const KNOWN_KEYS: readonly string[] = [
  'IgnoreUnknown',
  'IP',
  'MAC',
  'GATEWAY',
  'K8S_POD_NAMESPACE',
  'K8S_POD_NAME',
  'K8S_POD_INFRA_CONTAINER_ID',
  'K8S_POD_UID'
]

const WHAT_TO_DO =
  'pass KEY=value pairs separated by ";", with IgnoreUnknown=1 among them when other plugins read more keys'

/**
 * The pairs of CNI_ARGS. Nothing is judged before the first `get`: a plugin that reads no argument works whatever the
 * variable holds, and so does every DEL.
 */
export class CniArgs {
  readonly #text: string
  #pairs: Map<string, string>
  #parsed: boolean

  constructor(text: string) {
    this.#text = text
    this.#pairs = new Map<string, string>()
    this.#parsed = false
  }

  /** The variable as it was given. */
  text(): string {
    return this.#text
  }

  /**
   * The value of a key (in this very case), undefined when it is absent or empty. The last of several wins.
   * @throws CniError code 4 for a pair that isn't one, or an unknown key without IgnoreUnknown
   */
  get(key: string): string | undefined {
    if (!this.#parsed) this.#pairs = parsePairs(this.#text)
    this.#parsed = true
    const value = this.#pairs.get(key)
    return value === '' ? undefined : value
  }
}

function parsePairs(text: string): Map<string, string> {
  const pairs = new Map<string, string>()
  const unknown: string[] = []
  for (const pair of text.split(';')) {
    if (pair === '') continue
    const parts = pair.split('=')
    const key = parts[0] ?? ''
    if (parts.length !== 2 || key === '') {
      throw new CniError(INVALID_ENVIRONMENT, `read CNI_ARGS: ${JSON.stringify(pair)} is not KEY=value`, WHAT_TO_DO)
    }
    pairs.set(key, parts[1] ?? '')
    if (!KNOWN_KEYS.some(known => known === key)) unknown.push(pair)
  }
  if (unknown.length > 0 && !isTrue(pairs.get('IgnoreUnknown') ?? '0')) {
    throw new CniError(INVALID_ENVIRONMENT, `read CNI_ARGS: unknown ${JSON.stringify(unknown.join(';'))}`, WHAT_TO_DO)
  }
  return pairs
}

function isTrue(text: string): boolean {
  const lower = text.toLowerCase()
  if (lower === '1' || lower === 'true') return true
  if (lower === '0' || lower === 'false' || lower === '') return false
  throw new CniError(
    INVALID_ENVIRONMENT,
    `read CNI_ARGS: IgnoreUnknown must be 1, true, 0 or false, got ${JSON.stringify(text)}`,
    WHAT_TO_DO
  )
}
