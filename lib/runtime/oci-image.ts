/**
 * Container images as directories. A layout is a Docker archive too, so that containerd, podman and docker all load it.
 *
 * @source OCI image specification 1.1, image-layout.md, manifest.md, config.md; the archive of `docker save`
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

export interface OciImage {
  /** As Node names it: x64, arm64. */
  readonly arch: string
  /** The archive that its one layer is, as tar writes it. */
  readonly layer: string
  /** The layer is packed by gzip, at this level; without it, as it is. */
  readonly gzipLevel?: number
  /** @source config.md, "config" */
  readonly config: {
    readonly Entrypoint?: readonly string[]
    readonly Cmd?: readonly string[]
    readonly Env: readonly string[]
    readonly WorkingDir: string
    readonly Labels?: Readonly<Record<string, string>>
  }
  /** Seconds since 1970. */
  readonly created: number
  readonly createdBy: string
}

/** Members of a layout, in the order in which an archive of it holds them. */
export const LAYOUT_MEMBERS: readonly string[] = ['oci-layout', 'index.json', 'manifest.json', 'blobs']

/** @source GOARCH of the Go port, which image specifications use */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64' }

interface Blob {
  readonly digest: string
  readonly size: number
}

interface Written {
  readonly described: object
  readonly docker: object
}

/**
 * Writes the layout of one image for several processors.
 *
 * @param name such as `localhost/patchbay:1`
 */
export function writeImageLayout(layout: string, name: string, images: readonly OciImage[]): void {
  mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true })
  const written = images.map(image => writeImage(layout, name, image))
  const manifests = written.map(one => one.described)
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests }
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index))
  writeFileSync(join(layout, 'manifest.json'), JSON.stringify(written.map(one => one.docker)))
}

function writeImage(layout: string, name: string, image: OciImage): Written {
  const architecture = ARCHITECTURES[image.arch] ?? image.arch
  const created = new Date(image.created * 1000).toISOString().replace('.000Z', 'Z')
  const { layer, diffId, mediaType } = writeLayer(layout, image)
  const config = keepJson(layout, {
    created,
    architecture,
    os: 'linux',
    config: image.config,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created, created_by: image.createdBy }]
  })
  const manifest = keepJson(layout, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType, ...layer }]
  })
  const described = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    ...manifest,
    platform: { architecture, os: 'linux' },
    annotations: {
      'io.containerd.image.name': name,
      'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1)
    }
  }
  return { described, docker: { Config: pathOf(config), RepoTags: [name], Layers: [pathOf(layer)] } }
}

/** The layer's blob, and the digest of what it unpacks to. */
function writeLayer(
  layout: string,
  { layer, gzipLevel }: OciImage
): { layer: Blob; diffId: string; mediaType: string } {
  const mediaType = 'application/vnd.oci.image.layer.v1.tar'
  if (gzipLevel === undefined) {
    const blob = keepBlob(layout, layer)
    return { layer: blob, diffId: blob.digest, mediaType }
  }
  const bytes = readFileSync(layer)
  const diffId = digestOf(bytes)
  const packed = join(layout, 'layer')
  writeFileSync(packed, gzipSync(bytes, { level: gzipLevel }))
  rmSync(layer)
  return { layer: keepBlob(layout, packed), diffId, mediaType: `${mediaType}+gzip` }
}

function pathOf(blob: Blob): string {
  return `blobs/sha256/${blob.digest.slice('sha256:'.length)}`
}

function keepJson(layout: string, value: object): Blob {
  const file = join(layout, 'blob')
  writeFileSync(file, JSON.stringify(value))
  return keepBlob(layout, file)
}

/** Moves a file to where its digest says. */
function keepBlob(layout: string, file: string): Blob {
  const blob = { digest: digestOf(readFileSync(file)), size: statSync(file).size }
  renameSync(file, join(layout, pathOf(blob)))
  return blob
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
