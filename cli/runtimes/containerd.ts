/**
 * Containers of containerd, whoever made them: ctr, nerdctl, the kubelet (CRI). Asked over containerd's own socket.
 *
 * @source containerd's api/services/{namespaces,containers,tasks}/v1 and api/types/task: names and numbers of methods and fields
 */
import type { Client as GrpcClient, ServiceError } from '@grpc/grpc-js'
import type { AnyDefinition } from '@grpc/proto-loader'
import { isName } from '../../lib/attachment.ts'
import { ANSWER_MS, type RuntimeContainer, RuntimeUnknown } from './runtime-container.ts'

/** Labels by which the runtimes above containerd name their containers. */
const NERDCTL_NAME = 'nerdctl/name'
const POD_NAME = 'io.kubernetes.pod.name'
const POD_NAMESPACE = 'io.kubernetes.pod.namespace'
const CONTAINER_NAME = 'io.kubernetes.container.name'
const NAME_LABELS: readonly string[] = [NERDCTL_NAME, POD_NAME, CONTAINER_NAME]

/** How containerd is told in which of its namespaces to look. */
const NAMESPACE_HEADER = 'containerd-namespace'

/** The namespace of the containers of CRI. */
const CRI_NAMESPACE = 'k8s.io'

const NAMESPACES = '/containerd.services.namespaces.v1.Namespaces/List'
const CONTAINERS = '/containerd.services.containers.v1.Containers/List'
const TASKS = '/containerd.services.tasks.v1.Tasks/List'

function list(service: string, ask: object, answer: object, item: object): object {
  return {
    nested: {
      [service]: { methods: { List: { requestType: 'ListRequest', responseType: 'ListResponse' } } },
      ListRequest: { fields: ask },
      ListResponse: { fields: answer },
      ...item
    }
  }
}

const LABELS = { keyType: 'string', type: 'string' }

/** The three lists, in the form that proto-loader's fromJSON reads. */
const SCHEMA = {
  nested: {
    'containerd.services.namespaces.v1': list(
      'Namespaces',
      {},
      { namespaces: { rule: 'repeated', type: 'Namespace', id: 1 } },
      { Namespace: { fields: { name: { type: 'string', id: 1 } } } }
    ),
    'containerd.services.containers.v1': list(
      'Containers',
      { filters: { rule: 'repeated', type: 'string', id: 1 } },
      { containers: { rule: 'repeated', type: 'Container', id: 1 } },
      { Container: { fields: { id: { type: 'string', id: 1 }, labels: { ...LABELS, id: 2 } } } }
    ),
    'containerd.services.tasks.v1': list(
      'Tasks',
      {},
      { tasks: { rule: 'repeated', type: 'Process', id: 1 } },
      { Process: { fields: { id: { type: 'string', id: 2 }, pid: { type: 'uint32', id: 3 } } } }
    )
  }
}

interface ListedContainer {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
}

interface ListedTask {
  readonly id: string
  readonly pid: number
}

/**
 * Those whose id or name begins so.
 *
 * @param word of letters, digits and `_.-`
 * @throws RuntimeUnknown
 */
export async function containerdContainers(socket: string, word: string): Promise<readonly RuntimeContainer[]> {
  const lists = await Lists.open(socket)
  try {
    const { namespaces } = await lists.ask<{ readonly namespaces: readonly { readonly name: string }[] }>(
      NAMESPACES,
      '',
      {}
    )
    const found: RuntimeContainer[] = []
    for (const { name } of namespaces) found.push(...(await inNamespace(lists, name, word)))
    return found
  } finally {
    lists.close()
  }
}

async function inNamespace(lists: Lists, namespace: string, word: string): Promise<readonly RuntimeContainer[]> {
  // containerd looks: a list of all containers has each one's whole specification in it.
  const filters = filtersFor(word)
  const answer = await lists.ask<{ readonly containers: readonly ListedContainer[] }>(CONTAINERS, namespace, {
    filters
  })
  if (answer.containers.length === 0) return []
  const { tasks } = await lists.ask<{ readonly tasks: readonly ListedTask[] }>(TASKS, namespace, {})
  return answer.containers.flatMap(one => {
    const task = tasks.find(other => other.id === one.id && other.pid > 0)
    return task === undefined ? [] : [describe(namespace, one, task.pid)]
  })
}

