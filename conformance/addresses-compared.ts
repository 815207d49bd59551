/** Addresses as values: a plugin may print them in any of their notations. */
import { isIPv6, SocketAddress } from 'node:net'

/** The usual notation of an address with or without prefix length; what is no address stays as it is. */
export function canonical(text: string): string {
  const [address = '', ...length] = text.split('/')
  const bare = isIPv6(address) ? new SocketAddress({ address, family: 'ipv6' }).address : address
  return [bare, ...length].join('/')
}

/** Whether both are the same address, or both none. */
export function sameAddress(a: unknown, b: unknown): boolean {
  if (typeof a !== 'string' || typeof b !== 'string') return a === b
  return canonical(a) === canonical(b)
}
