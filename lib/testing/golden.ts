/**
 * Golden files: what another program sent, and what it means.
 *
 *     # ip link add v0 type veth peer name v1
 *     # iproute2 6.1.0, Linux 6.18
 *     codec Link
 *     hex 0000000000000000...
 *     json {"family":0,...}
 *
 * Blocks of one message each, parted by empty lines. Hexadecimal digits may go on over indented lines. The bytes are
 * the payload of the netlink message, without its nlmsghdr.
 */
import { readdirSync, readFileSync } from 'node:fs'

export interface Golden {
  /** The command and where it was run. */
  readonly title: string
  readonly codec: string
  readonly bytes: Uint8Array
  readonly json: unknown
}

/** All blocks of all files of a directory. */
export function readGoldens(directory: URL): readonly Golden[] {
  const files = readdirSync(directory).filter(name => name.endsWith('.golden'))
  return files.sort().flatMap(name => readFileSync(new URL(name, directory), 'utf8').split('\n\n').map(parseBlock))
}

function parseBlock(block: string): Golden {
  const title: string[] = []
  const fields = new Map<string, string>()
  let last = ''
  for (const line of block.split('\n')) {
    if (line.startsWith('#')) title.push(line.slice(1).trim())
    else if (line.startsWith(' ')) fields.set(last, (fields.get(last) ?? '') + line.trim())
    else if (line !== '') {
      last = line.slice(0, line.indexOf(' '))
      fields.set(last, line.slice(last.length + 1))
    }
  }
  const bytes = Uint8Array.from(Buffer.from(fields.get('hex') ?? '', 'hex'))
  return {
    title: title.join('; '),
    codec: fields.get('codec') ?? '',
    bytes,
    json: JSON.parse(fields.get('json') ?? 'null')
  }
}
