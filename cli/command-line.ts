/** Runs a command line: the table says what there is, the verb's module is loaded for it alone. */

import { COMMANDS, GROUPS, PROGRAMS } from './commands.ts'
import { DRY_RUN } from './common-options.ts'
import { withoutContainer } from './docker-words.ts'
import { type Output, processOutput, reportError, UsageError } from './output.ts'
import { parse, showHelp } from './parser.ts'
import { seesContainers } from './rights.ts'
import type { CommandSpec, Grammar, ProgramSpec } from './spec.ts'

const MAN: CommandSpec = {
  name: 'man',
  heading: 'This host',
  summary: 'write the manual pages',
  arguments: [{ name: 'DIR', words: 'directory' }],
  options: [DRY_RUN],
  examples: [
    { line: 'patchbay man /usr/local/share/man/man1', effect: 'man patchbay-network-create finds them there' }
  ],
  run: async call => (await import('./man.ts')).man(call, GRAMMAR)
}

export const GRAMMAR: Grammar = { commands: [...COMMANDS, MAN], groups: GROUPS, programs: PROGRAMS }

/**
 * @param argv without the program's name
 * @returns the exit status: 0 done, 1 failed, 2 used wrongly
 */
export async function runCommandLine(argv: readonly string[], output: Output = processOutput()): Promise<number> {
  try {
    return await run(customary(argv), output)
  } catch (error) {
    reportError(output, error, beforeProgram(argv).includes('--json'))
    return error instanceof UsageError ? 2 : 1
  }
}

async function run(argv: readonly string[], output: Output): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined) {
    showHelp(GRAMMAR, { out: output.err, err: output.err })
    return 2
  }
  if (name === '__keep') return (await import('./run/run.ts')).keepInBackground(output)
  if (name === '__complete') return (await import('./completion.ts')).complete(GRAMMAR, rest, output)
  const program = PROGRAMS.find(one => one.name === name)
  if (program !== undefined) return runProgram(program, rest, output)
  const asked = parse(GRAMMAR, argv, output)
  if (asked.kind === 'helped') return 0
  const { spec, call } = asked
  seesContainers(spec, call)
  if (spec.mayTakeLong !== true) return spec.run(call)
  const { withProgress } = await import('./progress.ts')
  return withProgress(`patchbay ${spec.name}`, output, shown => spec.run(call.writingTo(shown)))
}

async function runProgram(program: ProgramSpec, argv: readonly string[], output: Output): Promise<number> {
  if (!argv.includes('--help') && !argv.includes('-h')) return program.start(argv)
  output.out(await program.usage())
  return 0
}

/** `help X` is `X --help`, `--version` is `version`, `container X` is `X`. */
function customary(argv: readonly string[]): readonly string[] {
  const [name, ...rest] = argv
  if (name === 'help') return [...rest, '--help']
  return name === '--version' || name === '-V' ? ['version', ...rest] : withoutContainer(argv)
}

function beforeProgram(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--')
  return end < 0 ? argv : argv.slice(0, end)
}
