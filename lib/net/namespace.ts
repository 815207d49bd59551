/** A network namespace that is open, as something that a link can be made in or moved to. */
export abstract class Namespace {
  /** The path it was opened by; `''` for the host's. */
  abstract path(): string
  /** For calls that take a namespace; valid until it is closed. */
  abstract namespaceFd(): number
  /** Whether both are the same namespace, however they were opened. */
  abstract isSameAs(other: Namespace): boolean
  /** Tells it from every other that is there now; when it is gone, another one may get the same. */
  abstract id(): string
  abstract close(): void
}
