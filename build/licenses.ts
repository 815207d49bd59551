/** The licences of what is linked or bundled into an executable; they must travel with it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './project.ts'

/** The npm packages among files of a bundle, given as paths from the root; each as its folder below node_modules. */
export function packagesOf(files: readonly string[]): readonly string[] {
  const names = files.flatMap(
    file => /^node_modules\/((?:.+\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []
  )
  return [...new Set(names)].sort()
}

/**
 * Every licence text of these packages of node_modules, one after the other.
 * @throws Error for a package without any
 */
export function licensesOf(packages: readonly string[]): string {
  return packages
    .map(name => {
      const folder = join(ROOT, 'node_modules', name)
      const files = existsSync(folder)
        ? readdirSync(folder).filter(file => /^(licen[cs]e|notice|third_party)/i.test(file))
        : []
      if (files.length === 0) throw new Error(`read the licence of ${JSON.stringify(name)}: its package holds none`)
      const texts = files.map(file => readFileSync(join(folder, file), 'utf8').trim())
      return `== ${name} ==\n\n${texts.join('\n\n')}\n`
    })
    .join('\n')
}
