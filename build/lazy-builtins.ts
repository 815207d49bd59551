/**
 * Modules of Node that are loaded when one of their functions is first called, instead of at every start: node:crypto
 * alone takes longer to load than most plugins take to work. Plugins don't need it for the names they derive either: a
 * short text's SHA-256 is computed by lib/hash/sha256.ts.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Plugin } from 'esbuild'
import { ROOT } from './project.ts'

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
        const names = Object.keys(builtin).filter(name => typeof builtin[name] === 'function')
        const own = path === 'node:crypto' ? OWN_HASH : ''
        const wrapped = names.filter(name => own === '' || name !== 'createHash')
        return {
          contents: `${own}${wrapped.map(name => wrapperOf(path, name)).join('')}const all = { ${names.join(', ')} }\nexport { all as default }\n`,
          resolveDir: join(ROOT, 'lib', 'hash')
        }
      })
    }
  }
}

/** Stands in for `createHash(…).update(…).digest(…)`; another call of update on the same hash is not there. */
const OWN_HASH = `import { sha256 } from './sha256.ts'
export function createHash(algorithm) {
  return {
    update(data) {
      if (algorithm !== 'sha256' || typeof data !== 'string' || data.length > 4096)
        return require('node:crypto').createHash(algorithm).update(data)
      return {
        digest(encoding) {
          const hash = Buffer.from(sha256(data).buffer)
          return encoding === undefined ? hash : hash.toString(encoding)
        }
      }
    }
  }
}
`

/** A class's name begins with a capital letter; what `new` makes of the function is what the class makes. */
function wrapperOf(path: string, name: string): string {
  const real = `require(${JSON.stringify(path)}).${name}`
  const call = /^[A-Z]/.test(name) ? `new (${real})(...args)` : `${real}(...args)`
  return `export function ${name}(...args) { return ${call} }\n`
}
