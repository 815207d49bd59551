/**
 * A container image out of nothing but a busybox: no registry is asked. The archive is an OCI layout and a Docker archive
 * in one, so that containerd and podman both load it.
 */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { LAYOUT_MEMBERS, writeImageLayout } from '../../lib/runtime/oci-image.ts'
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
    const config = { Env: ['PATH=/bin'], Cmd: command, WorkingDir: '/' }
    const layer = join(work, 'layer.tar')
    writeImageLayout(layout, name, [{ arch: process.arch, layer, config, created: 0, createdBy: 'patchbay e2e' }])
    tar(layout, `${archive}.new`, LAYOUT_MEMBERS)
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
