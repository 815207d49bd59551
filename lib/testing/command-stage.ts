/** The command over plugins that are shell scripts, which note what they are called with. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { Namespace } from './namespace.ts'

/** cli/command-line.ts's, which this folder may not import. */
export type RunCommandLine = (
  argv: readonly string[],
  output: { readonly out: (text: string) => void; readonly err: (text: string) => void }
) => Promise<number>

export const RESULT = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', sandbox: '/run/netns/c' }],
  ips: [{ interface: 0, address: '10.0.0.2/24', gateway: '10.0.0.1' }]
}

const STUB = `#!/bin/sh
cd "$(dirname "$0")"
cat > input
echo "$(basename "$0") $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_ARGS" >> log
if [ -f "fail.$CNI_COMMAND" ]; then cat "fail.$CNI_COMMAND"; exit 1; fi
[ "$CNI_COMMAND" = ADD ] && cat result
exit 0
`

export interface CommandAnswer {
  readonly status: number
  readonly out: string
  readonly err: string
}

export interface CommandStage {
  readonly directory: string
  /** A container: its process, the path of its namespace, and the id that is made of it. */
  readonly pid: string
  readonly netns: string
  readonly id: string
  readonly box: Namespace
  /** Runs a command with the stage's directories. */
  readonly run: (...argv: string[]) => Promise<CommandAnswer>
  /** What the plugins were called with since the last question. */
  readonly calls: () => string
  readonly fail: (command: string, error: object) => void
}

/**
 * A directory with a network `blue` of two plugins that are shell scripts, and a container.
 *
 * @param runCommandLine the command
 */
export async function withCommandStage(
  runCommandLine: RunCommandLine,
  body: (stage: CommandStage) => Promise<void>
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'patchbay-cli-'))
  const box = Namespace.create()
  try {
    const bin = join(directory, 'bin')
    for (const path of [bin, join(directory, 'net.d')]) mkdirSync(path)
    for (const name of ['one', 'two']) writeFileSync(join(bin, name), STUB, { mode: 0o755 })
    writeFileSync(join(bin, 'result'), JSON.stringify(RESULT))
    const list = {
      cniVersion: '1.1.0',
      name: 'blue',
      plugins: [{ type: 'one', capabilities: { ports: true } }, { type: 'two' }]
    }
    writeFileSync(join(directory, 'net.d', 'blue.conflist'), JSON.stringify(list))
    const place = ['--conf-dir', join(directory, 'net.d'), '--bin-dir', bin, '--cache-dir', join(directory, 'cache')]
    await body({
      directory,
      pid: String(box.pid),
      netns: box.path,
      id: idOf(box),
      box,
      run: (...argv) => answerOf(runCommandLine, [...argv, ...place]),
      calls: () => {
        const log = join(bin, 'log')
        const text = existsSync(log) ? readFileSync(log, 'utf8') : ''
        writeFileSync(log, '')
        return text.replaceAll(/ *\n/g, '; ').slice(0, -2)
      },
      fail: (verb, error) => writeFileSync(join(bin, `fail.${verb}`), JSON.stringify(error))
    })
  } finally {
    box.close()
    rmSync(directory, { recursive: true })
  }
}

function idOf(box: Namespace): string {
  return `pid-${String(box.pid)}.${hostname()}`
}

/** Runs a command line, and gives what it wrote. */
export async function answerOf(runCommandLine: RunCommandLine, argv: readonly string[]): Promise<CommandAnswer> {
  let out = ''
  let err = ''
  const output = {
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    }
  }
  const status = await runCommandLine(argv, output)
  return { status, out, err }
}
