/** What a kubelet does: pods over the container runtime interface. */
import { join } from 'node:path'
import { credentials, type GrpcObject, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { until } from './command.ts'
import { SCRATCH } from './host.ts'
import { IMAGE } from './image.ts'
import { HERE, who } from './reach.ts'

interface PortMapping {
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP'
  readonly container_port: number
  readonly host_port: number
  readonly host_ip?: string
}

export interface PodOptions {
  readonly ports?: readonly PortMapping[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly hostNetwork?: boolean
  /** Without a container in it. */
  readonly empty?: boolean
  /** The pod's resolver, in the place of the host's. */
  readonly dns?: string
}

/** A container of a pod, as the kubelet asks for it. @source ContainerConfig */
export interface ContainerConfig {
  readonly metadata: { readonly name: string }
  readonly image: { readonly image: string }
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly mounts?: readonly object[]
  readonly log_path: string
  readonly linux: object
}

interface ContainerStatus {
  readonly state: 'CONTAINER_CREATED' | 'CONTAINER_RUNNING' | 'CONTAINER_EXITED' | 'CONTAINER_UNKNOWN'
  readonly exit_code: number
}

/** A running pod. */
export interface Pod {
  readonly id: string
  readonly name: string
  /** Of its web server; '' when it has none. */
  readonly containerId: string
  /** As the runtime reports them; the first is the pod's own, as in `kubectl get pod`. */
  readonly addresses: readonly string[]
  readonly netns: string
  /** Of the process that holds the pod. */
  readonly pid: number
}

interface Condition {
  readonly type: string
  readonly status: boolean
  readonly reason: string
  readonly message: string
}

interface SandboxStatus {
  readonly status: {
    readonly state: 'SANDBOX_READY' | 'SANDBOX_NOTREADY'
    readonly network: { readonly ip: string; readonly additional_ips: readonly { readonly ip: string }[] } | null
  }
  readonly info: Readonly<Record<string, string>>
}

interface SandboxInfo {
  readonly pid: number
  readonly runtimeSpec: {
    readonly linux: { readonly namespaces: readonly { readonly type: string; readonly path?: string }[] }
  }
}

const CALL_MS = 30_000
const PROTO = join(import.meta.dirname, 'cri.proto')

type Answerer = (error: ServiceError | null, answer: unknown) => void
type Method = (request: object, options: { readonly deadline: number }, answer: Answerer) => void
interface Service {
  readonly close: () => void
  readonly [method: string]: Method | (() => void)
}

export class Cri {
  readonly #service: Service
  #pods = 0

  constructor(socket: string) {
    const definition = loadSync(PROTO, { keepCase: true, longs: Number, enums: String, defaults: true })
    const runtime = (loadPackageDefinition(definition)['runtime'] as GrpcObject)['v1'] as GrpcObject
    const Client = runtime['RuntimeService'] as unknown as new (address: string, given: unknown) => Service
    this.#service = new Client(`unix://${socket}`, credentials.createInsecure())
  }

  #call<T>(method: string, request: object): Promise<T> {
    return new Promise((resolve, reject) => {
      const call = this.#service[method] as Method
      call.bind(this.#service)(request, { deadline: Date.now() + CALL_MS }, (error, answer) => {
        if (error === null) resolve(answer as T)
        else reject(new Error(`${method}: ${error.details}`))
      })
    })
  }

  close(): void {
    this.#service.close()
  }

  /** Waits until the runtime answers, after a start. */
  async ready(): Promise<void> {
    await until('the runtime interface', CALL_MS, () => this.#call('Version', {}).catch(() => undefined))
  }

  async networkCondition(): Promise<Condition> {
    const { status } = await this.#call<{ status: { conditions: readonly Condition[] } }>('Status', {})
    const condition = status.conditions.find(one => one.type === 'NetworkReady')
    if (condition === undefined) throw new Error('Status: there is no condition NetworkReady')
    return condition
  }

  /** Runs a pod with a web server in it. */
  async run(prefix: string, options: PodOptions = {}): Promise<Pod> {
    this.#pods += 1
    const name = `${prefix}-${this.#pods}`
    const config = podConfig(name, options)
    const { pod_sandbox_id: id } = await this.#call<{ pod_sandbox_id: string }>('RunPodSandbox', { config })
    const containerId = options.empty === true ? '' : await this.#startServer(id, config)
    const { addresses, pid, netns } = await this.status(id)
    if (containerId !== '') await until(`the server of ${name}`, CALL_MS, () => who(netns, '127.0.0.1', 80))
    return { id, name, containerId, addresses, pid, netns }
  }

  async #startServer(pod_sandbox_id: string, sandbox_config: object): Promise<string> {
    const command = ['/bin/httpd', '-f', '-p', '80', '-h', '/www']
    const labels = { 'io.kubernetes.container.name': 'web' }
    const image = { image: IMAGE }
    const config = { metadata: { name: 'web' }, labels, image, command, log_path: 'web.log', linux: {} }
    return this.#start(pod_sandbox_id, sandbox_config, config)
  }

  async #start(pod_sandbox_id: string, sandbox_config: object, config: ContainerConfig): Promise<string> {
    const request = { pod_sandbox_id, config, sandbox_config }
    const { container_id } = await this.#call<{ container_id: string }>('CreateContainer', request)
    await this.#call('StartContainer', { container_id })
    return container_id
  }

  /** Starts a container in a pod that was run without one. */
  async startContainer(pod: Pod, options: PodOptions, config: ContainerConfig): Promise<string> {
    return this.#start(pod.id, podConfig(pod.name, options), config)
  }

  async containerStatus(container_id: string): Promise<ContainerStatus> {
    return (await this.#call<{ status: ContainerStatus }>('ContainerStatus', { container_id })).status
  }

  /** @param timeout seconds until it is killed */
  async stopContainer(container_id: string, timeout: number): Promise<void> {
    await this.#call('StopContainer', { container_id, timeout })
  }

  async status(
    pod_sandbox_id: string
  ): Promise<Pick<Pod, 'addresses' | 'pid' | 'netns'> & { readonly ready: boolean }> {
    const { status, info } = await this.#call<SandboxStatus>('PodSandboxStatus', { pod_sandbox_id, verbose: true })
    const detail: SandboxInfo = JSON.parse(info['info'] ?? '{}')
    const network = status.network
    return {
      ready: status.state === 'SANDBOX_READY',
      addresses:
        network === null || network.ip === '' ? [] : [network.ip, ...network.additional_ips.map(one => one.ip)],
      pid: detail.pid,
      netns: detail.runtimeSpec.linux.namespaces.find(one => one.type === 'network')?.path ?? HERE
    }
  }

  /**
   * Asks again, as the kubelet does, when what the runtime's own shim was to answer got lost: the shim of a killed
   * container closes its connection as it ends, at times between the runtime's question and the answer.
   */
  async stop(pod: Pick<Pod, 'id'>): Promise<void> {
    const request = { pod_sandbox_id: pod.id }
    await until('StopPodSandbox', CALL_MS, async () => {
      try {
        await this.#call('StopPodSandbox', request)
        return true
      } catch (error) {
        if (error instanceof Error && /ttrpc: closed/.test(error.message)) return undefined
        throw error
      }
    })
  }

  async remove(pod: Pick<Pod, 'id'>): Promise<void> {
    await this.stop(pod)
    await this.#call('RemovePodSandbox', { pod_sandbox_id: pod.id })
  }

  async list(): Promise<readonly Pick<Pod, 'id'>[]> {
    return (await this.#call<{ items: readonly Pick<Pod, 'id'>[] }>('ListPodSandbox', {})).items
  }

  /** Runs a program in a pod's container. @returns its standard output */
  async exec(pod: Pod, ...cmd: readonly string[]): Promise<string> {
    const request = { container_id: pod.containerId, cmd, timeout: 5 }
    const answer = await this.#call<{ stdout: Buffer; stderr: Buffer; exit_code: number }>('ExecSync', request)
    if (answer.exit_code === 0) return answer.stdout.toString()
    throw new Error(`${cmd.join(' ')} in ${pod.name}: exit ${answer.exit_code}: ${answer.stderr.toString()}`)
  }
}

function podConfig(name: string, options: PodOptions): object {
  const network = options.hostNetwork === true ? 'NODE' : 'POD'
  return {
    metadata: { name, uid: `uid-${name}`, namespace: 'e2e', attempt: 0 },
    hostname: network === 'NODE' ? '' : name,
    // The kubelet's, by which whoever looks finds a pod.
    labels: { 'io.kubernetes.pod.name': name, 'io.kubernetes.pod.namespace': 'e2e' },
    log_directory: join(SCRATCH, 'logs', name),
    port_mappings: options.ports ?? [],
    annotations: options.annotations ?? {},
    ...(options.dns === undefined ? {} : { dns_config: { servers: [options.dns], searches: [], options: [] } }),
    linux: {
      cgroup_parent: '/patchbay-e2e',
      security_context: { namespace_options: { network, pid: 'CONTAINER', ipc: 'POD' } }
    }
  }
}
