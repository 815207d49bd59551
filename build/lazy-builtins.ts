/**
 * Modules of Node that are loaded when one of their functions is first called, instead of at every start: node:crypto
 * alone takes longer to load than most plugins take to work, and most calls need neither.
 */
import { createRequire } from 'node:module'
import type { Plugin } from 'esbuild'

const LAZY: readonly string[] = ['node:child_process', 'node:crypto']

/** For esbuild: a bundle's imports of these modules become functions that load the module and call its own. */
export function lazyBuiltins(): Plugin {
  const require = createRequire(import.meta.url)
  return {
    name: 'lazy-builtins',
    setup: build => {
      const filter = new RegExp(`^(?:${LAZY.join('|')})$`)
      build.onResolve({ filter }, ({ path, kind }) =>
        kind === 'import-statement' ? { path, namespace: 'lazy-builtin' } : { path, external: true }
      )
      build.onLoad({ filter, namespace: 'lazy-builtin' }, ({ path }) => {
        const builtin: Readonly<Record<string, unknown>> = require(path)
        // Classes are left out: an import of one fails the build, since a function cannot stand in for it.
        const names = Object.keys(builtin).filter(name => typeof builtin[name] === 'function' && /^[a-z]/.test(name))
        return { contents: names.map(name => wrapperOf(path, name)).join('') }
      })
    }
  }
}

function wrapperOf(path: string, name: string): string {
  return `export function ${name}(...args) { return require(${JSON.stringify(path)}).${name}(...args) }\n`
}
