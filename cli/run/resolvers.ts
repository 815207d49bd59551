/** `--dns` of `run`, where a resolver that knows the names of containers stands between. */
import { type Json, jsonArray, jsonObject, jsonString, withMember } from '../../lib/config/json.ts'
import { capabilitiesOf, type Network } from '../../lib/runtime/network.ts'

/**
 * The runtime's arguments with the name servers among them.
 *
 * @source CNI CONVENTIONS.md, "dns"
 */
export function withResolvers(dns: readonly string[], network: Network, others: Json | undefined): Json | undefined {
  if (dns.length === 0 || !capabilitiesOf(network).includes('dns')) return others
  const servers = jsonObject([['servers', jsonArray(dns.map(jsonString))]])
  return withMember(others ?? jsonObject([]), 'dns', servers)
}
