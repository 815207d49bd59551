/**
 * The bill of materials of a release.
 * @source CycloneDX 1.5 JSON
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../project.ts'

/** Something that is in a released file. */
export interface Component {
  readonly name: string
  readonly version: string
  readonly license: string
  /** Package URL; '' when there is none. */
  readonly purl: string
}

/** A released file and the names of the components in it. */
export interface Released {
  readonly file: string
  readonly sha256: string
  readonly components: readonly Component[]
}

/** A package of node_modules, or a folder in one that has a version of its own. */
export function npmComponent(name: string): Component {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'))
  const { version, license } = manifest
  return { name, version, license: licenseId(license), purl: `pkg:npm/${name.replace('@', '%40')}@${version}` }
}

function licenseId(license: unknown): string {
  return typeof license === 'string' ? license : 'NOASSERTION'
}

/** @param time in milliseconds since 1970 */
export function billOfMaterials(version: string, time: number, released: readonly Released[]): object {
  const all = new Map(released.flatMap(one => one.components.map(part => [referenceOf(part), part] as const)))
  const main = `pkg:github/patchbay@${version}`
  const digest = createHash('sha256')
    .update(released.map(one => one.sha256).join())
    .digest('hex')
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${uuidOf(digest)}`,
    version: 1,
    metadata: {
      timestamp: new Date(time).toISOString(),
      component: { type: 'application', 'bom-ref': main, name: 'patchbay', version, licenses: licensesOf('Apache-2.0') }
    },
    components: [
      ...released.map(({ file, sha256 }) => ({
        type: 'file',
        'bom-ref': file,
        name: file,
        hashes: [{ alg: 'SHA-256', content: sha256 }]
      })),
      ...[...all].map(([reference, part]) => ({
        type: 'library',
        'bom-ref': reference,
        name: part.name,
        version: part.version,
        licenses: licensesOf(part.license),
        ...(part.purl === '' ? {} : { purl: part.purl })
      }))
    ],
    dependencies: [
      { ref: main, dependsOn: released.map(one => one.file) },
      ...released.map(({ file, components }) => ({ ref: file, dependsOn: components.map(referenceOf) }))
    ]
  }
}

function referenceOf(part: Component): string {
  return part.purl === '' ? `${part.name}@${part.version}` : part.purl
}

function licensesOf(text: string): readonly object[] {
  return / /.test(text) ? [{ expression: text }] : [{ license: { id: text } }]
}

/** A UUID that follows from a digest: version 8, RFC 9562. */
function uuidOf(hex: string): string {
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)]
  return parts.join('-')
}
