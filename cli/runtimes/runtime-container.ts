/** A running container as its runtime knows it. */
export interface RuntimeContainer {
  readonly runtime: 'containerd' | 'podman'
  readonly id: string
  /** Every word that names it besides its id: its name, `NAMESPACE/NAME`, of a pod's the pod's. */
  readonly names: readonly string[]
  /** What it is called on a network; '' where the runtime has given it no name. */
  readonly name: string
  /** How a person tells it from others: `containerd default/web`. */
  readonly shown: string
  /** The id under which its runtime attaches containers. */
  readonly containerId: string
  readonly netns: string
}

/** A runtime that is there and could not be asked, with the sentence that says so. */
export class RuntimeUnknown extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'RuntimeUnknown'
  }
}

/** How long a runtime on the same host may take to answer. */
export const ANSWER_MS = 5000
