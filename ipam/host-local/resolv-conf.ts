/** Reading a resolv.conf file for the `dns` of a result. */
import type { Dns } from '../../lib/cni/result.ts'
import { readPolicyLines } from '../../lib/state/policy-file.ts'

/**
 * Name servers, search domains and options of a file; of several `domain` lines the last.
 *
 * @returns undefined when it cannot be read
 * @source man 5 resolv.conf
 */
export function readResolvConf(path: string): Dns | undefined {
  const text = readFile(path)
  return text === undefined ? undefined : parseResolvConf(text)
}

function readFile(path: string): string | undefined {
  try {
    return readPolicyLines(path)?.join('\n')
  } catch {
    return undefined
  }
}

/** Lines that cannot be understood are passed over, as the resolver does. */
export function parseResolvConf(text: string): Dns {
  const nameservers: string[] = []
  const search: string[] = []
  const options: string[] = []
  let domain: string | undefined
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/)
    const keyword = words[0] ?? ''
    const value = words[1]
    if (value === undefined || keyword.startsWith('#') || keyword.startsWith(';')) continue
    if (keyword === 'nameserver') nameservers.push(value)
    if (keyword === 'domain') domain = value
    if (keyword === 'search') for (const word of words.slice(1)) search.push(word)
    if (keyword === 'options') for (const word of words.slice(1)) options.push(word)
  }
  return { nameservers, domain, search, options }
}
