/** Names of iptables chains that come from a configuration. They become words of rules: a space would make two of one. */
import type { Section } from '../config/section.ts'

/** What iptables-nft allows; older kernels allow one more. */
export const CHAIN_NAME_LENGTH = 28

/**
 * Chains and targets that are iptables' own: a jump to one of these is another thing than a jump to a chain.
 *
 * @source man 8 iptables, man 8 iptables-extensions
 */
const TAKEN =
  ' ACCEPT DROP QUEUE RETURN INPUT OUTPUT FORWARD PREROUTING POSTROUTING AUDIT CHECKSUM CLASSIFY CLUSTERIP CONNMARK ' +
  'CONNSECMARK CT DNAT DNPT DSCP ECN HL HMARK IDLETIMER LED LOG MARK MASQUERADE NETMAP NFLOG NFQUEUE NOTRACK ' +
  'RATEEST REDIRECT REJECT SECMARK SET SNAT SNPT SYNPROXY TCPMSS TCPOPTSTRIP TEE TOS TPROXY TRACE TTL ULOG '

/**
 * Whether iptables takes an interface's name for that name and no other: a "+" at its end stands for all that begin so, and quotes
 * are printed as they are and not read back.
 */
export function isPlainInterface(name: string): boolean {
  return /^[A-Za-z0-9_.@][A-Za-z0-9_.@+-]*$/.test(name) && !name.endsWith('+')
}

/** Writes down a problem where the key's text is no name for a chain. @returns undefined when the key is absent */
export function readChainName(section: Section, key: string): string | undefined {
  const name = section.text(key)
  if (name === undefined || name === '') return name
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/.test(name) || name.length > CHAIN_NAME_LENGTH) {
    section.problem(key, `must be the name of a chain (letters, digits and _.:-, ${String(CHAIN_NAME_LENGTH)} at most)`)
  } else if (TAKEN.includes(` ${name} `)) {
    section.problem(key, 'must be a chain of its own, not one that is built in')
  }
  return name
}
