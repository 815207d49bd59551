/** docs/from-docker.md, line by line. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { outcomeOf } from '../command.ts'
import { ROOT } from '../host.ts'
import { PATCHBAY } from '../patchbay.ts'
import type { Case } from '../suite.ts'

interface Line {
  readonly command: string
  readonly isRefused: boolean
}

/** The commands in the second columns of the page's tables. */
function lines(): readonly Line[] {
  const page = readFileSync(join(ROOT, 'docs', 'from-docker.md'), 'utf8')
  return [...page.matchAll(/^\|[^|]*\| (refused: )?`(patchbay [^`]*)` \|/gm)].map(([, refused, command = '']) => ({
    command,
    isRefused: refused !== undefined
  }))
}

export function fromDocker(): readonly Case[] {
  return [{ name: 'docs/from-docker.md: every line does what it says', body: everyLine }]
}

function everyLine(): void {
  const all = lines()
  if (all.length < 80)
    throw new Error(`docs/from-docker.md has ${all.length} lines: are they read as they are written?`)
  const path = `${dirname(PATCHBAY)}:${process.env['PATH'] ?? ''}`
  const problems = all.flatMap(({ command, isRefused }) => {
    const { status, stderr } = outcomeOf('sh', ['-c', command], { env: { PATH: path } })
    return status === (isRefused ? 2 : 0) ? [] : [`${command}: exit ${status}: ${stderr.trim()}`]
  })
  if (problems.length > 0) throw new Error(problems.join('\n'))
}
