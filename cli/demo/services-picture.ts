/** Hosts side by side, each with its containers and the port it publishes; under them the services that stand for them. */
interface ShownHost {
  readonly name: string
  readonly address: string
}

interface ShownContainer {
  readonly host: ShownHost
  readonly name: string
  readonly address: string
}

interface ShownService {
  readonly name: string
  readonly address: string
}

const GAP = '   '

/** @returns lines of at most 80 columns, the last one ends with a line break */
export function drawServices(
  hosts: readonly ShownHost[],
  containers: readonly ShownContainer[],
  services: readonly ShownService[],
  port: number
): string {
  const inside = hosts.map(host => containers.filter(one => one.host === host).map(one => `${one.name} ${one.address}`))
  const texts = [...hosts.flatMap(host => [host.name, `${host.address}:${port}`]), ...inside.flat()]
  const width = Math.max(...texts.map(text => text.length)) + 4
  const centre = (text: string): string => {
    const left = Math.floor((width - text.length) / 2)
    return ' '.repeat(left) + text + ' '.repeat(width - text.length - left)
  }
  const row = (cell: (index: number) => string): string =>
    GAP +
    hosts
      .map((_, i) => cell(i))
      .join(GAP)
      .trimEnd()
  const half = Math.floor(width / 2)
  const lines = [
    row(i => centre(`${hosts[i]?.address}:${port}`)),
    row(() => `${' '.repeat(half)}│${' '.repeat(width - half - 1)}`),
    row(() => `┌${'─'.repeat(half - 1)}┴${'─'.repeat(width - half - 2)}┐`),
    row(i => `│${centre(hosts[i]?.name ?? '').slice(1, -1)}│`)
  ]
  const most = Math.max(...inside.map(all => all.length))
  for (let line = 0; line < most; line += 1) lines.push(row(i => `│${centre(inside[i]?.[line] ?? '').slice(1, -1)}│`))
  lines.push(row(() => `└${'─'.repeat(half - 1)}┬${'─'.repeat(width - half - 2)}┘`))
  const last = hosts.length - 1
  const wire = hosts.map((_, i) => {
    const left = i === 0 ? ' '.repeat(half) : '═'.repeat(half)
    const right = i === last ? '' : '═'.repeat(width - half - 1)
    return left + (i === 0 ? '╚' : i === last ? '╝' : '╩') + right
  })
  lines.push(GAP + wire.join('═'.repeat(GAP.length)))
  for (const { name, address } of services) lines.push(`${GAP}service ${name.padEnd(4)} ${address}`)
  return `${lines.join('\n')}\n`
}
