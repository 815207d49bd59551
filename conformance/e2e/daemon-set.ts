/** What a kubelet makes of a DaemonSet's manifest: the same entry points, arguments, mounts and rights, over CRI. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { until } from './command.ts'
import type { ContainerConfig, Cri, Pod, PodOptions } from './cri.ts'
import { ROOT, SCRATCH } from './host.ts'

const MANIFESTS = join(ROOT, 'deploy', 'kubernetes')
const IMAGES = join(ROOT, 'dist', 'release-trial')

/** The image of the build under test. */
export function imageArchives(): readonly string[] {
  if (!existsSync(IMAGES)) return []
  return readdirSync(IMAGES)
    .filter(name => name.endsWith('.oci.tar'))
    .map(name => join(IMAGES, name))
}

interface Manifest {
  readonly kind: string
  readonly data?: Readonly<Record<string, string>>
  readonly spec?: { readonly template: { readonly spec: PodSpec } }
}

interface PodSpec {
  readonly hostNetwork: boolean
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly Volume[]
}

interface Container {
  readonly name: string
  readonly image: string
  readonly args: readonly string[]
  readonly securityContext: {
    readonly readOnlyRootFilesystem: boolean
    readonly allowPrivilegeEscalation?: boolean
    readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] }
  }
  readonly volumeMounts: readonly {
    readonly name: string
    readonly mountPath: string
    readonly readOnly?: boolean
    readonly mountPropagation?: 'HostToContainer'
  }[]
}

interface Volume {
  readonly name: string
  readonly configMap?: { readonly name: string }
  readonly hostPath?: { readonly path: string; readonly type: 'DirectoryOrCreate' | 'File' }
}

const OPTIONS: PodOptions = { hostNetwork: true, empty: true }
const INIT_MS = 30_000

/** The DaemonSet's pod on this node. */
export class DaemonPod {
  readonly #cri: Cri
  readonly #pod: Pod
  /** Container ids by name. */
  readonly #containers: ReadonlyMap<string, string>

  private constructor(cri: Cri, pod: Pod, containers: ReadonlyMap<string, string>) {
    this.#cri = cri
    this.#pod = pod
    this.#containers = containers
  }

  /** Runs the pod: containers of initialization one after the other, each to its end, then the others. */
  static async run(cri: Cri, file: string): Promise<DaemonPod> {
    const documents = parseAllDocuments(readFileSync(join(MANIFESTS, file), 'utf8')).map(one => one.toJS() as Manifest)
    const data = documents.find(one => one.kind === 'ConfigMap')?.data ?? {}
    const spec = documents.find(one => one.kind === 'DaemonSet')?.spec?.template.spec
    if (spec === undefined) throw new Error(`${file}: has no DaemonSet`)
    const paths = volumesOf(spec, data)
    const pod = await cri.run('daemon', OPTIONS)
    const start = (one: Container): Promise<string> => cri.startContainer(pod, OPTIONS, configOf(one, paths))
    for (const one of spec.initContainers ?? []) {
      const id = await start(one)
      const { exit_code } = await until(`the end of ${one.name}`, INIT_MS, () => exited(cri, id))
      if (exit_code !== 0) throw new Error(`${one.name} ended with ${exit_code}: ${logOf(pod, one.name)}`)
    }
    const containers = new Map<string, string>()
    for (const one of spec.containers) containers.set(one.name, await start(one))
    return new DaemonPod(cri, pod, containers)
  }

  log(name: string): string {
    return logOf(this.#pod, name)
  }

  async isRunning(name: string): Promise<boolean> {
    return (await this.#cri.containerStatus(this.#idOf(name))).state === 'CONTAINER_RUNNING'
  }

  /** Asks a container to end. @returns its exit status */
  async stop(name: string): Promise<number> {
    await this.#cri.stopContainer(this.#idOf(name), 20)
    return (await this.#cri.containerStatus(this.#idOf(name))).exit_code
  }

  async remove(): Promise<void> {
    await this.#cri.remove(this.#pod)
  }

  #idOf(name: string): string {
    const id = this.#containers.get(name)
    if (id === undefined) throw new Error(`the pod has no container ${name}`)
    return id
  }
}

async function exited(cri: Cri, id: string): Promise<{ readonly exit_code: number } | undefined> {
  const status = await cri.containerStatus(id)
  return status.state === 'CONTAINER_EXITED' ? status : undefined
}

function logOf(pod: Pod, container: string): string {
  const path = join(SCRATCH, 'logs', pod.name, `${container}.log`)
  return existsSync(path) ? readFileSync(path, 'utf8') : '(no log)'
}

/** Paths of the host, by volume. */
function volumesOf(spec: PodSpec, data: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(
    spec.volumes.map(({ name, hostPath }) => {
      if (hostPath === undefined) return [name, configMap(data)]
      if (hostPath.type === 'DirectoryOrCreate') mkdirSync(hostPath.path, { recursive: true })
      else if (!existsSync(hostPath.path)) throw new Error(`volume ${name}: ${hostPath.path} is missing`)
      return [name, hostPath.path]
    })
  )
}

function configMap(data: Readonly<Record<string, string>>): string {
  const directory = join(SCRATCH, 'config-map')
  mkdirSync(directory, { recursive: true })
  for (const [name, text] of Object.entries(data)) writeFileSync(join(directory, name), text)
  return directory
}

function configOf(container: Container, paths: ReadonlyMap<string, string>): ContainerConfig {
  const { name, image, args, securityContext, volumeMounts } = container
  return {
    metadata: { name },
    image: { image },
    args,
    mounts: volumeMounts.map(one => ({
      container_path: one.mountPath,
      host_path: paths.get(one.name),
      readonly: one.readOnly === true,
      propagation: one.mountPropagation === undefined ? 'PROPAGATION_PRIVATE' : 'PROPAGATION_HOST_TO_CONTAINER'
    })),
    log_path: `${name}.log`,
    linux: {
      security_context: {
        capabilities: {
          add_capabilities: securityContext.capabilities.add,
          drop_capabilities: securityContext.capabilities.drop
        },
        namespace_options: { network: 'NODE', pid: 'CONTAINER', ipc: 'POD' },
        readonly_rootfs: securityContext.readOnlyRootFilesystem,
        no_new_privs: securityContext.allowPrivilegeEscalation === false
      }
    }
  }
}
