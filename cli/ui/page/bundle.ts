/** The page as one text. The built executable has it inside (build/command-asset.ts); from source it is made here, now. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { build as Build } from 'esbuild'

const HERE = import.meta.dirname

export async function pageText(): Promise<string> {
  return (await bundledPage()).text
}

/** @returns the page, and the files that are in it, from the root */
export async function bundledPage(): Promise<{ readonly text: string; readonly files: readonly string[] }> {
  // By require: what bundles this module must not bundle the bundler.
  const { build }: { readonly build: typeof Build } = createRequire(import.meta.url)('esbuild')
  const result = await build({
    entryPoints: [join(HERE, 'main.ts'), join(HERE, 'style.css')],
    absWorkingDir: join(HERE, '..', '..', '..'),
    outdir: '/',
    bundle: true,
    write: false,
    metafile: true,
    minify: true,
    format: 'iife',
    target: ['chrome115', 'firefox115', 'safari16.4'],
    // THIRD_PARTY_LICENSES has the licences.
    legalComments: 'none',
    logLevel: 'warning'
  })
  if (result.warnings.length > 0) throw new Error('bundle the page: see the warnings above')
  const textOf = (ending: string): string =>
    (result.outputFiles.find(file => file.path.endsWith(ending))?.text ?? '').trimEnd()
  // A function: `$&` in what is put in means nothing.
  const text = readFileSync(join(HERE, 'page.html'), 'utf8')
    .replace('<style></style>', () => `<style>${textOf('.css')}</style>`)
    .replace('<script></script>', () => `<script>${textOf('.js')}</script>`)
  return { text, files: Object.keys(result.metafile.inputs) }
}
