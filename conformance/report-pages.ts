/** Writes the scoreboard: a page with everything, and beside it a folder of the same name with a page per plugin. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Report } from './report.ts'
import { htmlReport } from './report-html.ts'
import { pluginPage } from './report-html-plugin.ts'

/** @param path of the main page, which ends in .html */
export function writePages(path: string, report: Report, folder?: string): void {
  const name = basename(path).replace(/\.html$/, '')
  const pages = join(dirname(path), `${name}-plugins`)
  rmSync(pages, { recursive: true, force: true })
  mkdirSync(pages, { recursive: true })
  writeFileSync(path, htmlReport(report, folder, basename(pages)))
  for (const plugin of new Set(report.sets.flatMap(set => set.plugins))) {
    writeFileSync(join(pages, `${plugin}.html`), pluginPage(report, plugin, `../${basename(path)}`, folder))
  }
}
