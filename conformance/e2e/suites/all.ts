/** Every suite. */
import type { Suite } from '../suite.ts'
import { articlesSuite } from './articles.ts'
import { articlesClusterSuite } from './articles-cluster.ts'
import { criSuite } from './cri.ts'
import { ctrSuite } from './ctr.ts'
import { kubernetesSuite } from './kubernetes.ts'
import { migrationSuite } from './migration.ts'
import { nerdctlSuite } from './nerdctl.ts'
import { podmanSuite } from './podman.ts'

/** The slowest first: the others run beside them. */
export const SUITES: readonly Suite[] = [
  podmanSuite,
  criSuite('containerd-1', 'containerd.conflist', ['native', 'node']),
  criSuite('containerd-2', 'kubelet-dual-stack.conflist', ['native']),
  articlesSuite,
  kubernetesSuite,
  articlesClusterSuite,
  nerdctlSuite,
  migrationSuite,
  ctrSuite
]
