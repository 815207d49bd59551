/** A value for a sysctl; its path as `Sysctls` has it. */
export interface Setting {
  readonly path: string
  readonly value: string
}

/** `sysctl net.…`, of one namespace. */
export abstract class Sysctls {
  /**
   * @param path below /proc/sys/net with slashes, so that names with dots are unambiguous: `ipv4/conf/eth0.5/arp_notify`
   * @returns without the line end; undefined when there is no such file (IPv6 switched off at boot, link gone)
   * @throws {KernelError} EINVAL for a path that leads outside
   */
  abstract read(path: string): string | undefined
  /** @throws {KernelError} ENOENT without such a file, EINVAL, EACCES, EROFS */
  abstract write(path: string, value: string): void
  /**
   * Writes sysctls that make things better but that nothing depends on, in their order, with one visit to the namespace: a
   * kernel may lack one, and where /proc/sys is read-only (a runtime in a container) the attachment works without, as with the
   * reference plugins.
   *
   * @throws {KernelError} EINVAL, EACCES
   */
  abstract writeIfPresent(settings: readonly Setting[]): void
}
