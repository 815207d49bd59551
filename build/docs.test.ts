/** What the documents point at is there: a reader who follows a link into nothing believes the rest less, too. */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { assert, suite } from '../lib/testing/suite.ts'
import { ROOT } from './project.ts'
import { SYSTEM_PACKAGES } from './release/system-packages.ts'

const test = suite('build/docs')

function documents(): readonly string[] {
  const child = spawnSync('git', ['ls-files', '*.md'], { cwd: ROOT, encoding: 'utf8' })
  return child.stdout.trim().split('\n')
}

/** Written by `npm run bench`, and judged by readme.ts. */
const GENERATED = 'docs/benchmark.json'

/** GitHub's name for a heading. */
function anchorOf(heading: string): string {
  const text = heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, '')
  return text.trim().replaceAll(' ', '-')
}

function anchorsOf(path: string): readonly string[] {
  const headings = readFileSync(path, 'utf8').matchAll(/^#+ (.+)$/gm)
  return [...headings].map(([, heading = '']) => anchorOf(heading))
}

test('links inside the repository lead somewhere, to the heading they name', () => {
  const files = documents()
  assert.ok(files.length > 20, String(files.length))
  for (const file of files) {
    const text = readFileSync(join(ROOT, file), 'utf8').replaceAll(/```[\s\S]*?```/g, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const full = path === '' ? join(ROOT, file) : join(ROOT, dirname(file), path)
      assert.ok(existsSync(full) || full === join(ROOT, GENERATED), `${file}: ${target}`)
      if (anchor !== undefined) assert.ok(anchorsOf(full).includes(anchor), `${file}: ${target}`)
    }
  }
})

test('tests that documents name exist', () => {
  for (const file of documents()) {
    for (const [, path = ''] of readFileSync(join(ROOT, file), 'utf8').matchAll(/`([\w./*-]+\.test\.ts)`/g)) {
      if (path.includes('/')) assert.ok(globSync(join(ROOT, path)).length > 0, `${file}: ${path}`)
    }
  }
})

test('the tests that docs/faults.md names are in their files, a row for each fault', () => {
  const rows = readFileSync(join(ROOT, 'docs', 'faults.md'), 'utf8').matchAll(/^\| [A-Z]\d* \|.*\|$/gm)
  const named = [...rows].map(([row]) => /\| `([^`]+)`: ([^|]+) \|$/.exec(row) ?? [row])
  assert.ok(named.length > 70, String(named.length))
  for (const [row, path = '', name = ''] of named) {
    assert.ok(name !== '', `no file and name: ${row}`)
    // Names are written in either kind of quotes, of which one is escaped inside the other.
    const source = readFileSync(join(ROOT, path), 'utf8').replaceAll("\\'", "'")
    assert.ok(source.includes(name), `${path} has no test named ${name}`)
  }
})

/** Trimmed lines of everything that a contributor writes. */
function linesOfSource(): ReadonlySet<string> {
  const paths = globSync('{agent,build,cli,conformance,dhcp,ipam,lib,plugins}/**/*.{ts,golden}', { cwd: ROOT })
  const texts = paths.map(path => readFileSync(join(ROOT, path), 'utf8'))
  return new Set(texts.flatMap(text => text.split('\n')).map(line => line.replace(/,$/, '').trim()))
}

test("CONTRIBUTING.md's examples are lines of the source, and its files are there", () => {
  const text = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8')
  const source = linesOfSource()
  const examples = [...text.matchAll(/^ *```(?:ts)?\n([\s\S]*?)^ *```$/gm)].flatMap(([, block = '']) =>
    block.split('\n')
  )
  assert.ok(examples.length > 20, String(examples.length))
  for (const line of examples) assert.ok(source.has(line.replace(/,$/, '').trim()), line)
  for (const [, path = ''] of text.replaceAll(/```[\s\S]*?```/g, '').matchAll(/`([a-z]+\/[\w./-]*)`/g))
    assert.ok(existsSync(join(ROOT, path)), path)
})

test("README.md's drawing of layers shows every folder of the source", () => {
  const [, section = ''] =
    /^## How it is built\n([\s\S]*?)^## /m.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? []
  const drawn = section.split('\n').filter(line => line.startsWith('    '))
  const folders = globSync('{agent,build,cli,conformance,dhcp,fuzz,ipam,lib/*,plugins}/', { cwd: ROOT })
  assert.ok(folders.length > 25, String(folders))
  for (const folder of folders) {
    const name = folder.replace(/\/$/, '')
    assert.ok(
      drawn.some(line => new RegExp(`(^|[ ]|─)${name}(?![\\w-])`).test(line)),
      name
    )
  }
})

test('the image of the suite has the libraries that the command needs, as its deb asks for them', () => {
  const file = readFileSync(join(ROOT, 'conformance', 'action', 'Containerfile'), 'utf8')
  const asked = SYSTEM_PACKAGES.find(one => one.name === 'patchbay')?.depends.debian ?? []
  const names = asked.map(one => one.split(' ')[0] ?? '')
  assert.ok(names.includes('libatomic1'))
  // Every image of Debian has these.
  const wanted = names.filter(name => !/^lib(c6|gcc-s1)$/.test(name))
  assert.equal(
    wanted.filter(name => !file.includes(` ${name} `)),
    []
  )
})

test.run()
