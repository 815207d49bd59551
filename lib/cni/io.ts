/** What a call touches of the process around it. Tests put memory in its place. */

import { type Finished, runProgram } from '../sys/exec.ts'
import { ownFileModes } from '../sys/files.ts'
import { occupyStandardStreams, readStdin, stdinIsDevice, writeFully } from '../sys/stdio.ts'

export interface Io {
  /** The value of a variable; '' when it is not set. */
  readonly env: (name: string) => string
  /** Whether there may be something to read: false at a terminal, where reading would wait for a person. */
  readonly hasStdin: () => boolean
  /** The standard input, at most `limit` bytes of it. */
  readonly stdin: (limit: number) => Uint8Array
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  /** Runs another plugin with our environment but for CNI_COMMAND; its stderr is ours. */
  readonly execute: (path: string, command: string, stdin: string) => Finished
  /** The file this process runs. */
  readonly executable: string
}

/** The real process. */
export function processIo(): Io {
  occupyStandardStreams()
  ownFileModes()
  return {
    env: variable,
    hasStdin: () => !stdinIsDevice(),
    stdin: readStdin,
    stdout: text => writeFully(1, text),
    stderr: text => writeFully(2, text),
    execute: executePlugin,
    executable: '/proc/self/exe'
  }
}

/**
 * Spelled out because the native engine copies the whole environment for each question whose name is computed or quoted:
 * with thirty variables that was a third of all a DEL computed.
 */
function variable(name: string): string {
  switch (name) {
    case 'CNI_COMMAND':
      return process.env.CNI_COMMAND ?? ''
    case 'CNI_CONTAINERID':
      return process.env.CNI_CONTAINERID ?? ''
    case 'CNI_NETNS':
      return process.env.CNI_NETNS ?? ''
    case 'CNI_IFNAME':
      return process.env.CNI_IFNAME ?? ''
    case 'CNI_ARGS':
      return process.env.CNI_ARGS ?? ''
    case 'CNI_PATH':
      return process.env.CNI_PATH ?? ''
    case 'CNI_NETNS_OVERRIDE':
      return process.env.CNI_NETNS_OVERRIDE ?? ''
    default:
      return process.env[name] ?? ''
  }
}

function executePlugin(path: string, command: string, stdin: string): Finished {
  const before = variable('CNI_COMMAND')
  process.env['CNI_COMMAND'] = command
  try {
    return runProgram(path, [], stdin)
  } finally {
    process.env['CNI_COMMAND'] = before
  }
}
