/**
 * Black-box test files that are run on the native engine only, where both can be built.
 *
 * The Node engine runs the plugins' source as it is, and so does every pure and kernel test; what may differ in its
 * executable is how it starts, what its bundle has in it, and the C library over node:ffi. That is judged on both engines
 * by all other black-box files: bytes and exit status for any input (fuzz/engines, lib/cni/protocol, lib/cni/reference,
 * build/injection, lib/sys/directories, conformance), and a plugin of each sort at work (bridge, host-local, host-device,
 * tuning, tap, vxlan, dhcp, and in the guest those of conformance/link-kinds). A start of it costs twenty of the native one,
 * so files that call plugins often are not repeated to show the same logic again.
 */
export const NATIVE_ONLY: ReadonlyMap<string, string> = new Map([
  ['build/anywhere.blackbox.test.ts', "the Node engine's file is Node's own, which needs glibc"],
  ['build/instructions.blackbox.test.ts', 'what Node computes at its start would be counted, for minutes'],
  ['build/recording.blackbox.test.ts', 'judges what is written about the command, which is the same on both'],
  ['conformance/bench.blackbox.test.ts', 'judges the benchmark, not the plugins that it times'],
  ['conformance/mutations.blackbox.test.ts', 'judges the conformance suite, with scripts in place of plugins'],
  ['conformance/sets.blackbox.test.ts', 'judges the conformance suite, with scripts that call plugins'],
  [
    'plugins/bridge/vlan.blackbox.guest.test.ts',
    'its logic: bridge.test.ts, lib/net/kernel-net.guest.test.ts; emulated, each start takes Node seconds'
  ],
  [
    'plugins/vlan/vlan.blackbox.guest.test.ts',
    'its logic: vlan.guest.test.ts, ipvlan.guest.test.ts, dummy.guest.test.ts; emulated, as above'
  ],
  ['plugins/bandwidth/bandwidth.blackbox.test.ts', 'its logic: bandwidth.test.ts, bandwidth.kernel.test.ts'],
  ['plugins/removal.recycled.blackbox.test.ts', 'its logic: attachment.test.ts, vrf.test.ts, tuning.test.ts'],
  ['plugins/removal.kills.blackbox.test.ts', 'its logic: removal.test.ts, lib/sys'],
  ['plugins/firewall/firewall.blackbox.test.ts', 'its logic: firewall.test.ts, firewall.kernel.test.ts'],
  ['plugins/macvlan/macvlan.blackbox.test.ts', 'its logic: macvlan.test.ts, macvlan.kernel.test.ts'],
  [
    'plugins/portmap/portmap.blackbox.test.ts',
    'its logic: portmap.test.ts, portmap.kernel.test.ts, conditions.kernel.test.ts'
  ],
  ['plugins/ptp/ptp.blackbox.test.ts', 'its logic: ptp.test.ts, ptp.kernel.test.ts'],
  ['plugins/sbr/sbr.blackbox.test.ts', 'its logic: sbr.test.ts, plan.test.ts']
])
