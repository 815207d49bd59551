/** Every suite. */
import type { Suite } from '../suite.ts'
import { criSuite } from './cri.ts'
import { podmanSuite } from './podman.ts'

export const SUITES: readonly Suite[] = [
  criSuite('containerd-1', 'containerd.conflist', ['native', 'node']),
  criSuite('containerd-2', 'kubelet-dual-stack.conflist', ['native']),
  podmanSuite
]
