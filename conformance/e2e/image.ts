/**
 * A container image out of nothing but a busybox: no registry is asked. The archive is an OCI layout and a Docker archive
 * in one, so that containerd and podman both load it.
 */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { run } from './command.ts'
import { SCRATCH, STORE } from './host.ts'

/** The image of the suites' containers; its pause image is the same one with another command. */
export const IMAGE = 'localhost/patchbay-e2e:1'
export const PAUSE_IMAGE = 'localhost/patchbay-pause:1'

export const IMAGE_ARCHIVE = join(STORE, 'image.tar')
export const PAUSE_ARCHIVE = join(STORE, 'pause.tar')

/** Served by containers that have no image. */
export const WEB = join(SCRATCH, 'www')

const BUSYBOX = '/bin/busybox'
const COMMANDS: readonly string[] = [
  'sh',
  'sleep',
  'httpd',
  'wget',
  'ip',
  'ping',
  'ping6',
  'hostname',
  'cat',
  'ls',
  'nslookup'
]

/** Asked over HTTP, a container says its name and whom it was asked by. */
const WHO_CGI = `#!/bin/sh
[ -n "$NAME" ] || NAME=$(hostname)
echo
echo "$NAME $REMOTE_ADDR"
`

/** `--sort` and the fixed times: the same busybox gives the same image. */
function tar(directory: string, archive: string, members: readonly string[]): void {
  const fixed = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']
  run('tar', [...fixed, '-C', directory, '-cf', archive, ...members])
}

/** Makes both archives. */
export function makeImages(): void {
  mkdirSync(STORE, { recursive: true })
  makeImage(IMAGE_ARCHIVE, IMAGE, ['/bin/httpd', '-f', '-p', '80', '-h', '/www'])
  makeImage(PAUSE_ARCHIVE, PAUSE_IMAGE, ['/bin/sleep', '2147483647'])
}

function makeImage(archive: string, name: string, command: readonly string[]): void {
  const work = mkdtempSync(`${archive}.`)
  try {
    const root = makeRoot(join(work, 'root'))
    tar(root, join(work, 'layer.tar'), ['.'])
    const layout = join(work, 'layout')
    mkdirSync(join(layout, 'blobs', 'sha256'), { recursive: true })
    writeLayout(layout, join(work, 'layer.tar'), name, command)
    tar(layout, `${archive}.new`, ['oci-layout', 'index.json', 'manifest.json', 'blobs'])
    renameSync(`${archive}.new`, archive)
  } finally {
    rmSync(work, { recursive: true })
  }
}

/** What the image's web server serves, for servers without an image. */
export function makeWeb(directory: string): void {
  const scripts = join(directory, 'cgi-bin')
  mkdirSync(scripts, { recursive: true })
  writeFileSync(join(scripts, 'who'), WHO_CGI)
  chmodSync(join(scripts, 'who'), 0o755)
}

function makeRoot(root: string): string {
  makeWeb(join(root, 'www'))
  for (const folder of ['bin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'run']) {
    mkdirSync(join(root, folder), { recursive: true })
  }
  copyFileSync(BUSYBOX, join(root, 'bin', 'busybox'))
  for (const name of COMMANDS) symlinkSync('busybox', join(root, 'bin', name))
  writeFileSync(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\n')
  return root
}

interface Blob {
  readonly digest: string
  readonly size: number
}

function writeLayout(layout: string, layer: string, name: string, command: readonly string[]): void {
  const tag = name.slice(name.lastIndexOf(':') + 1)
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const layerBlob = keepBlob(layout, layer)
  const config = keepJson(layout, {
    created: '1970-01-01T00:00:00Z',
    architecture,
    os: 'linux',
    config: { Env: ['PATH=/bin'], Cmd: command, WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [layerBlob.digest] },
    history: [{ created: '1970-01-01T00:00:00Z', created_by: 'patchbay e2e' }]
  })
  const manifest = keepJson(layout, {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...layerBlob }]
  })
  const described = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    ...manifest,
    platform: { architecture, os: 'linux' },
    annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': tag }
  }
  const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [described] }
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index))
  const docker = { Config: pathOf(config), RepoTags: [name], Layers: [pathOf(layerBlob)] }
  writeFileSync(join(layout, 'manifest.json'), JSON.stringify([docker]))
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
  const hex = createHash('sha256').update(readFileSync(file)).digest('hex')
  const blob = { digest: `sha256:${hex}`, size: statSync(file).size }
  renameSync(file, join(layout, pathOf(blob)))
  return blob
}
