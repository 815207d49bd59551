/**
 * `npm run release:figures`: sizes of a release's files and how long each takes to install, into docs/release.json, of which
 * README.md's table is made. Each is installed into a root of its own, in turns; the middle one of the runs counts.
 *
 *     npm run release:figures -- [--runs 5] [DIR]          # dist/release
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { withPrivateMounts } from '../../lib/testing/private-mounts.ts'
import { ROOT } from '../project.ts'
import type { ReleaseFigures } from './figures-table.ts'
import { debianRoot, dpkg, installByImage, npmInstall, rpmInstall, run, sizeBelow, unpack } from './roots.ts'

const FIGURES = join(ROOT, 'docs', 'release.json')

interface Installation {
  readonly form: string
  /** Beginnings of the names of its files. */
  readonly files: readonly RegExp[]
  /** @returns the directories that the host has afterwards */
  readonly install: (directory: string, files: readonly string[]) => readonly string[]
}

const [npmArch, debArch, rpmArch] = process.arch === 'x64' ? ['x64', 'amd64', 'x86_64'] : ['arm64', 'arm64', 'aarch64']

/** As docs/install.md says. */
const INSTALLATIONS: readonly Installation[] = [
  {
    form: 'plugins alone, tar',
    files: [new RegExp(`^patchbay-plugins-.*-linux-${npmArch}\\.tar\\.gz$`)],
    install: (directory, [file = '']) => [unpack(file, join(directory, 'bin'))]
  },
  {
    form: 'plugins alone, deb',
    files: [new RegExp(`^patchbay-cni_.*_${debArch}\\.deb$`)],
    install: (directory, [file = '']) => {
      dpkg(debianRoot(directory), '--install', file)
      return [join(directory, 'usr')]
    }
  },
  {
    form: 'plugins alone, rpm',
    files: [new RegExp(`^patchbay-cni-.*\\.${rpmArch}\\.rpm$`)],
    install: (directory, [file = '']) => {
      rpmInstall(directory, file)
      return [join(directory, 'usr')]
    }
  },
  {
    form: 'everything, tar',
    files: [new RegExp(`^patchbay-[0-9].*-linux-${npmArch}\\.tar\\.gz$`)],
    install: (directory, [file = '']) => {
      const [home = ''] = readdirSync(unpack(file, join(directory, 'home')))
      run(join(directory, 'home', home, 'node', 'patchbay'), ['install', join(directory, 'bin')])
      return [join(directory, 'home'), join(directory, 'bin')]
    }
  },
  {
    form: 'everything, npm',
    files: [/^patchbay-[0-9.]*\.tgz$/, new RegExp(`^patchbay-linux-${npmArch}-.*\\.tgz$`)],
    install: (directory, files) => {
      run(npmInstall(directory, files), ['install', join(directory, 'bin')])
      return [join(directory, 'prefix'), join(directory, 'bin')]
    }
  },
  {
    form: 'everything, deb',
    files: [new RegExp(`^patchbay_.*_${debArch}\\.deb$`)],
    install: (directory, [file = '']) => {
      dpkg(debianRoot(directory), '--install', file)
      run(join(directory, 'usr/bin/patchbay'), ['install', join(directory, 'opt/cni/bin')])
      return [join(directory, 'usr'), join(directory, 'opt')]
    }
  },
  {
    form: 'everything, rpm',
    files: [new RegExp(`^patchbay-[0-9].*\\.${rpmArch}\\.rpm$`)],
    install: (directory, [file = '']) => {
      rpmInstall(directory, file)
      run(join(directory, 'usr/bin/patchbay'), ['install', join(directory, 'opt/cni/bin')])
      return [join(directory, 'usr'), join(directory, 'opt')]
    }
  },
  {
    form: 'container image',
    files: [/^patchbay-.*\.oci\.tar$/],
    install: (directory, [file = '']) => {
      installByImage(directory, file)
      return [join(directory, 'root')]
    }
  }
]

/** One installation. @returns seconds, and bytes that it takes on disk */
function measure(
  { install }: Installation,
  files: readonly string[]
): { readonly seconds: number; readonly disk: number } {
  const directory = mkdtempSync(join(ROOT, '.cache', 'figures-'))
  try {
    const start = performance.now()
    const installed = install(directory, files)
    const seconds = (performance.now() - start) / 1000
    return { seconds, disk: installed.reduce((sum, one) => sum + sizeBelow(one), 0) }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function filesOf({ form, files }: Installation, folder: string): readonly string[] {
  const present = readdirSync(folder)
  return files.map(pattern => {
    const name = present.find(one => pattern.test(one))
    if (name === undefined) throw new Error(`${form}: no file in ${folder} is named as ${pattern}`)
    return join(folder, name)
  })
}

function figuresOf(folder: string, count: number): ReleaseFigures {
  const all = INSTALLATIONS.map(one => ({ one, files: filesOf(one, folder), runs: [] as ReturnType<typeof measure>[] }))
  for (let round = 0; round < count; round += 1) for (const { one, files, runs } of all) runs.push(measure(one, files))
  const middle = (values: readonly number[]): number =>
    values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
  const version = /-([0-9.]+)\.cdx\.json$/m.exec(readdirSync(folder).join('\n'))?.[1] ?? 'unknown'
  return {
    version,
    runs: count,
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} x ${cpus()[0]?.model ?? ''}, Linux ${release()} ${process.arch}`,
    forms: all.map(({ one, files, runs }) => ({
      form: one.form,
      bytes: files.reduce((sum, file) => sum + statSync(file).size, 0),
      disk: runs[0]?.disk ?? 0,
      seconds: middle(runs.map(each => each.seconds))
    }))
  }
}

// Installing by an image mounts a /proc.
withPrivateMounts(import.meta.filename, process.argv.slice(2))
mkdirSync(join(ROOT, '.cache'), { recursive: true })
const { values, positionals } = parseArgs({ options: { runs: { type: 'string' } }, allowPositionals: true })
const figures = figuresOf(resolve(positionals[0] ?? join(ROOT, 'dist', 'release')), Number(values.runs ?? 5))
writeFileSync(FIGURES, `${JSON.stringify(figures, undefined, 2)}\n`)
process.stdout.write('docs/release.json is written; npm run format puts it into README.md\n')