/** Any of them is enough. @source containerd's filters package: `~=` is a regular expression in Go's syntax */
function filtersFor(word: string): readonly string[] {
  const beginning = JSON.stringify(`^${word.replaceAll('.', '[.]')}`)
  return [`id~=${beginning}`, ...NAME_LABELS.map(label => `labels.${JSON.stringify(label)}~=${beginning}`)]
}

function describe(namespace: string, { id, labels }: ListedContainer, pid: number): RuntimeContainer {
  const common = { runtime: 'containerd', id, netns: `/proc/${String(pid)}/ns/net` } as const
  const pod = nameIn(labels, POD_NAME)
  if (pod !== '') {
    const qualified = `${labels[POD_NAMESPACE] ?? ''}/${pod}`
    const own = labels[CONTAINER_NAME]
    const names = own === undefined ? [pod, qualified] : [own, pod, qualified, `${qualified}/${own}`]
    return { ...common, names, name: pod, shown: `pod ${qualified}`, containerId: id }
  }
  const name = nameIn(labels, NERDCTL_NAME)
  const names = name === '' ? [`${namespace}/${id}`] : [name, `${namespace}/${name}`, `${namespace}/${id}`]
  // ctr and nerdctl put containerd's namespace before the id.
  const containerId = namespace === CRI_NAMESPACE ? id : `${namespace}-${id}`
  const known = name === '' ? id : name
  return { ...common, names, name: known, shown: `containerd ${namespace}/${known}`, containerId }
}

/** '' where there is none. An image's labels become its container's: what stands there may be anything. */
function nameIn(labels: Readonly<Record<string, string>>, label: string): string {
  const text = labels[label] ?? ''
  return isName(text) ? text : ''
}

type Packages = typeof import('../../agent/etcd/packages.ts')

/** The three methods on one connection. */
class Lists {
  readonly #socket: string
  readonly #packages: Packages
  readonly #client: GrpcClient
  readonly #definitions: Readonly<Record<string, AnyDefinition>>

  static async open(socket: string): Promise<Lists> {
    return new Lists(socket, await import('../../agent/etcd/packages.ts'))
  }

  private constructor(socket: string, packages: Packages) {
    this.#socket = socket
    this.#packages = packages
    const { Client, credentials, fromJSON } = packages
    // Without `default_authority` gRPC would send the socket's path as the host's name, which Go's server refuses.
    const options = {
      'grpc.default_authority': 'localhost',
      'grpc.enable_retries': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.max_receive_message_length': -1
    }
    this.#client = new Client(`unix://${socket}`, credentials.createInsecure(), options)
    this.#definitions = fromJSON(SCHEMA as Parameters<typeof fromJSON>[0], { keepCase: true, defaults: true })
  }

  async ask<Answer>(path: string, namespace: string, message: object): Promise<Answer> {
    const [, service = ''] = path.split('/')
    const definition = this.#definitions[service]
    if (definition === undefined || 'format' in definition)
      throw new Error(`ask ${path}: the schema has no such service`)
    const method = definition['List']
    if (method === undefined) throw new Error(`ask ${path}: the schema has no such method`)
    const metadata = new this.#packages.Metadata()
    if (namespace !== '') metadata.set(NAMESPACE_HEADER, namespace)
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const deadline = Date.now() + ANSWER_MS
    const read = (bytes: Buffer): Answer => method.responseDeserialize(bytes) as Answer
    const done = (error: ServiceError | null, answer?: Answer): void => {
      if (error === null && answer !== undefined) resolve(answer)
      else
        reject(
          new RuntimeUnknown(`ask containerd at ${JSON.stringify(this.#socket)}: ${error?.details ?? 'no answer'}`)
        )
    }
    this.#client.makeUnaryRequest(path, method.requestSerialize, read, message, metadata, { deadline }, done)
    return promise
  }

  close(): void {
    this.#client.close()
  }
}
