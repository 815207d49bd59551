/**
 * What runtimes call their containers, from the files that they keep:
 *
 *     docker/containers/<id>/config.v2.json                        {"Name": "/web", …}
 *     nerdctl/<address>/names/<namespace>/<name>                   the id
 *     containers/storage/overlay-containers/containers.json        [{"id": …, "names": [NAME, …]}, …]   (podman, CRI-O)
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where they are kept. */
export const STORES = '/var/lib'

const ID = /^[0-9a-f]{64}$/

export class ContainerNames {
  readonly #directory: string
  #listed: ReadonlyMap<string, string> | undefined

  /** @param directory that has those of the runtimes */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** '' when nobody calls it anything, or one may not look. */
  nameOf(id: string): string {
    if (!ID.test(id)) return ''
    this.#listed ??= new Map([...nerdctlNames(this.#directory), ...storageNames(this.#directory)])
    return this.#listed.get(id) ?? dockerName(this.#directory, id)
  }
}

function dockerName(directory: string, id: string): string {
  const config = parsed(join(directory, 'docker', 'containers', id, 'config.v2.json'))
  const name = memberOf(config, 'Name')
  return typeof name === 'string' ? name.replace(/^\//, '') : ''
}

function nerdctlNames(directory: string): readonly (readonly [string, string])[] {
  const root = join(directory, 'nerdctl')
  return entriesOf(root).flatMap(address =>
    entriesOf(join(root, address, 'names')).flatMap(namespace =>
      entriesOf(join(root, address, 'names', namespace)).map(
        name => [textAt(join(root, address, 'names', namespace, name)).trim(), name] as const
      )
    )
  )
}

function storageNames(directory: string): readonly (readonly [string, string])[] {
  const listed = parsed(join(directory, 'containers', 'storage', 'overlay-containers', 'containers.json'))
  return (Array.isArray(listed) ? listed : []).flatMap((one: unknown) => {
    const [id, names] = [memberOf(one, 'id'), memberOf(one, 'names')]
    const name: unknown = Array.isArray(names) ? names[0] : undefined
    return typeof id === 'string' && typeof name === 'string' ? [[id, name] as const] : []
  })
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
}

function parsed(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

function textAt(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function entriesOf(path: string): readonly string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
