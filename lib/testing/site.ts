/** A host made of namespaces that `ip` wires, and of directories with records, for what looks at hosts and changes little. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Namespace, type Outcome } from './namespace.ts'
import { patchbayProgram } from './program.ts'

export class Site {
  readonly host = Namespace.create()
  readonly boxes: readonly Namespace[]
  readonly directory = mkdtempSync(join(tmpdir(), 'patchbay-site-'))

  constructor(boxes: number) {
    this.boxes = Array.from({ length: boxes }, () => Namespace.create())
  }

  box(index: number): Namespace {
    const box = this.boxes[index]
    if (box === undefined) throw new Error(`there is no box ${String(index)}`)
    return box
  }

  /** Lines of `ip`, which must all succeed. */
  ip(namespace: Namespace, ...lines: readonly string[]): void {
    const done = namespace.run('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` })
    if (done.status !== 0) throw new Error(`ip: ${done.stderr}`)
  }

  /** A program that must succeed. */
  sh(namespace: Namespace, line: string): string {
    const done = namespace.run('sh', ['-ec', line])
    if (done.status !== 0) throw new Error(`${line}: ${done.stderr}`)
    return done.stdout
  }

  /** @param content written as JSON unless it is a text */
  file(path: string, content: object | string, mode = 0o644): void {
    const full = join(this.directory, path)
    mkdirSync(dirname(full), { recursive: true })
    writeFileSync(full, typeof content === 'string' ? content : JSON.stringify(content), { mode })
  }

  remove(path: string): void {
    rmSync(join(this.directory, path), { recursive: true, force: true })
  }

  /** The options by which the command finds the directories. */
  places(): readonly string[] {
    return ['conf', 'cache', 'state'].flatMap(name => [`--${name}-dir`, join(this.directory, name)])
  }

  /** The command from source, in the host's namespace. */
  patchbay(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
    const [node, ...rest] = patchbayProgram()
    return this.host.run(node, [...rest, ...argv], { env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', ...env } })
  }

  close(): void {
    for (const namespace of [this.host, ...this.boxes]) namespace.close()
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Makes a site for `body`, and takes it away after it. */
export async function withSite(boxes: number, body: (site: Site) => void | Promise<void>): Promise<void> {
  const site = new Site(boxes)
  try {
    await body(site)
  } finally {
    site.close()
  }
}
