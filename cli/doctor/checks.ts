/** Every check, in the order in which findings are shown: what breaks most comes first. */
import { agent } from './checks/agent.ts'
import { brNetfilter } from './checks/br-netfilter.ts'
import { clock } from './checks/clock.ts'
import { conflists } from './checks/conflists.ts'
import { duplicates } from './checks/duplicates.ts'
import { encryption } from './checks/encryption.ts'
import { etcd } from './checks/etcd.ts'
import { forwardPolicy } from './checks/forward-policy.ts'
import { forwarding } from './checks/forwarding.ts'
import { gateways } from './checks/gateways.ts'
import { gone } from './checks/gone.ts'
import { ipv6Off } from './checks/ipv6-off.ts'
import { kernelOptions } from './checks/kernel-options.ts'
import { limits } from './checks/limits.ts'
import { links } from './checks/links.ts'
import { mtu } from './checks/mtu.ts'
import { names } from './checks/names.ts'
import { pluginVersions } from './checks/plugin-versions.ts'
import { pools } from './checks/pools.ts'
import { portConflicts } from './checks/port-conflicts.ts'
import { publishedAddresses } from './checks/published-addresses.ts'
import { rpFilter } from './checks/rp-filter.ts'
import { rules } from './checks/rules.ts'
import { staleRules } from './checks/stale-rules.ts'
import { subnetOverlap } from './checks/subnet-overlap.ts'
import { traces } from './checks/traces.ts'
import type { Check } from './finding.ts'

export const CHECKS: readonly Check[] = [
  conflists,
  pluginVersions,
  kernelOptions,
  forwarding,
  links,
  gateways,
  duplicates,
  ipv6Off,
  mtu,
  subnetOverlap,
  rules,
  portConflicts,
  publishedAddresses,
  forwardPolicy,
  brNetfilter,
  rpFilter,
  pools,
  gone,
  staleRules,
  traces,
  limits,
  clock,
  agent,
  etcd,
  encryption,
  names
]
