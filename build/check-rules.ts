/** Checks rules of the tree that no compiler knows: words that must not be committed, and what each plugin must have. */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pluginFolders, ROOT } from './project.ts'

interface Rule {
  readonly pattern: RegExp
  readonly why: string
  /** The files it holds for. */
  readonly files: RegExp
}

/** One letter of each word is in brackets, so that this file keeps its own rules. */
const RULES: readonly Rule[] = [
  { pattern: /\bTO[D]O\b|\bFIX[M]E\b/, why: 'unfinished work is not committed', files: /\.ts$/ },
  { pattern: /Error\(['"`]not implemente[d]/i, why: 'unfinished work is not committed', files: /\.ts$/ },
  { pattern: /\btest\s*\.\s*onl[y]\s*\(/, why: 'the other tests would not run', files: /\.test\.ts$/ },
  { pattern: /\btest\s*\.\s*ski[p]\s*\(/, why: 'a skipped test needs a reason: unless', files: /\.test\.ts$/ },
  { pattern: /\bexport defaul[t]\b/, why: 'exports have names', files: /\.ts$/ },
  { pattern: /^\s*(?:export )?(?:const )?(?:enu[m]|namespac[e]) \w+ \{/, why: 'not erasable', files: /\.ts$/ },
  { pattern: /\/(?:hom[e]|roo[t]|wor[k])\/[a-z]/, why: 'a path of one machine', files: /./ },
  { pattern: /^(?:<{7}|>{7}) /, why: 'a merge is not finished', files: /./ },
  { pattern: /registry\.np[m]js|registry\.yar[n]pkg|deb\.debia[n]\.org/, why: 'the address of a registry', files: /./ }
]

/** Files that git knows, or would after `git add`. */
function committedFiles(): readonly string[] {
  const git = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8'
  })
  // Not a clone (an unpacked archive): there is nothing to commit to.
  if (git.status !== 0) return []
  return git.stdout.split('\0').filter(path => path !== '' && existsSync(join(ROOT, path)))
}

function wordProblems(): readonly string[] {
  const problems: string[] = []
  for (const path of committedFiles()) {
    const rules = RULES.filter(rule => rule.files.test(path))
    const lines = readFileSync(join(ROOT, path), 'utf8').split('\n')
    lines.forEach((line, index) => {
      for (const { pattern, why } of rules) {
        const match = pattern.exec(line)
        if (match !== null) problems.push(`${path}:${index + 1}: ${JSON.stringify(match[0])}: ${why}`)
      }
    })
  }
  return problems
}

function pluginProblems(): readonly string[] {
  return pluginFolders().flatMap(({ folder }) => {
    const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    return [
      ...(files.includes('README.md') ? [] : [`${folder}: README.md is missing`]),
      ...(files.some(file => file.endsWith('.test.ts')) ? [] : [`${folder}: it has no test`])
    ]
  })
}

for (const problem of [...wordProblems(), ...pluginProblems()]) {
  process.stderr.write(`${problem}\n`)
  process.exitCode = 1
}
