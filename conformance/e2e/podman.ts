/** podman with its CNI backend, keeping everything in a directory of its own. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Outcome, outcomeOf } from './command.ts'
import { BIN_DIR, CONF_DIR, SCRATCH } from './host.ts'

const DIRECTORY = join(SCRATCH, 'podman')

export interface Inspected {
  readonly State: { readonly Pid: number; readonly Running: boolean }
  readonly NetworkSettings: {
    readonly SandboxKey: string
    readonly Networks: Readonly<
      Record<
        string,
        {
          readonly IPAddress: string
          readonly GlobalIPv6Address: string
          readonly MacAddress: string
          readonly Gateway: string
        }
      >
    >
  }
}

export class Podman {
  /** Its configuration goes where it belongs: what conmon starts later reads it there. */
  constructor() {
    mkdirSync(DIRECTORY, { recursive: true })
    mkdirSync('/etc/containers', { recursive: true })
    writeFileSync('/etc/containers/containers.conf', CONTAINERS_CONF)
    writeFileSync('/etc/containers/storage.conf', STORAGE_CONF)
  }

  outcome(...args: readonly string[]): Outcome {
    return outcomeOf('podman', args)
  }

  /** @throws Error when it fails */
  run(...args: readonly string[]): string {
    const { status, stdout, stderr } = this.outcome(...args)
    if (status !== 0) throw new Error(`podman ${args.join(' ')}: exit ${status}: ${stderr.trim()}`)
    return stdout.trim()
  }

  inspect(container: string): Inspected {
    const [one] = JSON.parse(this.run('inspect', container)) as readonly Inspected[]
    if (one === undefined) throw new Error(`inspect ${container}: nothing`)
    return one
  }
}

/** The limits are those that a root without CAP_SYS_RESOURCE may have; crun refuses machines with both control group versions. */
const CONTAINERS_CONF = `[containers]
cgroups = "enabled"
log_driver = "k8s-file"
default_sysctls = []
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "${DIRECTORY}/tmp"
volume_path = "${DIRECTORY}/volumes"
static_dir = "${DIRECTORY}/static"
[network]
network_backend = "cni"
cni_plugin_dirs = ["${BIN_DIR}"]
network_config_dir = "${CONF_DIR}"
default_subnet = "10.89.0.0/24"
`

const STORAGE_CONF = `[storage]
driver = "overlay"
graphroot = "${DIRECTORY}/storage"
runroot = "${DIRECTORY}/run"
`
