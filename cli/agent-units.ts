/** The units that run the agent under systemd: the same texts as in agent/systemd. */

export const UNIT_DIR = '/etc/systemd/system'

export interface Unit {
  readonly name: string
  readonly text: string
}

/** @param program the `patchbay` command that the service starts */
export function agentUnits(program: string): readonly Unit[] {
  return [
    { name: 'patchbay-agent.service', text: SERVICE.replace(PROGRAM, () => quoted(program)) },
    { name: 'patchbay-agent.socket', text: SOCKET }
  ]
}

/** @source man 5 systemd.service, "COMMAND LINES" */
function quoted(program: string): string {
  const text = program.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w/.@%$+-]+$/.test(text) ? text : JSON.stringify(text)
}

const PROGRAM = '/usr/local/bin/patchbay'

const SERVICE = `[Unit]
Description=Patchbay agent: names, services and overlay networks of containers
Requires=patchbay-agent.socket
After=network-online.target patchbay-agent.socket
Wants=network-online.target
# Containers are attached through it.
Before=containerd.service crio.service

[Service]
# Reads /etc/patchbay/agent.json where there is one; without it, this host is alone.
ExecStart=${PROGRAM} agent
Restart=always
RestartSec=100ms
# Its state outlives it: the next agent takes leases and containers over.
RuntimeDirectory=patchbay
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
# Keys and known hosts; registryDir.
StateDirectory=patchbay
StateDirectoryMode=0700
# confDir: made if it is missing, and the one place below /etc that it writes to.
ConfigurationDirectory=cni/net.d
# NET_ADMIN: devices, entries, rules, WireGuard, whose module the kernel loads by itself. NET_RAW: announcements of addresses.
# NET_BIND_SERVICE: ports of services. SYS_ADMIN: containers' namespaces; SYS_PTRACE: /proc/PID/ns/net of other users.
# SYS_CHROOT: encryption has its namespace mounted among the mounts of the host, where it outlives the service.
# DAC_OVERRIDE: files of runtimes.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BIND_SERVICE CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_SYS_CHROOT CAP_DAC_OVERRIDE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ReadWritePaths=/run/patchbay /etc/cni/net.d
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
# Only these kinds, for the engine compiles to machine code as it runs, and sysctls of interfaces are written.
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=net mnt uts
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap
UMask=0077
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
Also=patchbay-agent.socket
`

const SOCKET = `[Unit]
Description=Socket by which CNI plugins reach the Patchbay agent

[Socket]
ListenStream=/run/patchbay/agent.sock
SocketMode=0600
DirectoryMode=0700
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`
