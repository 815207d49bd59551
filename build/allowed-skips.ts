/**
 * The only reasons for which the gate lets a test be skipped (see `unless` in lib/testing/suite.ts), each with the
 * cause in this list's own words. Under CI nothing may be skipped.
 */
export const ALLOWED_SKIPS: readonly RegExp[] = [
  // Commands of other projects that some tests compare with; .ci/run installs them all.
  /^needs the command [a-z0-9-]+ \(Debian package [a-z0-9-]+\)$/,
  // The reference plugins, likewise.
  /^needs the reference plugins in \S+ \(Debian package containernetworking-plugins\)$/,
  // The native engine's compiler, which a machine that only runs the Node engine lacks.
  /^install clang 15 or newer /,
  // Counts of instructions are those of one compiler.
  /^the figures are those of /,
  // Headers of the kernel, of both processors: Debian's linux-libc-dev on x64, which compilers bring along.
  /^no \/usr\/include\/\S+\/unistd(_64)?\.h$/,
  // The older iptables: newer kernels are built without its tables.
  /^iptables-legacy is not installed$/,
  /^this kernel has no tables for iptables-legacy: /
]
