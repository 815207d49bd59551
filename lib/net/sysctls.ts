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
}
