/** What the parts of a fake kernel share. For tests; see fake-kernel.ts. */

import type { Namespace } from '../../net/namespace.ts'
import { KernelError } from '../../netlink/kernel-error.ts'
import type { RefusedChanges } from '../refused-changes.ts'
import type { FakeLink, FakeNamespace } from './fake-namespace.ts'

/** What a fake kernel and its namespaces share: all namespaces, and the count down to a failure. */
export interface FakeWorld {
  readonly namespaces: FakeNamespace[]
  readonly refused: RefusedChanges
  macs: number
  /** Namespaces made so far. */
  made: number
}

/** A namespace as its nouns see it. */
export class FakePlace {
  readonly world: FakeWorld
  readonly namespace: FakeNamespace

  constructor(world: FakeWorld, namespace: FakeNamespace) {
    this.world = world
    this.namespace = namespace
  }

  /** A change, which the test may have asked to be refused. */
  step(operation: string, object: string): void {
    countStep(this.world, operation, object)
  }

  namespaceOf(net: Namespace): FakeNamespace {
    const namespace = this.world.namespaces[net.namespaceFd()]
    return namespace ?? refuse('open', 'namespace', 'EINVAL', 'Invalid argument')
  }
}

export function countStep(world: FakeWorld, operation: string, object: string): void {
  const errno = world.refused.note(operation, object)
  if (errno !== '') refuse(operation, object, errno, 'as the test asked for')
}

export function refuse(operation: string, object: string, errno: string, explanation: string): never {
  throw new KernelError(operation, object, errno, explanation)
}

export function linkAt(namespace: FakeNamespace, index: number): FakeLink {
  const link = namespace.links.find(one => one.index === index)
  return link ?? refuse('find', `link ${index}`, 'ENODEV', 'No such device')
}
