/** Format and lint, layers, rules, dead code, the lock file and documents. With --write, formats and mends what can be mended. */
import { spawnSync } from 'node:child_process'
import { NODE_BIN, ROOT } from './project.ts'

const biome = ['node_modules/@biomejs/biome/bin/biome', 'check']
const steps: readonly (readonly string[])[] = process.argv.includes('--write')
  ? [
      [...biome, '--write', '.'],
      ['build/readme.ts', '--write']
    ]
  : [
      [...biome, '--error-on-warnings', '.'],
      ['build/check-layers.ts'],
      ['build/check-rules.ts'],
      ['node_modules/knip/bin/knip.js', '--no-progress'],
      ['build/lock.ts'],
      ['build/readme.ts']
    ]

for (const step of steps) {
  const { status } = spawnSync(NODE_BIN, ['--no-warnings', ...step], { cwd: ROOT, stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
